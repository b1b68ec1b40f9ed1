"""A table as it stands at one moment: what is asked of it is asked of the same metadata, which is read once.

A metadata file is written once and never changed, so that a table that has not moved since is the one that was opened
before, with what was found out about it. Where it stands is asked of the catalogue each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Final

import pyarrow as pa
from pyiceberg.table import Table

from lake import commits, datafiles, live
from lake.deletes import Part, Positions
from schemas.errors import LakeError

MOST_TABLES: Final = 128
MOST_SNAPSHOTS: Final = 4
"""What is kept: of how many tables, and the files of how many of a table's snapshots."""


@dataclass(frozen=True)
class Opened:
    """What `Tables.open` gives; see there for a table that is asked one thing only. Safe where several threads ask."""

    table: Table
    _parts: OrderedDict[int | None, list[Part]] = field(
        default_factory=OrderedDict, repr=False, compare=False
    )
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def current_snapshot(self) -> int | None:
        """The id of the snapshot that readers see; None for a table that was never committed to."""
        snapshot = self.table.current_snapshot()
        return None if snapshot is None else snapshot.snapshot_id

    @cached_property
    def file_schema(self) -> pa.Schema:
        """The columns in Arrow types with field ids, the private ones marked."""
        return commits.arrow_schema(self.table)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns in Arrow types, without field ids."""
        return pa.schema([datafiles.plain(field, ids=False) for field in self.file_schema])

    def parts(self, snapshot: int | None = None) -> list[Part]:
        """The data files of a snapshot, sorted by path, each with the files that delete rows of it."""
        with self._lock:
            known = self._parts.get(snapshot)
        if known is None:
            found = commits.parts(self.table, snapshot)
            known = [found[path] for path in sorted(found)]
            with self._lock:
                self._parts[snapshot] = known
                if len(self._parts) > MOST_SNAPSHOTS:
                    self._parts.popitem(last=False)
        return known

    def snapshots(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Id and summary of the snapshots that led to the current one, the newest first; rolled-back ones are not
        among them."""
        for snapshot in commits.history(self.table):
            yield snapshot.snapshot_id, commits.summary(snapshot)

    def scan(
        self,
        columns: Sequence[str] | None = None,
        snapshot: int | None = None,
        *,
        skip: int = 0,
        rows: int = datafiles.BATCH_ROWS,
        only: datafiles.Only | None = None,
    ) -> pa.RecordBatchReader:
        """Stream rows in the table's types, file by file in bounded memory, at most so many `rows` at a time; of one
        snapshot always in one order, the first `skip` of them left out. LakeError for an unknown column.

        Where `only` wants some rows, others come too: with nulls in columns that needed not be read for them."""
        schema = self.file_schema
        names = schema.names if columns is None else list(columns)
        if unknown := sorted(set(names) - set(schema.names)):
            raise LakeError(
                f"{commits.name_of(self.table)} has no column {', '.join(unknown)}",
                expected=", ".join(schema.names),
            )
        batches = _after(skip, self.parts(snapshot), schema, names, most=rows, only=only)
        target = pa.schema([datafiles.plain(schema.field(name), ids=False) for name in names])
        return pa.RecordBatchReader.from_batches(target, batches)


class Kept:
    """The tables that were opened last, each by the metadata file that it stood at."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Opened] = OrderedDict()
        self._lock = Lock()

    def opened(self, metadata: str, load: Callable[[], Table]) -> Opened:
        """The table as this metadata file says."""
        with self._lock:
            found = self._kept.get(metadata)
            if found is not None:
                self._kept.move_to_end(metadata)
                return found
        found = Opened(load())
        with self._lock:
            self._kept[found.table.metadata_location] = found
            if len(self._kept) > MOST_TABLES:
                self._kept.popitem(last=False)
        return found


def _after(
    skip: int,
    parts: Sequence[Part],
    schema: pa.Schema,
    names: Sequence[str],
    *,
    most: int,
    only: datafiles.Only | None,
) -> Iterator[pa.RecordBatch]:
    """The rows of all parts but the first `skip`; a file, and a row group of one, that holds none of the rest is not
    read."""
    for part in parts:
        if skip and skip >= part.rows:
            skip -= part.rows
            continue
        gone = part.gone
        begin, passed = live.beginning(part.path, gone, skip) if skip else (0, 0)
        skip -= passed
        for batch, _ in live.rows(part.path, gone, schema, names, begin=begin, most=most, only=only):
            if skip < batch.num_rows:
                yield batch.slice(skip)
            skip = max(0, skip - batch.num_rows)


def left(part: Part, schema: pa.Schema, names: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Positions]]:
    """The rows of a part that are not deleted, with their places in its file."""
    return live.rows(part.path, part.gone, schema, names)
