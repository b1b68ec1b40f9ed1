"""From a source's column to a field's type: every value converts exactly, or its row is told about.

A kernel gives null for what it cannot convert. Here that is compared with what was there before, so that no
value is ever nulled silently: a row has failed where the source had something and the result is null. Empty
text and text of white space only is NULL in every type, strings too: departments write `` and `　` where they
have nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.casting import text
from pipelines.casting.numbers import to_boolean, to_decimal, to_integer, to_number
from pipelines.casting.times import to_date, to_timestamp
from schemas.arrow import field_type
from schemas.formats import DATE_FORMATS
from schemas.model import Code, Field


@dataclass(frozen=True)
class Cast:
    """`values` in the field's type; `failed` marks the rows that had a value which breaks `rule` (no nulls
    in it)."""

    values: pa.Array
    failed: pa.Array
    rule: str
    expected: str


@dataclass(frozen=True)
class Codebook:
    """A code list ready for columns: what may be written at a source, and the code of each. Upper case comes
    second, so that a list that tells `a` from `A` still does."""

    exact: tuple[pa.Array, pa.Array]
    upper: tuple[pa.Array, pa.Array]

    @property
    def longest(self) -> int:
        """Characters of the longest code, label or alias."""
        return pc.max(pc.utf8_length(self.exact[0])).as_py() or 0


def codebook(codes: Sequence[Code]) -> Codebook:
    """Codes, their labels and aliases, each in half width. A code beats a label; a label of two codes names
    none."""
    exact: dict[str, set[str]] = {}
    for code in codes:
        for written in (code.zh, code.en, *code.aliases):
            exact.setdefault(_plain(written), set()).add(code.code)
    exact |= {_plain(code.code): {code.code} for code in codes}
    upper: dict[str, set[str]] = {}
    for written, meant in exact.items():
        upper.setdefault(written.upper(), set()).update(meant)
    return Codebook(_columns(exact), _columns(upper))


def _plain(written: str) -> str:
    return str(text.trim(text.half_width(pa.array([written])))[0].as_py())


def _columns(meanings: dict[str, set[str]]) -> tuple[pa.Array, pa.Array]:
    single = {
        written: next(iter(meant)) for written, meant in meanings.items() if written and len(meant) == 1
    }
    return pa.array([*single], pa.string()), pa.array([*single.values()], pa.string())


def cast(values: pa.Array, field: Field, codes: Codebook | None = None, *, excel: bool = False) -> Cast:
    """Convert a column to the field's type. `excel` allows serial days for dates, as cells of a workbook
    have them."""
    rule, expected = ("code_list" if codes else field.type), _expected(field, codes, excel=excel)
    if pa.types.is_null(values.type):
        return Cast(pa.nulls(len(values), field_type(field)), _none(len(values)), rule, expected)
    if pa.types.is_dictionary(values.type):
        distinct = cast(values.dictionary, field, codes, excel=excel)
        failed = pc.fill_null(distinct.failed.take(values.indices), False)
        return Cast(_numbered(distinct.values, values.indices), failed, rule, expected)
    clean, had = _cleaned(_simple(values), field, codes)
    result = _convert(clean, field, codes, excel)
    failed = pc.and_(had, result.is_null()) if result.null_count else _none(len(values))
    return Cast(result, failed, rule, expected)


def _numbered(distinct: pa.Array, numbers: pa.Array) -> pa.Array:
    """The values with these numbers; text stays numbers, of a dictionary that holds each text once, and no null."""
    if not pa.types.is_string(distinct.type):
        return distinct.take(numbers)
    once = distinct.dictionary_encode()
    return pa.DictionaryArray.from_arrays(once.indices.take(numbers), once.dictionary)


def _cleaned(values: pa.Array, field: Field, codes: Codebook | None) -> tuple[pa.Array, pa.Array]:
    """The values, as text where text is wanted, blanks made null; and in which rows there was something."""
    as_text = pa.types.is_string(values.type) or (text.is_bytes(values.type) and field.type != "binary")
    wanted = codes is not None or field.type == "string"
    readable = text.to_text(values) if as_text or wanted else values
    if not as_text:
        return readable, values.is_valid()
    clean = text.present(readable)
    blank = pc.and_(readable.is_valid(), clean.is_null())
    return clean, pc.and_not(values.is_valid(), blank) if clean.null_count else values.is_valid()


def _convert(values: pa.Array, field: Field, codes: Codebook | None, excel: bool) -> pa.Array:
    """To the field's type. Normalisers other than trim and half_width concern text alone."""
    if codes is not None:
        values = _decoded(text.normalised(text.trim(text.half_width(values)), field.normalise), codes)
    elif field.type == "string":
        values = text.present(text.normalised(text.typed(values) if excel else values, field.normalise))
    elif field.type != "binary" and pa.types.is_string(values.type):
        values = text.trim(text.half_width(values))
    return _KERNELS[field.type](values, field, excel)


_KERNELS: dict[str, Callable[[pa.Array, Field, bool], pa.Array]] = {
    "string": lambda values, field, excel: text.to_string(values, field.length),
    "integer": lambda values, field, excel: to_integer(values),
    "decimal": lambda values, field, excel: to_decimal(values, field.precision, field.scale),
    "number": lambda values, field, excel: to_number(values),
    "boolean": lambda values, field, excel: to_boolean(values),
    "date": lambda values, field, excel: to_date(values, field.formats, field.timezone, excel=excel),
    "timestamp": lambda values, field, excel: to_timestamp(
        values, field.formats, field.timezone, excel=excel
    ),
    "binary": lambda values, field, excel: text.to_binary(values),
}


def _decoded(written: pa.Array, codes: Codebook) -> pa.Array:
    labels, meant = codes.exact
    found = meant.take(pc.index_in(written, value_set=labels))
    if found.null_count == written.null_count:
        return found
    labels, meant = codes.upper
    return pc.coalesce(found, meant.take(pc.index_in(text.upper(written), value_set=labels)))


def _simple(values: pa.Array) -> pa.Array:
    """Without extension types and run-end encoding, and with strings and bytes in their plain layouts."""
    if isinstance(values, pa.ExtensionArray):
        return _simple(values.storage)
    kind = values.type
    if pa.types.is_run_end_encoded(kind):
        return _simple(pc.run_end_decode(values))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    return values.cast(pa.binary()) if text.is_bytes(kind) else values


def _none(rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(False), rows)


def _expected(field: Field, codes: Codebook | None, *, excel: bool) -> str:
    """What a person should have written. Names forms and lists, never a value."""
    if codes is not None:
        return f"a code, label or alias of the code list {field.codes}"
    if field.type == "string":
        limit = f" of at most {field.length} characters" if field.length else ""
        digits = " with digits" if "digits" in field.normalise else ""
        lost = "; a number of more than 15 digits has lost the last ones: type it as text" if excel else ""
        return f"text{limit}{digits}{lost}"
    if field.type in ("date", "timestamp"):
        usual = DATE_FORMATS if field.type == "date" else ("%Y-%m-%d %H:%M:%S", "ISO 8601")
        return f"a real {field.type} written as {' or '.join(field.formats or usual)}"
    return {
        "integer": "a whole number of 64 bits",
        "decimal": f"a decimal of precision {field.precision} and scale {field.scale}",
        "number": "a finite number",
        "boolean": "true or false, yes or no, 1 or 0, 是 or 否",
        "binary": "bytes",
    }[field.type]
