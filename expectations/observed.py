"""What a check of a whole column or table saw, in words that hold no personal value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from expectations.suite import Prepared
from schemas.model import Entry, Field

COUNTS = {
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_type_to_be",
    "expect_column_unique_value_count_to_be_between",
}
"""Expectations on a column that see a count, a share or a type, which says nothing of any one row."""
PERSONAL = 3
LONGEST = 100
IDENTIFIER = 7
"""Digits from which on a number has the form of an identifier: the shortest telephone number in use."""
WITHHELD = "withheld: it may be an identifier"
TIMES = {"date", "timestamp"}


def observed(entry: Entry, check: Prepared, value: Any) -> str | None:
    """The observed value as text, or None: a column's extreme is somebody's value, and so is the sum or mean
    of a column with one row, so those of a field graded 3 or more are not told (law 3). Lists of values never
    are. Of other fields a value that may have slipped into them from elsewhere is withheld."""
    if not isinstance(value, str | int | float):
        return None
    name = check.check.arguments.get("column")
    if name is None or check.check.expect in COUNTS:
        return str(value)[:LONGEST]
    field = entry.fields.get(name)
    if field is None or field.grade >= PERSONAL:
        return None
    return WITHHELD if _may_identify(field, check.check.arguments, value) else str(value)[:LONGEST]


def _may_identify(field: Field, arguments: Mapping[str, Any], value: str | int | float) -> bool:
    """Any text but a time; and a long number, unless the check's own bounds say that numbers here are as long."""
    if isinstance(value, str):
        return field.type not in TIMES
    return _digits(value) >= max(IDENTIFIER, 1 + max(map(_digits, _numbers(arguments)), default=0))


def _numbers(given: Any) -> list[int | float]:
    """Every number in a check's arguments, however deep."""
    if isinstance(given, Mapping):
        given = list(given.values())
    if isinstance(given, list | tuple):
        return [number for each in given for number in _numbers(each)]
    return [given] if isinstance(given, int | float) else []


def _digits(number: int | float) -> int:
    """Digits of its integer part; none of what is no finite number."""
    return len(str(abs(int(number)))) if math.isfinite(number) else 0
