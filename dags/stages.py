"""The stages as Airflow's operators. Functions under `@task` would do the same, and make the parsing of a thousand DAGs
half as long again: each has its signature inspected, and sets its relations twice."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from dags import tasks
from dags.due import tell


class CollectOperator(BaseOperator):
    """Returns the identity of the batch that it collected: the other stages ask for it."""

    def execute(self, context: Any) -> dict[str, Any]:
        return tasks.collect(self.dag_id, dict(context))


class StageOperator(BaseOperator):
    """Standardise or check, as the task is called."""

    def execute(self, context: Any) -> None:
        tasks.middle(self.task_id, tasks.collected(context))  # type: ignore[arg-type]


class PublishOperator(BaseOperator):
    """Publish to one zone, `publish_share` or `publish_open`. What was shared may be due to recipients."""

    def execute(self, context: Any) -> None:
        zone = self.task_id.removeprefix("publish_")
        tasks.publish(tasks.collected(context), zone)
        if zone == "share":
            tell(context["outlet_events"], self.dag_id)
