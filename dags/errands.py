"""The exchange's errands, every quarter of an hour: tables of grants that are new or have ended, deliveries that are
due (the first of a new grant, and those that failed), and notices."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, TriggerRule, get_current_context, task

from dags.citywide import citywide
from dags.due import MAYBE, tell
from dags.tasks import plainly
from schemas.settings import Settings


@plainly
def refresh() -> int:
    """Tables of grants that were made or found up to date."""
    from dags.connections import connect
    from pipelines.context import open_context
    from pipelines.publishing.granting import refresh

    return sum(1 for _ in refresh(open_context(connect=connect)))


@plainly
def notify() -> dict[str, int]:
    """Counts of notices that are new, sent, to be tried again, given up."""
    from dags.connections import connect
    from pipelines.context import open_context
    from pipelines.notifying import notify

    return notify(open_context(connect=connect))


def exchange_dag(settings: Settings) -> DAG:
    """Notices wait for nothing; deliveries for the tables of grants. A missed quarter is not made up for: the next
    one does its work."""
    with DAG(
        dag_id="xuanwu_exchange",
        dag_display_name="共享交换 xuanwu_exchange",
        description="Tables of grants, notices to departments, and deliveries that are due",
        doc_md=__doc__,
        tags=["exchange"],
        **citywide(
            "*/15 * * * *", until=settings.until, pause=timedelta(minutes=2), longest=timedelta(hours=2)
        ),
    ) as dag:

        @task
        def grants() -> int:
            return refresh()

        @task
        def notices() -> dict[str, int]:
            return notify()

        @task(outlets=[MAYBE], trigger_rule=TriggerRule.ALL_DONE)
        def deliveries() -> list[int]:
            return tell(get_current_context()["outlet_events"])

        grants() >> deliveries()
        notices()
    return dag


xuanwu_exchange = exchange_dag(Settings())
