"""Expectations on a batch as a whole, beside its time and the batch before it: freshness, and a drop in rows.

`interval_end` and `previous_rows` are no arguments of a catalogue entry: `expectations.suite` fills them in.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from expectations import great
from schemas.model.basics import as_duration
from schemas.workdays import HERE, calendar


def oldest_allowed(end: datetime, within: str | None, within_working_days: int | None) -> datetime:
    """The moment before which the newest value is not recent. Working days count back from the last day of
    the interval, in Shanghai: 1 is the working day before it, from midnight on."""
    if within is not None:
        allowed: timedelta = as_duration(within)
        return end - allowed
    last = (end.astimezone(HERE) - timedelta(microseconds=1)).date()
    if not within_working_days:
        return datetime(last.year, last.month, last.day, tzinfo=HERE)
    day = calendar().get_nth_working_day(last, -within_working_days)
    return datetime(day.year, day.month, day.day, tzinfo=HERE)


def _moment(value: Any) -> datetime:
    """The newest value as the metric gives it: ISO text, a date or a datetime. A date means its last
    moment."""
    if isinstance(value, str):
        value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=HERE) + timedelta(days=1, microseconds=-1)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class ExpectColumnMaxToBeRecent(great.ColumnAggregateExpectation):
    """The newest date or time is not older than `within` (such as `2d`) or `within_working_days` before the
    end of the data interval (GB/T 36344, 0501). A batch without any value is not recent."""

    within: str | None = None
    within_working_days: int | None = great.pydantic.Field(default=None, ge=0)
    interval_end: datetime | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.max",)
    success_keys: ClassVar[tuple[str, ...]] = ("within", "within_working_days", "interval_end")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "within", "within_working_days")

    @great.pydantic.root_validator
    @classmethod
    def _one_limit(cls, values: dict[str, Any]) -> dict[str, Any]:
        within, days = values.get("within"), values.get("within_working_days")
        if (within is None) == (days is None):
            raise ValueError("either `within`, such as 2d, or `within_working_days`, such as 1")
        if within is not None:
            as_duration(within)
        return values

    def _validate(
        self, metrics: dict[Any, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[Any, Any]:
        newest = metrics["column.max"]
        if newest is None or self.interval_end is None:
            return {"success": newest is not None, "result": {"observed_value": None}}
        limit = oldest_allowed(self.interval_end, self.within, self.within_working_days)
        return {"success": _moment(newest) >= limit, "result": {"observed_value": str(newest)}}


class ExpectTableRowCountNotToDrop(great.BatchExpectation):
    """The batch has at most the share `max_drop` fewer rows than the batch before it; a first batch always
    passes."""

    max_drop: float = great.pydantic.Field(ge=0, lt=1)
    previous_rows: int | None = None

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.row_count",)
    success_keys: ClassVar[tuple[str, ...]] = ("max_drop", "previous_rows")
    args_keys: ClassVar[tuple[str, ...]] = ("max_drop",)

    def _validate(
        self, metrics: dict[Any, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[Any, Any]:
        rows = metrics["table.row_count"]
        least = 0.0 if self.previous_rows is None else self.previous_rows * (1 - self.max_drop)
        return {"success": rows >= least, "result": {"observed_value": rows}}
