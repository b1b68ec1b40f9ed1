"""Batches that stopped in the middle because a process ended: seen in `xuanwu status`, taken up by `xuanwu resume`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from lake.batch import Batch
from lake.ledger import Attempt
from lake.records import STAGES, Stage
from pipelines.context import Context
from pipelines.outcome import decisive, still_wanted
from pipelines.stages import parts
from schemas.model import Entry
from schemas.policy import written

IDLE: Final = timedelta(hours=1)
"""So long a batch may wait between two stages, as it does for a place among Airflow's tasks, before it is stuck."""


def stuck_at(
    entry: Entry | None, attempts: Sequence[Attempt], before: Sequence[Attempt], now: datetime
) -> Stage | None:
    """The stage at which a batch is stuck; None where it is not. `attempts` are the batch's, `before` those of the
    dataset's batch before: a publication that neither of them ever had is one that the entry has gained since.

    Where several are stuck, as after an interruption between two stages that came just as the later one began, it is
    the earliest. A batch that was run again is judged by its last run: what a later stage did before that is done
    anew."""
    if stopped := [each.stage for each in attempts if each.state == "stuck"]:
        return min(stopped, key=STAGES.index)
    last = decisive(last_run(attempts))
    if entry is None or last.state != "done" or not last.finished or now - last.finished < IDLE:
        return None
    if last.stage == "collect" and not last.counts.get("files"):
        return None
    begun = {(each.stage, each.part) for each in attempts}
    known = begun | {(each.stage, each.part) for each in before}
    begun = {(each.stage, each.part) for each in last_run(attempts)}
    for stage in STAGES[STAGES.index(last.stage) :]:
        wanted = {(stage, part) for part in parts(entry, stage)}
        if missing := wanted - begun:
            return stage if not before or missing & known else None
    return None


def last_run(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """The attempts since the last time that an earlier stage was begun after a later one."""
    start = len(attempts) - 1
    while start and STAGES.index(attempts[start - 1].stage) <= STAGES.index(attempts[start].stage):
        start -= 1
    return attempts[start:]


def stuck(
    ctx: Context, datasets: Iterable[str], attempts: Sequence[Attempt] | None = None
) -> Iterator[tuple[Batch, Stage]]:
    """Every batch of these datasets that is stuck, the oldest first, with the stage to take it up at; by the ledger,
    or by these attempts, which were read from it."""
    found = still_wanted(ctx, ctx.ledger.runs()) if attempts is None else attempts
    for dataset in datasets:
        batches: dict[str, list[Attempt]] = {}
        for attempt in (each for each in found if each.batch.dataset == dataset):
            batches.setdefault(attempt.batch.id, []).append(attempt)
        before: list[Attempt] = []
        for _, own in sorted(batches.items()):
            stage = stuck_at(ctx.catalogue.entries.get(dataset), own, before, ctx.clock())
            if stage is not None:
                yield own[-1].batch, stage
            before = own


def leave(ctx: Context, batch: Batch, stage: Stage) -> None:
    """Write down that this process ends while the batch is at this stage, or about to come to it: from now on it is
    stuck there for every machine, not only for those that see the process die."""
    if not any(each.state == "running" for each in ctx.ledger.attempts(batch.id, batch.dataset)):
        for part in parts(written(ctx.catalogue.entry(batch.dataset)), stage)[:1]:
            ctx.ledger.begin(batch, stage, part)
    ctx.ledger.leave()
