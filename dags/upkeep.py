"""Upkeep of the lake, every morning when the night's collections are done: see `pipelines.upkeep`."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from dags.citywide import citywide
from dags.tasks import plainly
from schemas.settings import Settings


@plainly
def run() -> dict[str, int]:
    """Counts of what was removed and compacted."""
    from dags.connections import connect
    from pipelines.context import open_context
    from pipelines.upkeep import upkeep

    return upkeep(open_context(connect=connect)).counts


def upkeep_dag(settings: Settings) -> DAG:
    """One task. A missed morning is not made up for: the next one does its work."""
    with DAG(
        dag_id="xuanwu_upkeep",
        dag_display_name="日常维护 xuanwu_upkeep",
        description="Remove what is not granted or needed any more; compact small files",
        doc_md=__doc__,
        tags=["upkeep"],
        **citywide(
            "0 8 * * *", until=settings.until, pause=timedelta(minutes=10), longest=timedelta(hours=4)
        ),
    ) as dag:

        @task
        def upkeep() -> dict[str, int]:
            return run()

        upkeep()
    return dag


xuanwu_upkeep = upkeep_dag(Settings())
