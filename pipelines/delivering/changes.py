"""What changed of a published table between two of its snapshots, from their files alone: which are new, which are
gone, and of which that stayed rows were deleted since (`lake.deletes`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from lake.deletes import Part, Positions
from lake.tables import Tables
from lake.zones import Identifier
from pipelines.delivering.order import Change
from pipelines.publishing.increments import changed
from schemas.errors import LakeError


def change(
    tables: Tables, table: Identifier, keys: Sequence[str], *, since: int, until: int
) -> Change | None:
    """The rows that came and the keys of those that went; None where upkeep has forgotten the older snapshot, the table
    was begun anew since, or a deleted row has come back."""
    if since not in {snapshot for snapshot, _ in tables.snapshots(table)}:
        return None
    try:
        before, after = (tables.parts(table, each) for each in (since, until))
    except LakeError:
        return None
    if (became := changed(before, after)) is None:
        return None
    old = sorted((part for part in before if part.path in became.gone), key=lambda part: part.path)
    new = sorted(became.fresh, key=lambda part: part.path)
    schema = tables.schema(table)
    fresh = (rows for part in new for rows in tables.read_part(table, part))
    went = (rows for part in old for rows in _keys(tables, table, part, became.gone[part.path], keys))
    return Change(
        pa.RecordBatchReader.from_batches(schema, _plain(fresh, schema)),
        pa.RecordBatchReader.from_batches(
            only := pa.schema([schema.field(key) for key in keys]), _plain(went, only)
        ),
    )


def _keys(
    tables: Tables, table: Identifier, part: Part, places: Positions | None, keys: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The keys of a part's rows: of all that were left, or of those at these places."""
    if places is not None:
        yield from tables.read_at(table, part, keys, places)
        return
    for rows, _ in tables.read_places(table, part, keys):
        yield rows


def _plain(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches without the field ids of their files."""
    return (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches)
