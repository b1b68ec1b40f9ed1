"""Freshness, by duration and by China's working days, and the drop in rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from expectations.batches import oldest_allowed
from expectations.known import Known
from schemas.errors import CatalogueError
from tests.expectations.conftest import Judge

RECENT = {"expect": "expect_column_max_to_be_recent", "column": "a", "on_fail": "warn"}


@pytest.mark.parametrize(
    ("end", "days", "oldest"),
    [
        (
            datetime(2026, 3, 3, 16, tzinfo=UTC),
            0,
            date(2026, 3, 3),
        ),  # the interval ends at midnight in Shanghai
        (datetime(2026, 3, 3, 16, tzinfo=UTC), 1, date(2026, 3, 2)),
        (
            datetime(2026, 3, 2, 16, tzinfo=UTC),
            1,
            date(2026, 2, 28),
        ),  # a Saturday worked for the Spring Festival
        (datetime(2026, 2, 24, 16, tzinfo=UTC), 1, date(2026, 2, 14)),  # the festival, 15 to 23 February
        (datetime(2026, 3, 9, 16, tzinfo=UTC), 1, date(2026, 3, 6)),  # Monday back to Friday
    ],
)
def test_working_days_count_back_from_the_last_day(end: datetime, days: int, oldest: date) -> None:
    limit = oldest_allowed(end, None, days)
    assert limit.date() == oldest and (limit.hour, limit.minute) == (0, 0)


def judged(judge: Judge, value: Any, end: datetime, **limit: Any) -> bool:
    (result,), _ = judge({"a": value}, [{**RECENT, **limit}], Known(end))
    return result.success


MIDNIGHT = datetime(2026, 3, 9, 16, tzinfo=UTC)


@pytest.mark.parametrize(("day", "recent"), [(date(2026, 3, 6), True), (date(2026, 3, 5), False)])
def test_a_date_within_working_days(judge: Judge, day: date, recent: bool) -> None:
    assert judged(judge, [day, date(2020, 1, 1), None], MIDNIGHT, within_working_days=1) is recent


@pytest.mark.parametrize(("hour", "recent"), [(15, True), (9, False)])
def test_a_time_within_hours(judge: Judge, hour: int, recent: bool) -> None:
    times = pa.array([datetime(2026, 3, 9, hour, 59)], pa.timestamp("us", "UTC"))
    assert judged(judge, times, MIDNIGHT, within="6h") is recent


def test_nothing_is_not_recent(judge: Judge) -> None:
    assert judged(judge, pa.array([None], pa.date32()), MIDNIGHT, within="6h") is False


@pytest.mark.parametrize(
    "limit", [{}, {"within": "2d", "within_working_days": 1}, {"within": "soon"}, {"within_working_days": -1}]
)
def test_one_limit_is_needed(judge: Judge, limit: dict[str, Any]) -> None:
    with pytest.raises(CatalogueError, match=r"checks\[1\]"):
        judged(judge, [date(2026, 3, 6)], MIDNIGHT, **limit)


@pytest.mark.parametrize(("before", "holds"), [(None, True), (0, True), (6, True), (7, False)])
def test_a_drop_in_rows(judge: Judge, before: int | None, holds: bool) -> None:
    check = {"expect": "expect_table_row_count_not_to_drop", "max_drop": 0.5, "on_fail": "stop"}
    (result,), _ = judge({"a": [1, 2, 3]}, [check], Known(MIDNIGHT, previous_rows=before))
    assert result.success is holds
