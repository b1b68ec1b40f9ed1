"""The first stage: what a department's source holds now becomes files of the landing zone, as received."""

from __future__ import annotations

from collections.abc import Callable

from lake.batch import Batch
from lake.records import Landed
from pipelines.context import Context
from pipelines.drift.judge import explained
from schemas.model import Entry


def collect(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """Land one batch by the entry's kind of source. A batch that is landed already is returned as it stands.

    Raises SourceError where the source is unreachable, changed its form or does not balance, DecisionNeeded where a
    column's type changed (nothing is landed then), and SettingsError where its connection is missing.
    """
    with explained(ctx, entry, batch):
        return _collector(entry.source.kind)(ctx, entry, batch)


def _collector(kind: str) -> Callable[[Context, Entry, Batch], Landed]:
    """Imported where it is used: a task of one dataset does not pay for the drivers of another's."""
    if kind == "database":
        from pipelines.sources.database import collect_database

        return collect_database
    if kind == "file":
        from pipelines.sources.file import collect_file

        return collect_file
    if kind == "http":
        from pipelines.sources.http import collect_http

        return collect_http
    if kind == "exchange":
        from pipelines.sources.exchange import collect_exchange

        return collect_exchange
    from pipelines.sources.lake import collect_lake

    return collect_lake
