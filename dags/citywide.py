"""What the DAGs of the whole city have in common: arguments of the `DAG` that each file makes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, CronTriggerTimetable

from schemas.workdays import HERE


def citywide(
    schedule: str | list[Asset],
    *,
    until: date | None = None,
    retries: int = 1,
    pause: timedelta,
    longest: timedelta,
) -> dict[str, Any]:
    """Arguments of a DAG that runs by the city's clock (a cron), or when assets say so: one run at a time, none after
    the day `until`, and missed ones are not made up for, since the next one does their work. A task is tried again
    after the pause, and none takes longer than `longest`."""
    return {
        "schedule": CronTriggerTimetable(schedule, timezone=HERE.key)
        if isinstance(schedule, str)
        else schedule,
        "start_date": datetime(2026, 1, 1, tzinfo=HERE),
        "end_date": datetime.combine(until, datetime.max.time(), HERE) if until else None,
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {"retries": retries, "retry_delay": pause, "execution_timeout": longest},
    }
