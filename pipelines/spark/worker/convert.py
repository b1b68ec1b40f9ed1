"""A part of what landed in the entry's types, as one file of the batch."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from lake import parquet, store
from lake.records import LandedFile
from lake.rejected import SCHEMA
from pipelines.casting.converting import Column, Tally, Work, good
from pipelines.drift.codes import Unknown
from pipelines.quarantine.laid import Corrections
from schemas.arrow import standard_schema
from schemas.model import Entry


@dataclass(frozen=True)
class Unit:
    """A landed file, or neighbouring row groups of one; `first` is the `_seq` of its first row."""

    number: int
    file: LandedFile
    first: int
    rows: int
    groups: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        return f"{self.number:05d}.parquet"


@dataclass(frozen=True)
class Shared:
    """What every task is given."""

    entry: Entry
    columns: tuple[Column, ...]
    corrections: Corrections
    batch: str
    at: datetime
    folder: str


@dataclass(frozen=True)
class Done:
    rows_in: int
    rows_out: int
    corrected: int
    rejects: str | None
    unknown: dict[str, Counter[str]]


@dataclass
class _Rejects:
    """Rows set aside, as a file that is there only if there are any."""

    path: str
    stack: ExitStack
    writer: parquet.Writer | None = None

    def write(self, rows: pa.RecordBatch) -> None:
        if self.writer is None:
            self.writer = self.stack.enter_context(store.atomic_parquet(self.path, SCHEMA, statistics=False))
        self.writer.write_table(pa.Table.from_batches([rows]))


def convert(shared: Shared, unit: Unit) -> Done:
    """On a worker: the unit's rows in the entry's types, written under its own name."""
    schema, tally = standard_schema(shared.entry), Tally(rows_in=unit.first)
    unknown: Unknown = {}
    with ExitStack() as stack:
        rejects = _Rejects(store.join(shared.folder, "rejects", unit.name), stack)
        work = Work(
            shared.batch, shared.columns, schema, shared.corrections, rejects, unknown, tally, shared.at
        )
        path = store.join(shared.folder, "rows", unit.name)
        writer = stack.enter_context(store.atomic_parquet(path, schema, statistics=False))
        for table in store.row_groups(good(shared.entry, [unit.file], work, unit.groups), schema):
            writer.write_table(table)
    aside = rejects.path if rejects.writer else None
    return Done(tally.rows_in - unit.first, tally.rows_out, tally.corrected, aside, dict(unknown))
