"""What a task does: find its batch, run one stage of it, and fail in plain words.

Everything heavy is imported inside, so that parsing a DAG file stays quick; LocalExecutor's tasks are forks of a
scheduler that has loaded it already (plugins/preload.py).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from lake.batch import Batch
    from lake.decisions import Verdict
    from lake.records import Merged, Stage
    from pipelines.context import Context

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Held(Exception):
    """A batch is held for a decision: what a person is asked, in counts."""

    def __init__(self, subject: str, body: str) -> None:
        super().__init__(body)
        self.subject, self.body = subject, body


def plainly(task: Callable[P, T]) -> Callable[P, T]:
    """An error of ours fails its task with its message and no traceback, and one that nobody foresaw with its kind and
    place: its own words, which the task's log would hold, may quote a value. Only a source that could not be read, a
    target that could not be delivered to, a lost race for a table, a stage that another process is at and what nobody
    foresaw are worth another try; a failed check or an unbalanced ledger will not mend itself."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        from pipelines.console.showing import logged
        from schemas.errors import (
            ColumnsMissing,
            CommitConflict,
            DeliveryError,
            DeliveryUnfit,
            SourceError,
            StageHeld,
            XuanwuError,
            unforeseen,
        )

        try:
            with logged():
                return task(*args, **kwargs)
        except (ColumnsMissing, DeliveryUnfit) as error:
            raise AirflowFailException(str(error)) from None
        except (SourceError, DeliveryError, CommitConflict, StageHeld) as error:
            raise RuntimeError(str(error)) from None
        except XuanwuError as error:
            raise AirflowFailException(str(error)) from None
        except (AirflowException, Held):
            raise
        except Exception as error:
            raise RuntimeError(unforeseen(error)) from None

    return run


def _context(dataset: str) -> Context:
    from dags.connections import connect
    from pipelines.context import open_context

    return open_context(connect=connect, datasets=[dataset])


def _interval(context: dict[str, Any]) -> tuple[datetime, datetime] | None:
    """The run's data interval; for an asset-triggered run the span of its triggering batches; None if neither."""
    if context.get("data_interval_start") and context.get("data_interval_end"):
        return context["data_interval_start"], context["data_interval_end"]
    extras = [
        event.extra
        for events in (context.get("triggering_asset_events") or {}).values()
        for event in events
        if event.extra.get("interval_start")
    ]
    if not extras:
        return None
    return (
        min(datetime.fromisoformat(extra["interval_start"]) for extra in extras),
        max(datetime.fromisoformat(extra["interval_end"]) for extra in extras),
    )


@plainly
def collect(dataset: str, context: dict[str, Any]) -> dict[str, Any]:
    """Run collection and return the batch's identity, which is what later tasks are given."""
    from dags.submitting import run_stage
    from pipelines.batches import batch_for, batch_of
    from pipelines.keys import missing
    from schemas.policy import keyed

    ctx = _context(dataset)
    entry = ctx.catalogue.entry(dataset)
    if said := missing(keyed(entry), ctx.settings.key_version, ctx.connect):
        log.warning("%s: %s", dataset, said)
    interval = _interval(context)
    batch = batch_of(ctx, entry, interval) if interval else batch_for(ctx, entry)
    run_stage(ctx, "collect", batch)
    return batch.model_dump(mode="json")


def collected(context: Any) -> dict[str, Any]:
    """What `collect` has returned in this run, which its stages share."""
    address: dict[str, Any] | None = context["ti"].xcom_pull(task_ids="collect")
    if address is None:
        raise AirflowFailException("`collect` has left no batch in this run; clear it, so that it runs again")
    return address


@plainly
def middle(stage: Stage, address: dict[str, Any]) -> None:
    """Run standardise or check. A batch that landed nothing new is skipped from here on."""
    from dags.submitting import run_stage
    from lake import recordstore
    from lake.batch import Batch

    batch = Batch.model_validate(address)
    ctx = _context(batch.dataset)
    if stage == "standardise" and not recordstore.load(ctx.settings, batch, "collect").files:  # type: ignore[attr-defined]
        raise AirflowSkipException("nothing new at the source: every file was loaded before")
    run_stage(ctx, stage, batch)


@plainly
def merge(address: dict[str, Any]) -> dict[str, Any]:
    """Run the merge and return what an asset event says of it: the batch, its interval, the snapshot. Held where the
    batch waits for a decision."""
    from dags.submitting import run_stage
    from lake.batch import Batch
    from schemas.errors import DecisionNeeded, Refused

    batch = Batch.model_validate(address)
    try:
        merged: Merged = run_stage(_context(batch.dataset), "merge", batch)  # type: ignore[assignment]
    except Refused:
        raise
    except DecisionNeeded as error:
        raise Held(f"批次待决 {batch.dataset} {batch.id} waits for a decision", error.message) from None
    return _event(batch, merged.snapshot)


@plainly
def decided(address: dict[str, Any], decision: Verdict, *, by: str, why: str) -> dict[str, Any]:
    """Write down what a person answered, then merge: a batch that was refused fails with who did it and why."""
    from lake.batch import Batch
    from pipelines.deciding import decide

    batch = Batch.model_validate(address)
    ctx = _context(batch.dataset)
    decide(ctx, ctx.catalogue.entry(batch.dataset), decision, by=by, why=why, batch=batch.id, stage="merge")
    return merge(address)


@plainly
def publish(address: dict[str, Any], zone: str) -> None:
    """Publish every policy of a zone, and of the share zone the tables of grants; then take away what is no longer
    granted."""
    from dags.submitting import run_stage
    from lake.batch import Batch
    from pipelines.publishing.granting import publish_granted
    from pipelines.stages import parts, withdraw_ungranted

    batch = Batch.model_validate(address)
    ctx = _context(batch.dataset)
    entry = ctx.catalogue.entry(batch.dataset)
    for part in parts(entry, "publish"):
        if part.startswith(f"{zone}/"):
            run_stage(ctx, "publish", batch, part)
    for _ in publish_granted(ctx, batch, run_stage) if zone == "share" else ():
        pass
    withdraw_ungranted(ctx, entry)


def _event(batch: Batch, snapshot: int) -> dict[str, Any]:
    return {
        "batch": batch.id,
        "interval_start": batch.start.isoformat(),
        "interval_end": batch.end.isoformat(),
        "snapshot": str(snapshot),
    }


def retries() -> int:
    """How often a dataset's task is tried again; `XUANWU_RETRIES` for a rehearsal that should fail at once."""
    return int(os.environ.get("XUANWU_RETRIES", "3"))
