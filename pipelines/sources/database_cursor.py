"""Where an incremental batch begins: at the position that the batch before it left in its landing manifest.

Rows are read from that position on, the position itself included: rows of an equal value may have been
committed since, and what comes twice is resolved by key at the merge. Rows without a cursor value are read
every time.

One row with a time to come, 2099 for 2009, would end the reading for good: nothing that is changed today lies behind
it. So a position that is later than its own collection is not begun at, but a day before that collection. Nor is one
beyond the calendar, which PostgreSQL knows: `infinity`, and years of five digits and more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from lake import landing
from lake.batch import Batch
from lake.records import Landed
from pipelines.context import Context
from schemas.errors import SourceError
from schemas.model import DatabaseSource, Entry

_ISO_DATE = "%Y-%m-%d"
DAY: Final = timedelta(days=1)
"""More than clocks and time zones differ: a position that carries no zone is read as UTC."""
_BEYOND: Final = re.compile(r"infinity|\d{5,}-")


def since(ctx: Context, entry: Entry, source: DatabaseSource, batch: Batch) -> tuple[str | None, str | None]:
    """(position of the newest earlier interval, where to read from); None and None for the first batch."""
    if source.cursor is None:
        return None, None
    run = _newest(ctx, entry, source, batch)
    if run is None or run.position is None:
        return None, None
    formats = entry.fields[source.cursor].formats
    start = _not_to_come(run, entry)
    return run.position, rewind(start, source.overlap, formats, entry.id) if source.overlap else start


def _newest(ctx: Context, entry: Entry, source: DatabaseSource, batch: Batch) -> Landed | None:
    """The newest earlier batch with a position; None where one since then was collected by another cursor, or by none:
    then reading begins anew."""
    for run in landing.history(ctx.settings, entry.id):
        if _before(run, batch):
            if run.cursor != source.cursor:
                return None
            if run.position:
                return run
    return None


def _not_to_come(run: Landed, entry: Entry) -> str:
    """A batch's position; a day before the batch was collected, where the position is later than the day after."""
    position, field = str(run.position), entry.fields[str(run.cursor)]
    if field.type not in ("date", "timestamp"):
        return position
    moved = _moved(position, lambda moment: _bounded(moment, run.collected_at), field.formats)
    if moved is None and _BEYOND.match(position):
        before = (run.collected_at.astimezone(UTC) - DAY).replace(microsecond=0, tzinfo=None)
        return before.strftime(field.formats[0]) if field.formats else str(before)
    return moved or position


def _bounded(moment: datetime, collected: datetime) -> datetime:
    at = collected.astimezone(UTC)
    if moment.tzinfo is None:
        at = at.replace(tzinfo=None)
    return (at - DAY).replace(microsecond=0) if moment > at + DAY else moment


def odd(entry: Entry, run: Landed) -> list[str]:
    """What is odd about where a batch left its cursor, in sentences: it stands later than its collection, or no row
    stands there any more."""
    if not run.position or not run.cursor or run.cursor not in entry.fields:
        return []
    found = []
    if _not_to_come(run, entry) != run.position:
        found.append(
            f"cursor `{run.cursor}` reaches {run.position}, later than its collection: each batch reads from a day "
            f"before the last one's collection on; ask {entry.owner} to correct the row"
        )
    if run.rows == 0:
        found.append(
            f"no row is at cursor `{run.cursor}`'s last position, {run.position}, or after it: the newest was deleted, "
            f"or the source went back; then have one batch collected without `cursor`, and begin anew"
        )
    return found


def _before(run: Landed, batch: Batch) -> bool:
    return (run.batch.end, run.batch.start) < (batch.end, batch.start)


def rewind(position: str, overlap: timedelta, formats: tuple[str, ...], dataset: str) -> str:
    """The position moved back by the overlap, in the same text form (dates to whole days).

    Raises SourceError where it is no date or time in ISO 8601 or one of the field's `formats`.
    """
    moved = _moved(position, lambda moment: moment - overlap, formats)
    if moved is None:
        raise SourceError(
            "`overlap` needs a cursor of dates or times, and the last position is none",
            dataset=dataset,
            expected="ISO 8601, or a form that the field lists under `formats`",
            next_step="take `overlap` out of the entry, or choose another cursor",
        )
    return moved


def _moved(position: str, move: Callable[[datetime], datetime], formats: tuple[str, ...]) -> str | None:
    """The position moved, in the same text form; as it is where it does not move. None where it is no date or time in
    one of the forms or in ISO 8601, or would leave the calendar."""
    try:
        for form in (*formats, _ISO_DATE):
            with suppress(ValueError):
                moment = datetime.strptime(position, form)
                return position if move(moment) == moment else move(moment).strftime(form)
        moment = datetime.fromisoformat(position)
        return position if move(moment) == moment else str(move(moment))
    except (ValueError, OverflowError):
        return None
