"""Standardise: landed files become one Parquet file in the entry's types; rows that do not convert are set
aside.

    each file ─readers─► batches of source columns ─casts─► good rows ─► rows.parquet (─enrich─► `from:`
    fields) └──► failed rows ─► spill ─► quarantine, in one commit

Rows keep their order. `_seq` numbers every row that was read, good or not, over all files of the batch, so
that it is the same in every rerun. Killed at any point and run again the result is the same: the Parquet
file appears as a whole, the quarantine's rows of this batch and stage are replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from lake import progress, quarantine, store, zones
from lake.records import Landed, LandedFile, Standardised
from pipelines.casts import Cast, Codebook, cast, codebook
from pipelines.context import Context
from pipelines.drift.codes import Unknown, note
from pipelines.enrich import enrich
from pipelines.readers import read
from pipelines.rejects import Spill, failed, set_aside, spill
from schemas.arrow import standard_schema
from schemas.errors import XuanwuError
from schemas.load import Catalogue
from schemas.model import Entry, Field

PIECE_BYTES = 64 << 20
"""A reader's batch with more bytes than this is worked on in pieces."""


@dataclass(frozen=True)
class Column:
    """A field that is collected: the source's column that gives it, and its code list."""

    field: Field
    source: str
    codes: Codebook | None


@dataclass
class Tally:
    """Rows so far: read from the batch's files, and written."""

    rows_in: int = 0
    rows_out: int = 0


@dataclass(frozen=True)
class Work:
    """What every batch of rows is given."""

    batch: str
    columns: tuple[Column, ...]
    schema: pa.Schema
    rejects: Spill
    unknown: Unknown
    tally: Tally
    at: datetime


def standardise(ctx: Context, entry: Entry, landed: Landed) -> Standardised:
    """Write the batch's rows in the entry's types, set aside what does not convert, and obtain `from:`
    fields.

    Raises SourceError where a file cannot be read or lacks a column that the entry names."""
    folder = zones.folder(ctx.settings, "standard", entry.id, landed.batch.id)
    path, schema = store.join(folder, "rows.parquet"), standard_schema(entry)
    with spill(ctx.settings) as rejects:
        work = Work(landed.batch.id, plan(entry, ctx.catalogue), schema, rejects, {}, Tally(), ctx.clock())
        with store.atomic_parquet(path, schema, statistics=False) as writer:
            for table in store.row_groups(_good(entry, landed, work), schema):
                writer.write_table(table)
        with rejects.read() as rows:
            quarantined = quarantine.put(ctx.tables, entry.id, landed.batch.id, "standardise", rows)
    return Standardised(
        batch=landed.batch,
        path=path,
        rows_in=work.tally.rows_in,
        rows_out=work.tally.rows_out,
        quarantined=quarantined,
        unmatched=enrich(ctx, entry, path),
        unknown_codes={name: dict(texts) for name, texts in work.unknown.items()},
    )


def plan(entry: Entry, catalogue: Catalogue) -> tuple[Column, ...]:
    """The collected fields in the entry's order, with their code lists ready."""
    return tuple(
        Column(f, f.source or f.name, codes_of(entry, f, catalogue)) for f in entry.collected.values()
    )


def codes_of(entry: Entry, field: Field, catalogue: Catalogue) -> Codebook | None:
    """The field's code list, ready for columns; None where it has none."""
    if field.codes is None:
        return None
    if field.codes in catalogue.codes:
        return codebook(catalogue.codes[field.codes])
    raise XuanwuError(
        f"there is no code list {field.codes}",
        dataset=entry.id,
        field=field.name,
        expected=f"schemas/codes/{field.codes}.csv",
    )


def _good(entry: Entry, landed: Landed, work: Work) -> Iterator[pa.RecordBatch]:
    """The rows that convert, in the standard schema. Each source column is read once, whatever fields it
    gives."""
    wanted = list(dict.fromkeys(column.source for column in work.columns))
    for file in landed.files:
        for batch in read(file, entry.source, wanted):
            for piece in pieces(batch):
                yield _piece(piece, file, work)


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in slices of about `PIECE_BYTES` at most: a hundred thousand rows may hold large texts."""
    rows = max(1, batch.num_rows * PIECE_BYTES // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _piece(raw: pa.RecordBatch, file: LandedFile, work: Work) -> pa.RecordBatch:
    excel = file.format == "excel"
    casts = {c.field.name: cast(raw[c.source], c.field, c.codes, excel=excel) for c in work.columns}
    origin = f"{file.origin}!{file.member}" if file.member else file.origin
    rows = _standard(raw, casts, origin, work)
    for column in work.columns:
        note(work.unknown, column.field, raw[column.source], casts[column.field.name].failed)
    bad = failed(raw, casts)
    if bad.any():
        for some in set_aside(raw, casts, bad, batch=work.batch, file=origin, at=work.at):
            work.rejects.write(some)
        rows = rows.filter(pa.array(~bad))
    work.tally.rows_in += raw.num_rows
    progress.passed(raw.num_rows)
    work.tally.rows_out += rows.num_rows
    return rows


def _standard(raw: pa.RecordBatch, casts: dict[str, Cast], origin: str, work: Work) -> pa.RecordBatch:
    """All rows in the standard schema; fields obtained by sharing are null until they are joined."""
    first, count = work.tally.rows_in, raw.num_rows
    place = {
        "_seq": pa.array(np.arange(first, first + count, dtype=np.int64)),
        "_file": pa.repeat(pa.scalar(origin, pa.string()), count),
        "_row": raw["_row"],
    }
    columns = [
        casts[field.name].values
        if field.name in casts
        else place.get(field.name, pa.nulls(count, field.type))
        for field in work.schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=work.schema)
