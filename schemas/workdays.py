"""China's working days, with the weekends that the State Council's yearly notice shifts. Days are the city's."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from holidays import HolidayBase

HERE = ZoneInfo("Asia/Shanghai")


@cache
def calendar() -> HolidayBase:
    """The calendar of the `holidays` library; loaded at the first use."""
    import holidays

    return holidays.country_holidays("CN")


def is_working_day(day: date) -> bool:
    return bool(calendar().is_working_day(day))


def day_of(moment: datetime) -> date:
    """The day of an aware moment, in the city."""
    return moment.astimezone(HERE).date()


def deadline(since: datetime, working_days: int) -> date:
    """The last day in time of what may take so many working days; the day on which it began does not count."""
    return _working_day(day_of(since), working_days)


@lru_cache(maxsize=10_000)
def _working_day(day: date, place: int) -> date:
    """The working day at a place behind a day. Many cases begin on one day, and the library looks at every day."""
    found: date = calendar().get_nth_working_day(day, place)
    return found


def waited(since: datetime, now: datetime) -> int:
    """Working days that have begun after the day of `since`, up to the day of `now`."""
    first, last = day_of(since), day_of(now)
    return int(calendar().get_working_days_count(first, last)) - is_working_day(first) if first < last else 0
