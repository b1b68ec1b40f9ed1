"""Which batches are run again from standardise: after corrections, or after a changed rule."""

from __future__ import annotations

from collections.abc import Iterator

from lake import quarantine
from lake.batch import Batch
from pipelines.batches import batch_by_id
from pipelines.context import Context
from pipelines.quarantine.corrections import waiting
from schemas.model import Entry


def to_replay(
    ctx: Context, entry: Entry, batch: str | None = None, *, every: bool = False
) -> Iterator[Batch]:
    """The batches of a dataset that have corrections which were not laid over them yet, the oldest first; or the named
    one; or, with `every`, all that have rows set aside. XuanwuError where the ledger knows no such batch."""
    if batch is not None:
        yield batch_by_id(ctx, entry, batch)
        return
    names = set(waiting(ctx, entry.id))
    if every:
        names |= {row.batch for row in quarantine.summary(ctx.tables, entry.id)}
    for name in sorted(names):
        yield batch_by_id(ctx, entry, name)
