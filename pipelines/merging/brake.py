"""The brake: before a batch is committed to the curated table, is what it would do far from usual?

    delete    share of the table's rows that it deletes           more than the entry allows
    change    share that it deletes or updates                    more than the entry allows
    arrive    rows that landed, beside the usual number           less than the entry asks for

The limits are the entry's `brake`, else those of policy.yaml. The usual number of rows is the median of earlier batches
that were collected on the same kind of day, working day or not, so that a holiday is held against holidays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from lake.batch import Batch
from lake.decisions import Hold
from lake.records import Merged
from pipelines.context import Context
from pipelines.deciding import require
from pipelines.proof.certifying import open_log
from schemas.model import Brake, Entry
from schemas.workdays import day_of, is_working_day


@dataclass(frozen=True)
class Usual:
    """Rows that landed with a batch, and what is usual: the median of `batches` earlier ones."""

    landed: int
    rows: float
    batches: int


def hold(ctx: Context, entry: Entry, planned: Merged, *, source: str, base: int | None) -> None:
    """Return where the merge may be committed. DecisionNeeded or Refused where it may not; nothing is changed then.

    `planned` are the counts of the merge, `source` the digest of its input, `base` the snapshot it is planned on: an
    approval is for these. The audit log has a keyed digest of `source`: what few rows hold is soon tried."""
    if planned.rows_in and planned.superseded == planned.rows_in:
        return  # a late batch that changes nothing
    usual = usual_rows(ctx, planned, entry.brake)
    reasons = tuple(_reasons(entry.brake, planned, usual))
    if not reasons:
        return
    names = ("rows_in", "inserted", "updated", "deleted", "total_before")
    saw: dict[str, int | str] = {name: getattr(planned, name) for name in names}
    saw |= {"base": str(base), "landed": usual.landed if usual else planned.rows_in}
    saw["input"] = open_log(ctx)[0].digest(source)
    require(ctx, Hold(batch=planned.batch, stage="merge", reasons=reasons, saw=saw, at=ctx.clock()))


def _reasons(brake: Brake, planned: Merged, usual: Usual | None) -> Iterator[str]:
    before = planned.total_before
    if before >= max(brake.from_rows, 1):
        changed = planned.deleted + planned.updated
        if planned.deleted > brake.delete * before:
            yield _share("delete", planned.deleted, before, brake.delete)
        if changed > brake.change * before:
            yield _share("delete or change", changed, before, brake.change)
    if usual and usual.rows >= max(brake.from_rows, 1) and usual.landed < brake.arrive * usual.rows:
        yield (
            f"it brings {usual.landed:,} rows where {usual.rows:,.0f} are usual "
            f"(median of {usual.batches} batches; at least {brake.arrive:.0%} are expected)"
        )


def _share(what: str, rows: int, before: int, limit: float) -> str:
    return (
        f"it would {what} {rows:,} of the table's {before:,} rows ({rows / before:.1%}, at most {limit:.0%})"
    )


def usual_rows(ctx: Context, planned: Merged, brake: Brake) -> Usual | None:
    """What is usual for the batch; None where too little is known of it or of those before it."""
    batch = planned.batch
    collected = [a for a in ctx.ledger.done(batch.dataset) if a.stage == "collect" and a.rows_out is not None]
    own = next((a.rows_out for a in collected if a.batch.id == batch.id), None)
    earlier = [
        a
        for a in collected
        if a.batch.end < batch.end and a.counts.get("files") and _working(a.batch) == _working(batch)
    ]
    newest = sorted(earlier, key=lambda a: a.batch.end)[-brake.history :]
    if own is None or len(newest) < brake.least:
        return None
    return Usual(own, median(a.rows_out or 0 for a in newest), len(newest))


def _working(batch: Batch) -> bool:
    """Whether the day that a batch is for is a working day."""
    return is_working_day(day_of(batch.start))
