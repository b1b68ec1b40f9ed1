"""Number kernels: integers, decimals, floats and booleans, exactly or not at all (null is what does not
convert).

Text is trimmed and half-width already. A column of plain digits goes to Arrow's parser at once; anything
else first passes a regular expression, as the parser would also take `0x1F` and `nan`."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.casting.text import convert, has_only, keep, to_text

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_WIDEST = pa.decimal128(38, 0)
_GROUPED = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"
_INTEGER = r"^[+-]?0*[0-9]{1,19}(\.0*)?$"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_TRUE = ("true", "t", "yes", "y", "1", "是", "真", "有")
_FALSE = ("false", "f", "no", "n", "0", "否", "假", "无")


def to_integer(values: pa.Array) -> pa.Array:
    """int64 from text (thousands marks, `1.0` as Excel writes it), integers, whole floats and decimals,
    booleans."""
    kind = values.type
    if pa.types.is_string(kind):
        return _integer_text(values)
    if pa.types.is_floating(kind):
        whole = pc.and_(pc.equal(values, pc.trunc(values)), pc.less(pc.abs(values), 2.0**63))
        return convert(keep(values, whole), pa.int64())
    return convert(values, pa.int64()) if _numeric(kind) else pa.nulls(len(values), pa.int64())


def to_decimal(values: pa.Array, precision: int, scale: int) -> pa.Array:
    """decimal128 from text, integers, decimals and floats by their shortest text. What has more digits than
    precision and scale allow becomes null; nothing is rounded."""
    kind, target = values.type, pa.decimal128(precision, scale)
    if pa.types.is_string(kind):
        return _decimal_text(values, precision, scale)
    if pa.types.is_floating(kind):
        within = pc.less(pc.abs(values), 10.0 ** (precision - scale))
        return convert(pc.cast(keep(values, within), pa.string()), target)
    if pa.types.is_integer(kind):
        values = pc.cast(values, _WIDEST)
    if not pa.types.is_decimal(values.type):
        return pa.nulls(len(values), target)
    return convert(keep(values, _below(values, precision - scale)), target)


def to_number(values: pa.Array) -> pa.Array:
    """float64 from text and numbers. Not-a-number and infinity become null: they are no measurement."""
    if pa.types.is_string(values.type):
        if not has_only(values, b"0123456789.-"):
            text = _ungrouped(values)
            values = keep(text, pc.match_substring_regex(text, _NUMBER))
        result = convert(values, pa.float64())
    else:
        result = (
            convert(values, pa.float64()) if _numeric(values.type) else pa.nulls(len(values), pa.float64())
        )
    return keep(result, pc.is_finite(result))


def to_boolean(values: pa.Array) -> pa.Array:
    """Booleans from their usual words in English and Chinese, in any case, and from 1 and 0."""
    if pa.types.is_boolean(values.type):
        return values
    words = pc.utf8_lower(to_text(values))
    index = pc.index_in(words, value_set=pa.array(_TRUE + _FALSE))
    return pc.less(index, len(_TRUE))


def _numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _ungrouped(text: pa.Array) -> pa.Array:
    """Without thousands marks, where they stand between groups of three; `12,34` keeps its comma, and
    fails."""
    if not pc.any(pc.match_substring(text, ",")).as_py():
        return text
    grouped = pc.match_substring_regex(text, _GROUPED)
    return pc.if_else(grouped, pc.replace_substring(text, ",", ""), text)


def _integer_text(text: pa.Array) -> pa.Array:
    if has_only(text, b"0123456789-"):
        try:
            return pc.cast(text, pa.int64())
        except pa.ArrowInvalid:
            pass
    text = _ungrouped(text)
    exact = convert(keep(text, pc.match_substring_regex(text, _INTEGER)), _WIDEST)
    low, high = (pa.scalar(bound, pa.int64()).cast(_WIDEST) for bound in (INT64_MIN, INT64_MAX))
    within = pc.and_(pc.greater_equal(exact, low), pc.less_equal(exact, high))
    return pc.cast(keep(exact, within), pa.int64())


def _longest(text: pa.Array) -> int:
    """Characters of the longest text, of which a number has no more digits before the point. Where a number has more
    than 38 digits once it is brought to the scale Arrow wraps around, and says nothing."""
    return int(pc.max(pc.binary_length(text)).as_py() or 0)


def _below(values: pa.Array, digits: int) -> pa.Array:
    """Which decimals have no more than so many digits before the point: of others Arrow's change of scale may wrap
    around. Compared where nothing can: in 256 bits."""
    wide = pc.cast(values, pa.decimal256(76, values.type.scale))
    limit = pa.scalar(Decimal(10) ** digits, pa.decimal256(digits + 1, 0))
    return pc.less(pc.abs(wide), limit)


def _decimal_text(text: pa.Array, precision: int, scale: int) -> pa.Array:
    target = pa.decimal128(precision, scale)
    if has_only(text, b"0123456789.-") and _longest(text) + scale <= _WIDEST.precision:
        try:
            return pc.cast(text, target)
        except pa.ArrowInvalid:
            pass
    text = _ungrouped(text)
    fits = rf"^[+-]?0*[0-9]{{0,{precision - scale}}}(\.[0-9]{{0,{scale}}}0*)?$"
    good = pc.and_(pc.match_substring_regex(text, fits), pc.match_substring_regex(text, "[0-9]"))
    return convert(keep(text, good), target)
