"""Rows that a table must not hold any more, nor remember: erased from its files, its snapshots and its manifests.

`erase` commits the table without the rows. Snapshots from before still hold them, and so do the manifests of the new
one: they list the files that it removed with their smallest and largest values. So a second commit, which changes
nothing, leaves manifests of what is there alone; and `forget_past` then forgets every older snapshot and removes the
files that they alone had named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lake import store
from lake.deletes import Part
from lake.tables import Tables
from lake.upkeep import expire, leads_to
from lake.zones import Identifier
from schemas.errors import LakeError

Hit = Callable[[pa.RecordBatch], pa.Array]
"""Which rows of a batch, in the table's columns, are to go: a boolean for each, none null."""


@dataclass(frozen=True)
class Gone:
    """Rows of the table before and after, and how many data files held rows to be removed. `snapshot` is the
    table's now."""

    before: int
    after: int
    files: int
    snapshot: int


def holds(tables: Tables, table: Identifier, hit: Hit) -> tuple[int, int]:
    """Rows to go that readers of the table see, and those that any file of its folder holds: of older snapshots,
    deleted ones, and what a killed process left."""
    if not tables.exists(table):
        return 0, 0
    seen = sum(_hits(tables.read_part(table, part), hit) for part in tables.parts(table))
    held = sum(_hits(tables.read_file(table, path), hit) for path in _parquet(tables, table))
    return seen, held


def _parquet(tables: Tables, table: Identifier) -> list[str]:
    return [path for path in store.list_files(tables.location(table)) if path.endswith(".parquet")]


def _hits(batches: Iterable[pa.RecordBatch], hit: Hit) -> int:
    return sum(pc.sum(hit(batch)).as_py() or 0 for batch in batches)


def erase(
    tables: Tables, table: Identifier, hit: Hit, properties: Callable[[int, int], Mapping[str, str]]
) -> Gone:
    """The table without the rows, in a snapshot with these properties (of the rows before and after); there is one
    even where no row was to go. A file that holds a row to go is written anew, though the row be marked as deleted.
    CommitConflict if another run commits meanwhile."""
    base = tables.current_snapshot(table)
    parts = tables.parts(table)
    touched = [part for part in parts if _hits(tables.read_file(table, part.path), hit)]
    gone = sum(_hits(tables.read_part(table, part), hit) for part in touched)
    before = sum(part.rows for part in parts)
    said = properties(before, before - gone)
    left = sum(part.rows for part in touched) - gone
    kept = pa.RecordBatchReader.from_batches(tables.schema(table), _kept(tables, table, touched, hit, left))
    paths = [part.path for part in touched]
    made = tables.replace(table, kept if touched else None, paths, said, base=base)
    return Gone(before, before - gone, len(touched), tables.replace(table, None, (), said, base=made))


def _kept(
    tables: Tables, table: Identifier, parts: list[Part], hit: Hit, expected: int
) -> Iterator[pa.RecordBatch]:
    rows = 0
    for part in parts:
        for batch in tables.read_part(table, part):
            kept = batch.filter(pc.invert(hit(batch)))
            rows += kept.num_rows
            yield kept
    if rows != expected:
        raise LakeError(f"{rows} rows of {'.'.join(table)} would stay instead of {expected}")


def forget_past(tables: Tables, table: Identifier, attest: Callable[[Identifier], None]) -> int:
    """Only the current snapshot is known afterwards, and no file lies there that it does not lead to; returns how
    many were removed. `attest` says in between what the table is now, since its proof names its files. Files of
    a process that is writing to the table just now would go too: its commit would then fail, since the table has
    moved on."""
    if not tables.exists(table):
        return 0
    found = store.list_files(tables.location(table))
    expire(tables, table, None)
    attest(table)
    kept = leads_to(tables, table)
    gone = [path for path in found if path not in kept]
    for path in gone:
        store.remove_file(path)
    return len(gone)
