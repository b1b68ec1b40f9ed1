"""The merge as a task that can wait for a person: an ordinary run merges and is done; a held batch asks in Airflow's UI
("Required actions"), parks without a worker, and goes on, or ends, with the answer. There is no other task for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, Param
from airflow.sdk.exceptions import AirflowFailException

from dags import tasks

if TYPE_CHECKING:
    from lake.decisions import Verdict

APPROVE: Final = "批准 Approve"
REFUSE: Final = "驳回 Refuse"
NO_REASON: Final = "未写理由 no reason given"
"""Airflow checks a task's parameters before it runs, when there is no reason yet: it cannot insist on one."""


class MergeOperator(HITLOperator):
    """The event of `curated` says which batch changed the table."""

    template_fields: Sequence[str] = ()

    def __init__(self, *, curated: Asset, days: int, **kwargs: Any) -> None:
        super().__init__(
            subject="批次待决 A batch waits for a decision",
            options=[APPROVE, REFUSE],
            params={
                "why": Param(
                    "",
                    type="string",
                    maxLength=1000,
                    title="理由 Why",
                    description="入审计日志 For the audit log",
                )
            },
            response_timeout=timedelta(days=days),
            outlets=[curated],
            **kwargs,
        )
        self.curated = curated

    def execute(self, context: Any) -> None:
        self._merge(context, tasks.merge)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:
        """The answer: written down and logged, then merged, or the task fails and says who refused."""
        answer = super().execute_complete(context, event)
        who = answer["responded_by_user"] or {}
        by = who.get("name") or who.get("id") or "Airflow"
        decision: Verdict = "approve" if answer["chosen_options"] == [APPROVE] else "refuse"
        why = str((answer["params_input"] or {}).get("why") or "").strip() or NO_REASON
        self._merge(context, lambda batch: tasks.decided(batch, decision, by=str(by), why=why))

    def _merge(self, context: Any, run: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        try:
            said = run(tasks.collected(context))
        except tasks.Held as held:
            self.subject, self.body = held.subject, held.body
            super().execute(context)
            raise AirflowFailException(held.body) from None
        context["outlet_events"][self.curated].extra.update(said)
