"""The first stage: what a department's source holds now becomes files of the landing zone, as received."""

from __future__ import annotations

from lake.batch import Batch
from lake.records import Landed
from pipelines.context import Context
from schemas.model import Entry


def collect(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """Land one batch by the entry's kind of source. A batch that is landed already is returned as it stands.

    Raises SourceError where the source is unreachable, changed its form or does not balance (nothing is landed then),
    and SettingsError where its connection is missing. Each kind is imported where it is used: a task of one dataset
    does not pay for the drivers of another's.
    """
    match entry.source.kind:
        case "database":
            from pipelines.sources.database import collect_database as collect_kind  # noqa: PLC0415
        case "file":
            from pipelines.sources.file import collect_file as collect_kind  # noqa: PLC0415
        case "http":
            from pipelines.sources.http import collect_http as collect_kind  # noqa: PLC0415
        case "lake":
            from pipelines.sources.lake import collect_lake as collect_kind  # noqa: PLC0415
    return collect_kind(ctx, entry, batch)
