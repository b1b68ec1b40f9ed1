"""Coarser values: a place by its division, a day by its month or year, a number by its bin. The result is
text."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.masks.numbers import exact
from schemas.model import Field, Generalise

PLACES = {"district": 6, "city": 4, "province": 2}
"""Digits of GB/T 2260 that stay; zeros make up the six."""
_DIVISION = r"^(?:[0-9]{6}|[0-9]{9}|[0-9]{12}|[0-9]{15}|[0-9]{17}[0-9Xx])$"
"""Codes of GB/T 2260 (6 digits) and GB/T 10114 (9, 12), and resident ids, which begin with one (15, 18)."""


def generalise(values: pa.Array, mask: Generalise, field: Field) -> pa.Array:
    """Text: `320102` → `320100`, a day → `2026-03`, `2026-Q1`, `2026` or `2020s`, a number → `18-59`.

    What has no coarser form (not a division code, not a number) becomes null: as it is, it would be published
    whole.
    """
    if mask.bins is not None:
        return _binned(values, mask.bins, field)
    if mask.to in PLACES:
        return _place(values, PLACES[mask.to])
    return _period(values, str(mask.to), field)


def _place(values: pa.Array, digits: int) -> pa.Array:
    code = pc.if_else(pc.match_substring_regex(values, _DIVISION), values, pa.scalar(None, pa.string()))
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(code, 0, digits), "0" * (6 - digits), "")


def _period(values: pa.Array, step: str, field: Field) -> pa.Array:
    """Days in the field's own time zone: 2026-02-28T16:00Z is in March in Nanjing. Each day is written
    once."""
    if pa.types.is_timestamp(values.type):
        local = pc.local_timestamp(values.cast(pa.timestamp("us", field.timezone)))
        values = local.cast(pa.date32(), safe=False)
    days = pc.dictionary_encode(values)
    return _written(days.dictionary, step).take(days.indices)


def _written(days: pa.Array, step: str) -> pa.Array:
    year = pc.utf8_lpad(pc.year(days).cast(pa.string()), 4, "0")
    if step == "year":
        return year
    if step == "decade":
        return pc.binary_join_element_wise(pc.utf8_slice_codeunits(year, 0, -1), "0s", "")
    if step == "quarter":
        return pc.binary_join_element_wise(year, pc.quarter(days).cast(pa.string()), "-Q")
    month = pc.binary_join_element_wise(year, _two(pc.month(days)), "-")
    return month if step == "month" else pc.binary_join_element_wise(month, _two(pc.day(days)), "-")


def _two(numbers: pa.Array) -> pa.Array:
    return pc.utf8_lpad(numbers.cast(pa.string()), 2, "0")


def _binned(values: pa.Array, bins: tuple[float, ...], field: Field) -> pa.Array:
    """Each bin holds its lower bound and not its upper one; NaN lies in none."""
    number = pa.repeat(pa.scalar(0, pa.int64()), len(values))
    for bound in bins:
        number = pc.add(number, _reaches(values, bound).cast(pa.int64()))
    if pa.types.is_floating(values.type):
        number = pc.if_else(pc.is_nan(values), None, number)
    return pa.array(bin_labels(bins, whole=field.type == "integer"), pa.string()).take(number)


def _reaches(values: pa.Array, bound: float) -> pa.Array:
    limit = exact(bound, values.type, ROUND_CEILING)
    if limit is None:  # beyond what the type holds, on one side or the other
        return pc.if_else(values.is_valid(), pa.scalar(bound < 0), None)
    return pc.greater_equal(values, limit)


def bin_labels(bins: tuple[float, ...], *, whole: bool) -> list[str]:
    """One label more than there are bounds: `<0`, `0-17`, `18-59`, `60+` for whole numbers from zero on, else
    `<0`, `[0,18)`, `[18,60)`, `≥60`."""
    texts = [f"{Decimal(repr(bound)).normalize():f}" for bound in bins]
    pairs = list(pairwise(texts))
    if whole and bins[0] >= 0 and all(bound.is_integer() for bound in map(float, bins)):
        middle = [low if int(low) + 1 == int(high) else f"{low}-{int(high) - 1}" for low, high in pairs]
        return [f"<{texts[0]}", *middle, f"{texts[-1]}+"]
    return [f"<{texts[0]}", *(f"[{low},{high})" for low, high in pairs), f"≥{texts[-1]}"]
