"""Where an incremental batch begins: at the position that the batch before it left in its landing manifest.

Rows are read from that position on, the position itself included: rows of an equal value may have been
committed since, and what comes twice is resolved by key at the merge. Rows without a cursor value are read
every time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lake import landing
from lake.batch import Batch
from lake.records import Landed
from pipelines.context import Context
from schemas.errors import SourceError
from schemas.model import DatabaseSource, Entry

_ISO_DATE = "%Y-%m-%d"


def since(ctx: Context, entry: Entry, source: DatabaseSource, batch: Batch) -> tuple[str | None, str | None]:
    """(position of the newest earlier interval, where to read from); None and None for the first batch."""
    if source.cursor is None:
        return None, None
    earlier = (run for run in landing.history(ctx.settings, entry.id) if _before(run, batch))
    position = next((run.position for run in earlier if run.position and run.cursor == source.cursor), None)
    if position is None or not source.overlap:
        return position, position
    return position, rewind(position, source.overlap, entry.fields[source.cursor].formats, entry.id)


def _before(run: Landed, batch: Batch) -> bool:
    return (run.batch.end, run.batch.start) < (batch.end, batch.start)


def rewind(position: str, overlap: timedelta, formats: tuple[str, ...], dataset: str) -> str:
    """The position moved back by the overlap, in the same text form (dates to whole days).

    Raises SourceError where it is no date or time in ISO 8601 or one of the field's `formats`.
    """
    for form in (*formats, _ISO_DATE):
        try:
            return (datetime.strptime(position, form) - overlap).strftime(form)
        except ValueError:
            continue
        except OverflowError:
            break
    try:
        return str(datetime.fromisoformat(position) - overlap)
    except (ValueError, OverflowError):
        raise SourceError(
            "`overlap` needs a cursor of dates or times, and the last position is none",
            dataset=dataset,
            expected="ISO 8601, or a form that the field lists under `formats`",
            next_step="take `overlap` out of the entry, or choose another cursor",
        ) from None
