"""Rows as a source gave them in the entry's types; those that do not convert are set aside.

It knows files and rows, and neither tables nor the ledger: a worker of a cluster runs it as the local engine does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake import progress
from lake.parquet import encoded_as
from lake.records import LandedFile
from pipelines.casting.casts import Cast, Codebook, cast, codebook
from pipelines.drift.codes import Unknown, note
from pipelines.masks.arrays import plain
from pipelines.quarantine.laid import Corrections, Laid, mended
from pipelines.quarantine.rejects import failed, set_aside
from pipelines.readers import read
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
    """Rows so far: read, and written; `rows_in` is also the `_seq` of the next row. Values corrected among them."""

    rows_in: int = 0
    rows_out: int = 0
    corrected: int = 0


class Rejects(Protocol):
    """Where rows that are set aside go, in the quarantine's schema."""

    def write(self, rows: pa.RecordBatch) -> None: ...


@dataclass(frozen=True)
class Work:
    """What every batch of rows is given. Where there is a pool several columns are cast at a time."""

    batch: str
    columns: tuple[Column, ...]
    schema: pa.Schema
    corrections: Corrections
    rejects: Rejects
    unknown: Unknown
    tally: Tally
    at: datetime
    pool: Executor | None = None


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


def good(
    entry: Entry, files: Iterable[LandedFile], work: Work, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows that convert, in the standard schema. Each source column is read once, whatever fields it
    gives. Of Parquet files `groups` reads these row groups alone."""
    wanted = list(dict.fromkeys(column.source for column in work.columns))
    for file in files:
        for batch in read(file, entry.source, wanted, groups=groups):
            for piece in pieces(batch):
                yield _piece(piece, file, work)


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in slices of about `PIECE_BYTES` at most: a hundred thousand rows may hold large texts."""
    rows = max(1, batch.num_rows * PIECE_BYTES // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _piece(raw: pa.RecordBatch, file: LandedFile, work: Work) -> pa.RecordBatch:
    laid = work.corrections.on(raw, file.name)
    raw = mended(raw, laid)
    excel = file.format == "excel"

    def made(column: Column) -> Cast:
        return _cast(column, raw, laid.get(column.source), work.unknown, excel=excel)

    several = map if work.pool is None else work.pool.map
    casts = dict(zip((c.field.name for c in work.columns), several(made, work.columns), strict=True))
    rows = _standard(raw, casts, file.name, work)
    bad = failed(raw, casts)
    if bad.any():
        for some in set_aside(raw, casts, bad, batch=work.batch, file=file.name, at=work.at, laid=laid):
            work.rejects.write(some)
        rows = rows.filter(pa.array(~bad))
    work.tally.rows_in += raw.num_rows
    work.tally.corrected += sum(len(each.texts) for each in laid.values())
    progress.passed(raw.num_rows)
    work.tally.rows_out += rows.num_rows
    return rows


def _cast(column: Column, raw: pa.RecordBatch, laid: Laid | None, unknown: Unknown, *, excel: bool) -> Cast:
    """The source's column as the field; a corrected value is text, whatever the column's type at the source."""
    values, field = raw[column.source], column.field
    longest = column.codes.longest if column.codes else 0
    found = cast(values, field, column.codes, excel=excel)
    if laid is None:
        note(unknown, field, longest, values, found.failed)
        return found
    note(unknown, field, longest, values, pc.and_not(found.failed, laid.mask))
    own = cast(laid.texts, field, column.codes)
    note(unknown, field, longest, laid.texts, own.failed)
    return Cast(
        pc.replace_with_mask(plain(found.values), laid.mask, own.values),
        pc.replace_with_mask(found.failed, laid.mask, own.failed),
        found.rule,
        found.expected,
    )


def _standard(raw: pa.RecordBatch, casts: dict[str, Cast], file: str, work: Work) -> pa.RecordBatch:
    """All rows in the standard schema; fields obtained by sharing are null until they are joined."""
    first, count = work.tally.rows_in, raw.num_rows
    place = {
        "_seq": pa.array(np.arange(first, first + count, dtype=np.int64)),
        "_file": pa.repeat(pa.scalar(file, pa.string()), count),
        "_row": raw["_row"],
    }
    columns = [
        casts[field.name].values
        if field.name in casts
        else place.get(field.name, pa.nulls(count, field.type))
        for field in work.schema
    ]
    given = pa.schema([(f.name, column.type) for f, column in zip(work.schema, columns, strict=True)])
    return pa.RecordBatch.from_arrays(columns, schema=encoded_as(work.schema, given))
