"""What text formats make of a column."""

from __future__ import annotations

import base64

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.masks.arrays import text_of

_FORMULA = r"^([=+\-@\t\r\n＝＋－＠])"
_FIRST = pa.array(list("=+-@\t\r\n＝＋－＠"), pa.string())


def as_text(values: pa.Array) -> pa.Array:
    """The column as text (see `masks.arrays.text_of`); binary as base64 (RFC 4648, 4). Null stays null."""
    if not pa.types.is_binary(values.type):
        return text_of(values)
    encoded = [None if value is None else base64.b64encode(value).decode() for value in values.to_pylist()]
    return pa.array(encoded, pa.string())


def no_formula(text: pa.Array) -> pa.Array:
    """Cells that a spreadsheet would take for a formula get an apostrophe before them (OWASP, CSV injection):
    those beginning with = + - @, their full-width forms, a tab or a line break."""
    if not pc.any(pc.is_in(pc.utf8_slice_codeunits(text, 0, 1), value_set=_FIRST)).as_py():
        return text  # as nearly always: found at a third of the price of the regex
    return pc.replace_substring_regex(text, _FORMULA, r"'\1")
