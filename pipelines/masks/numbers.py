"""Numbers made less telling: rounded to a multiple, or kept within bounds. Both keep the column's type.

Integers stay integers and decimals exact: nothing passes through a float. What a mask asks for and the type
cannot hold (a multiple of 0.5 of an integer) is a MaskError, never a silent approximation.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, Inexact

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import MaskError
from schemas.model import Clip, Field, Round

_WIDE = Context(prec=400)
"""Room for every float: 309 digits before the point and the places of a decimal."""
_EXACT = Context(prec=400, traps=[Inexact])


def round_to(values: pa.Array, mask: Round, field: Field) -> pa.Array:
    """The nearest multiple of `to`; halves go away from zero (四舍五入). Infinities and NaN stay."""
    step = exact(mask.to, values.type)
    if step is None:
        raise _unfit(f"round to {mask.to:g}", field, f"a multiple that {values.type} holds")
    rounded = pc.round_to_multiple(values, step, round_mode="half_towards_infinity")
    if field.type != "number":
        return rounded
    # 3 * 0.1 is 0.30000000000000004 in floats
    return pc.round(rounded, ndigits=max(0, -int(Decimal(repr(mask.to)).normalize().as_tuple().exponent)))


def clip(values: pa.Array, mask: Clip, field: Field) -> pa.Array:
    """Values below `min` become `min`, above `max` become `max` (top and bottom coding); NaN stays.

    A bound that the type cannot hold exactly moves inwards: 0.5 is 1 for the minimum of integers.
    """
    if mask.min is not None:
        values = _bounded(values, mask.min, ROUND_CEILING, field)
    return values if mask.max is None else _bounded(values, mask.max, ROUND_FLOOR, field)


def _bounded(values: pa.Array, bound: float, inwards: str, field: Field) -> pa.Array:
    limit = exact(bound, values.type, inwards)
    lower = inwards == ROUND_CEILING
    if limit is None and (bound < 0) == lower:
        return values  # beyond what the type holds: no value is outside
    if limit is None:
        raise _unfit("clip", field, f"bounds that {values.type} holds")
    outside = pc.less(values, limit) if lower else pc.greater(values, limit)
    return pc.if_else(outside, limit, values)


def exact(number: float, kind: pa.DataType, rounding: str | None = None) -> pa.Scalar | None:
    """A number of the catalogue as a scalar of a numeric type; None where the type cannot hold it. `rounding`
    (a mode of the decimal module) takes the next number that the type can hold instead."""
    if pa.types.is_floating(kind):
        return pa.scalar(number, kind)
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    try:
        held = Decimal(repr(number)).quantize(
            Decimal(1).scaleb(-scale), rounding, _EXACT if rounding is None else _WIDE
        )
    except (Inexact, ArithmeticError):
        return None
    value = held if pa.types.is_decimal(kind) else int(held)
    try:
        return pa.scalar(value, kind)
    except (pa.ArrowInvalid, OverflowError):
        return None


def _unfit(rule: str, field: Field, expected: str) -> MaskError:
    return MaskError(
        "the mask cannot be applied to this field", field=field.name, rule=rule, expected=expected
    )
