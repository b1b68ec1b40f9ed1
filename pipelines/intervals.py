"""Which data interval a batch covers: the same ones that Airflow's CronDataIntervalTimetable gives a schedule."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from schemas.model import Schedule

Interval = tuple[datetime, datetime]


def latest_interval(schedule: Schedule, now: datetime) -> Interval:
    """The last interval that was complete at `now` (aware): its end is the last tick of the cron not after `now`."""
    local = now.astimezone(ZoneInfo(schedule.timezone))
    end = croniter(schedule.cron, local + timedelta(seconds=1)).get_prev(datetime)
    return croniter(schedule.cron, end).get_prev(datetime), end


def interval_of(schedule: Schedule, day: date) -> Interval:
    """The data of a day: the first interval that starts on or after its midnight, in the schedule's time zone."""
    midnight = datetime.combine(day, time.min, ZoneInfo(schedule.timezone))
    start = croniter(schedule.cron, midnight - timedelta(seconds=1)).get_next(datetime)
    return start, croniter(schedule.cron, start).get_next(datetime)


def intervals_of(schedule: Schedule, day: date) -> list[Interval]:
    """Every interval that starts on a day, as of a dataset that comes by the hour; where none does, the next one."""
    found = [interval_of(schedule, day)]
    tomorrow = datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(schedule.timezone))
    while (start := found[-1][1]) < tomorrow:
        found.append((start, croniter(schedule.cron, start).get_next(datetime)))
    return found
