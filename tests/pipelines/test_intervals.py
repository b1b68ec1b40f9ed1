"""Our intervals are Airflow's: its own timetable is the oracle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pendulum
import pytest
from airflow.timetables.interval import CronDataIntervalTimetable

from pipelines.intervals import interval_of, intervals_of, latest_interval
from schemas.model import Schedule

CRONS = ["0 2 * * *", "15 0 * * *", "0 * * * *", "30 5 * * 1", "0 3 1 * *"]
TIMES = [
    datetime(2026, 3, 3, 18, 0, tzinfo=UTC),
    datetime(2026, 3, 3, 17, 59, 59, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
]


@pytest.mark.parametrize("cron", CRONS)
@pytest.mark.parametrize("now", TIMES)
def test_latest_interval_is_what_airflow_infers(cron: str, now: datetime) -> None:
    timetable = CronDataIntervalTimetable(cron, timezone="Asia/Shanghai")
    expected = timetable.infer_manual_data_interval(run_after=pendulum.instance(now))
    assert latest_interval(Schedule(cron=cron), now) == (expected.start, expected.end)


def test_the_interval_of_a_day_starts_on_it_in_the_citys_zone() -> None:
    start, end = interval_of(Schedule(cron="0 2 * * *"), date(2026, 3, 2))
    assert start == datetime(2026, 3, 1, 18, tzinfo=UTC)
    assert end == datetime(2026, 3, 2, 18, tzinfo=UTC)


def test_a_day_without_a_tick_gives_the_next_interval() -> None:
    monday = interval_of(Schedule(cron="0 2 * * 1"), date(2026, 3, 3))[0]
    assert monday.astimezone(UTC) == datetime(2026, 3, 8, 18, tzinfo=UTC)


def test_a_day_of_a_dataset_that_comes_by_the_hour_has_them_all() -> None:
    hours = intervals_of(Schedule(cron="30 * * * *"), date(2026, 3, 2))
    assert [start.astimezone(UTC) for start, _ in hours] == [
        datetime(2026, 3, 1, 16, 30, tzinfo=UTC) + timedelta(hours=n) for n in range(24)
    ]
    assert all(end == start for (_, end), (start, _) in pairwise(hours))


@pytest.mark.parametrize("cron", ["0 2 * * *", "30 5 * * 1", "0 3 1 * *"])
def test_a_day_of_any_other_dataset_has_one_interval(cron: str) -> None:
    schedule = Schedule(cron=cron)
    assert intervals_of(schedule, date(2026, 3, 3)) == [interval_of(schedule, date(2026, 3, 3))]
