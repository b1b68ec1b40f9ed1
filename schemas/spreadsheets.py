"""What a spreadsheet would make of a cell of CSV."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_FORMULA = r"^([=+\-@\t\r\n＝＋－＠])"
_FIRST = pa.array(list("=+-@\t\r\n＝＋－＠"), pa.string())


def no_formula(text: pa.Array) -> pa.Array:
    """Cells that a spreadsheet would take for a formula get an apostrophe before them (OWASP, CSV injection):
    those beginning with = + - @, their full-width forms, a tab or a line break."""
    if not pc.any(pc.is_in(pc.utf8_slice_codeunits(text, 0, 1), value_set=_FIRST)).as_py():
        return text  # as nearly always: found at a third of the price of the regex
    return pc.replace_substring_regex(text, _FORMULA, r"'\1")
