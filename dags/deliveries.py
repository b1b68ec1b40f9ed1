"""Deliveries (交付): new snapshots into departments' own tables and folders, as soon as they are published.

Each delivery is a task of its own: one that fails keeps no other waiting, and is tried again by a later run.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from dags import tasks
from dags.citywide import citywide
from dags.due import DUE
from dags.due import due as due_now

AT_ONCE = 4
"""Deliveries that are made at one time."""


@tasks.plainly
def deliver_one(number: int) -> dict[str, int]:
    """Counts of the receipt."""
    from dataclasses import asdict

    from dags.connections import connect
    from pipelines.context import open_context
    from pipelines.delivering.deliver import deliver, open_desk
    from schemas.errors import SettingsError

    ctx = open_context(connect=connect)
    desk = open_desk(ctx)
    if desk is None:
        raise SettingsError("there is no exchange here", next_step="see XUANWU_EXCHANGE")
    return asdict(deliver(ctx, desk, number).counts)


def delivery_dag() -> DAG:
    """What is due when a run begins, each in a task. A table that was published meanwhile makes the next run."""
    with DAG(
        dag_id="xuanwu_delivery",
        dag_display_name="数据交付 xuanwu_delivery",
        description="New snapshots into departments' own tables and folders",
        doc_md=__doc__,
        tags=["exchange"],
        **citywide(
            [DUE], retries=min(1, tasks.retries()), pause=timedelta(minutes=1), longest=timedelta(hours=4)
        ),
    ) as dag:

        @task
        def due() -> list[int]:
            return due_now()

        @task(max_active_tis_per_dag=AT_ONCE)
        def deliver(number: int) -> dict[str, int]:
            return deliver_one(number)

        deliver.expand(number=due())
    return dag


xuanwu_delivery = delivery_dag()
