"""Which batch to run: a dataset and an interval, and for a derived dataset the input snapshots it is pinned to."""

from __future__ import annotations

from datetime import date

from lake.balance import previous
from lake.batch import Batch
from lake.ledger import Attempt
from lake.records import Stage
from pipelines.context import Context
from pipelines.intervals import Interval, interval_of, intervals_of, latest_interval
from schemas.errors import XuanwuError
from schemas.model import Entry, LakeSource


def batch_for(ctx: Context, entry: Entry, day: date | None = None) -> Batch:
    """The batch of a day (the interval that starts on it), or of the latest complete interval.

    A derived dataset has no schedule: its interval spans the latest batches of its inputs.

    XuanwuError where the day's interval has not ended: its batch would be newer than those that are to come, and
    they would count as late ones, which change nothing.
    """
    if entry.schedule is None:
        return batch_of(ctx, entry, input_interval(ctx, entry))
    latest = latest_interval(entry.schedule, ctx.clock())
    interval = interval_of(entry.schedule, day) if day else latest
    if interval[1] > latest[1]:
        raise XuanwuError(
            f"the interval of {day} ends at {interval[1]:%Y-%m-%d %H:%M %z}, which is still to come",
            dataset=entry.id,
            expected=f"a day up to {latest[0]:%Y-%m-%d}, whose interval is the latest that has ended",
            next_step=f"xuanwu run {entry.id} runs that one",
        )
    return batch_of(ctx, entry, interval)


def batches_for(ctx: Context, entry: Entry, day: date | None = None) -> list[Batch]:
    """The batches of a day: one for each interval that starts on it and has ended. XuanwuError where none has."""
    if entry.schedule is None or day is None:
        return [batch_for(ctx, entry, day)]
    latest = latest_interval(entry.schedule, ctx.clock())
    ended = [each for each in intervals_of(entry.schedule, day) if each[1] <= latest[1]]
    return [batch_of(ctx, entry, each) for each in ended] or [batch_for(ctx, entry, day)]


def newest_batch(ctx: Context, entry: Entry, start: Stage) -> Batch:
    """The newest batch that has come as far as `start`, a later stage: what that stage alone is run for. A batch that
    brought no file is not one: nothing was done with it."""
    before = previous(start)
    ready = [a for a in ctx.ledger.done(entry.id) if a.stage == before and a.counts.get("files") != 0]
    if not ready:
        raise XuanwuError(
            f"no batch of this dataset has come as far as {start} yet",
            dataset=entry.id,
            next_step=f"run it from its first stage: xuanwu run {entry.id}",
        )
    return max((attempt.batch for attempt in ready), key=lambda batch: (batch.end, batch.start))


def batch_by_id(ctx: Context, entry: Entry, batch_id: str) -> Batch:
    """The batch of an id that the ledger knows. XuanwuError where it knows none."""
    attempts = ctx.ledger.attempts(batch_id, entry.id)
    if not attempts:
        raise XuanwuError(
            "the ledger knows no such batch",
            dataset=entry.id,
            batch=batch_id,
            next_step=f"xuanwu status {entry.id} --all lists the batches",
        )
    return attempts[0].batch


def batch_of(ctx: Context, entry: Entry, interval: Interval) -> Batch:
    """The batch of an interval, pinned to the current snapshots of its inputs where it is derived."""
    pins = ""
    if isinstance(entry.source, LakeSource):
        from pipelines.sources.lake import pins as input_pins

        pins = input_pins(ctx, entry)
    return Batch(dataset=entry.id, start=interval[0], end=interval[1], pins=pins)


def input_interval(ctx: Context, entry: Entry) -> Interval:
    merged = [merges[-1].batch for name in entry.inputs if (merges := _merges(ctx, name))]
    if not merged:
        raise XuanwuError(
            "no input of this derived dataset has been merged yet",
            dataset=entry.id,
            next_step=f"run its inputs first: xuanwu run {' '.join(entry.inputs)}",
        )
    return min(batch.start for batch in merged), max(batch.end for batch in merged)


def _merges(ctx: Context, dataset: str) -> list[Attempt]:
    done = ctx.ledger.done(dataset)
    return [each for each in done if each.stage == "merge" and not each.batch.erasure]
