"""What the newest batch of a dataset showed to be different at its source, in sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lake import landing, recordstore
from lake.records import Standardised
from pipelines.context import Context
from pipelines.drift.clocks import Clocks, Unfollowed
from pipelines.drift.codes import sentences
from pipelines.drift.judge import baseline, changes
from pipelines.sources.database_cursor import odd
from schemas.model import Entry


@dataclass(frozen=True)
class Drifted:
    """`before` is the batch that it is held against; None where only codes are told of a first batch, or only clocks
    run (`due`): then `batch` is where the first of these changes was noticed."""

    dataset: str
    batch: str
    before: str | None
    sentences: tuple[str, ...]
    due: tuple[Unfollowed, ...] = ()


def told(ctx: Context, entry: Entry, clocks: Clocks | None = None) -> Drifted | None:
    """The newest landed batch beside the one before, and what the entry does not follow; None where nothing changed."""
    due = tuple((clocks or Clocks(ctx)).of(entry))
    found = _landed(ctx, entry)
    if found is not None or not due:
        return found and replace(found, due=due)
    return Drifted(entry.id, due[0].batch, None, (), due)


def _landed(ctx: Context, entry: Entry) -> Drifted | None:
    newest = next((each for each in landing.history(ctx.settings, entry.id) if each.files), None)
    if newest is None:
        return None
    before = baseline(ctx, newest.batch)
    found = [each.sentence for each in changes(entry, before, newest)] if before is not None else []
    found += odd(entry, newest)
    if recordstore.exists(ctx.settings, newest.batch, "standardise"):
        record = recordstore.load(ctx.settings, newest.batch, "standardise")
        assert isinstance(record, Standardised)  # noqa: S101
        found += sentences(entry.fields, record.unknown_codes)
    return (
        Drifted(entry.id, newest.batch.id, before.batch.id if before else None, tuple(found))
        if found
        else None
    )
