"""What a check of a whole column or table saw, in words that hold no personal value."""

from __future__ import annotations

from typing import Any

from expectations.suite import Prepared
from schemas.model import Entry

COUNTS = {
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_type_to_be",
    "expect_column_unique_value_count_to_be_between",
}
"""Expectations on a column that see a count, a share or a type, which says nothing of any one row."""
PERSONAL = 3
LONGEST = 100


def observed(entry: Entry, check: Prepared, value: Any) -> str | None:
    """The observed value as text, or None: a column's extreme is somebody's value, and so is the sum or mean
    of a column with one row, so those of a field graded 3 or more are not told (law 3). Lists of values never
    are."""
    if not isinstance(value, str | int | float):
        return None
    name = check.check.arguments.get("column")
    if name is None or check.check.expect in COUNTS:
        return str(value)[:LONGEST]
    field = entry.fields.get(name)
    return str(value)[:LONGEST] if field is not None and field.grade < PERSONAL else None
