"""Compaction: what many batches left as many small files becomes few, in an order by which readers prune.

The rows stay what they are, `_batch` with them; deleted rows go. It is one commit on the snapshot that was read: a
merge that comes first makes it wait for the next upkeep, one that comes later plans again (`pipelines.merge`). Its
snapshot is no batch's, so it says no batch, and it passes on what merges must find (`newest_end`). Published tables
are not compacted: each publication writes them whole, and their certificates name their files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lake import balance, datafiles, progress, properties
from lake.deletes import Part
from lake.version import code_version
from lake.zones import Identifier, identifier
from pipelines.context import Context
from pipelines.engine import engine, engine_errors
from pipelines.merging import sql
from schemas.errors import CommitConflict, Unbalanced
from schemas.model import Entry
from schemas.sql import quote

BATCH_ROWS: Final = 32 * 1024
LEAST: Final = 8
"""So many small files are worth a rewrite."""
MOST_ROWS: Final = 50_000_000
"""A table's rows that one upkeep rewrites; the next one goes on."""
SET_ASIDE: Final = ("batch", "stage", "file", "row")


@dataclass(frozen=True)
class Compacted:
    """Data files and rows of all tables that were rewritten, and the files that they have become."""

    files: int = 0
    into: int = 0
    rows: int = 0

    def __add__(self, other: Compacted) -> Compacted:
        return Compacted(self.files + other.files, self.into + other.into, self.rows + other.rows)


def compact_all(ctx: Context) -> Compacted:
    """Every dataset's curated table and quarantine that is worth it."""
    done = Compacted()
    there = {*ctx.tables.identifiers("curated"), *ctx.tables.identifiers("quarantine")}
    orders = {table: order for table, order in _tables(ctx) if table in there}
    with progress.going("compact", len(orders), "tables"):
        for table, order in orders.items():
            done += compact(ctx, table, order)
            progress.passed(1)
    return done


def _tables(ctx: Context) -> Iterator[tuple[Identifier, tuple[str, ...]]]:
    for entry in ctx.catalogue.entries.values():
        yield identifier("curated", entry.id), order_of(entry)
        yield identifier("quarantine", entry.id), SET_ASIDE


def order_of(entry: Entry) -> tuple[str, ...]:
    """The columns that rows are sorted by. What is only ever added to is asked for by time; a register is asked for by
    its key, and so is every merge into it."""
    times = [name for name, field in entry.fields.items() if field.type in ("timestamp", "date")]
    first = times[:1] if entry.merge.kind == "append" else []
    return tuple(dict.fromkeys([*first, *entry.key]))


def compact(ctx: Context, table: Identifier, order: tuple[str, ...]) -> Compacted:
    """Rewrite the table's small files if they are many. EngineError where the engine failed, Unbalanced where rows
    would be lost; nothing is committed then."""
    base = ctx.tables.current_snapshot(table)
    if base is None:
        return Compacted()
    small = _small(ctx.tables.parts(table, base))
    if len(small) < LEAST:
        return Compacted()
    expected = sum(part.rows for part in small)
    failing = engine_errors(f"compact {'.'.join(table)}", "upkeep")
    with progress.going(f"compact {table[1]}", expected), failing:
        rows = _rows(ctx, table, small, order, expected)
        written: list[str] = []

        def writer(folder: str, schema: pa.Schema) -> list[str]:
            written.extend(datafiles.write_all(folder, schema, rows))
            return written

        try:
            ctx.tables.replace(
                table, writer, [part.path for part in small], _said(ctx, table, base), base=base
            )
        except CommitConflict:
            return Compacted()
    return Compacted(len(small), len(written), expected)


def _small(parts: list[Part]) -> list[Part]:
    """The files that are less than half of what a file may be, the smallest first, as far as one upkeep goes."""
    small = [
        part
        for part in parts
        if part.rows < datafiles.FILE_ROWS // 2 and part.file.file_size_in_bytes < datafiles.FILE_BYTES // 2
    ]
    chosen, rows = [], 0
    for part in sorted(small, key=lambda each: (each.rows, each.path)):
        rows += part.rows
        if rows > MOST_ROWS:
            break
        chosen.append(part)
    return chosen


def _rows(
    ctx: Context, table: Identifier, parts: list[Part], order: tuple[str, ...], expected: int
) -> Iterator[pa.RecordBatch]:
    """The rows that are left of these files, sorted; DuckDB spills what its memory cannot hold."""
    schema, passed = ctx.tables.schema(table), 0
    origin = [pa.field(sql.FILE, pa.string()), pa.field(sql.AT, pa.int64())]
    columns, by = (", ".join(map(quote, names)) for names in (schema.names, order))
    with engine(ctx.settings) as db:
        db.register("stored_form", pa.schema([*schema, *origin]).empty_table())
        query = f"SELECT {columns} FROM ({sql.stored_rows(parts)}) ORDER BY {by}"
        for batch in db.execute(query).to_arrow_reader(BATCH_ROWS):
            passed += batch.num_rows
            progress.passed(batch.num_rows)
            yield batch
    if passed != expected:
        what = balance.Sum((("rows written", passed),), (("rows read", expected),))
        raise Unbalanced(f"{'.'.join(table)} was not compacted: {what}", rule="nothing lost (law 2)")


def _said(ctx: Context, table: Identifier, base: int) -> dict[str, str]:
    """What the snapshot says: that it is a compaction, of what, and what a later merge looks for."""
    ends = (properties.said(summary, "newest_end") for _, summary in ctx.tables.snapshots(table))
    newest = next((end for end in ends if end), None)
    kept = {"newest_end": newest} if newest else {}
    return properties.named(compacted=str(base), code_version=code_version(), **kept)
