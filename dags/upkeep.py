"""Upkeep of the lake, every morning when the night's collections are done: see `pipelines.upkeep`."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.tasks import plainly
from schemas.settings import Settings

CITY = "Asia/Shanghai"


@plainly
def run() -> dict[str, int]:
    """Counts of what was removed and compacted."""
    from dags.connections import connect
    from pipelines.context import open_context
    from pipelines.upkeep import upkeep

    return upkeep(open_context(connect=connect)).counts


def upkeep_dag(settings: Settings) -> DAG:
    """One task. A missed morning is not made up for: the next one does its work."""
    day, last = settings.until, datetime.max.time()
    until = datetime.combine(day, last, ZoneInfo(CITY)) if day else None
    with DAG(
        dag_id="xuanwu_upkeep",
        dag_display_name="日常维护 xuanwu_upkeep",
        description="Remove what is not granted or needed any more; compact small files",
        doc_md=__doc__,
        schedule=CronTriggerTimetable("0 8 * * *", timezone=CITY),
        start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo(CITY)),
        end_date=until,
        catchup=False,
        max_active_runs=1,
        tags=["upkeep"],
        default_args={
            "retries": 1,
            "retry_delay": timedelta(minutes=10),
            "execution_timeout": timedelta(hours=4),
        },
    ) as dag:

        @task
        def upkeep() -> dict[str, int]:
            return run()

        upkeep()
    return dag


xuanwu_upkeep = upkeep_dag(Settings())
