"""CSV as Excel in China opens it and RFC 4180 wants it: UTF-8 with a byte order mark, CRLF, quotes
doubled."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from lake import store
from pipelines.downloads.cells import as_text
from schemas.spreadsheets import no_formula

OPTIONS = pacsv.WriteOptions(eol="\r\n")
_NO_HEADER: Final = pacsv.WriteOptions(eol="\r\n", include_header=False)
REPEATED: Final = 64
"""Rows of a batch to each that is not the one before it, from which on a line is written once and copied."""
BLOCK_LINES: Final = 8192
"""Lines of one row that are given to the file at once."""


class CsvWriter:
    """Writes batches of a schema to a stream. Null is an empty cell, an empty text `""`. Text that would be a formula
    gets an apostrophe; numbers, negative ones too, stay numbers."""

    def __init__(self, out: store.Digested, schema: pa.Schema) -> None:
        self._schema = pa.schema([pa.field(field.name, _written_as(field.type)) for field in schema])
        self._out = out
        out.write(codecs.BOM_UTF8)
        self._writer = pacsv.CSVWriter(out, self._schema, write_options=OPTIONS)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        starts = _runs(batch)
        if starts is None:
            self._writer.write_batch(self._written(batch))
        else:
            often = np.diff(starts, append=batch.num_rows)
            self.write_repeated(batch.take(pa.array(starts)), often.tolist())

    def write_repeated(self, batch: pa.RecordBatch, often: Iterable[int]) -> None:
        """Each row so often, one after the other: its line is made once."""
        rows = self._written(batch)
        for row, times in enumerate(often):
            made = io.BytesIO()
            pacsv.write_csv(rows.slice(row, 1), made, _NO_HEADER)
            line = made.getvalue()
            block = line * min(times, BLOCK_LINES)
            for _ in range(times // BLOCK_LINES):
                self._out.write(block)
            self._out.write(line * (times % BLOCK_LINES))

    def _written(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [_cells(column, field.type) for column, field in zip(batch, self._schema, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def __enter__(self) -> CsvWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def write_csv(uri: str, rows: pa.RecordBatchReader) -> tuple[str, int]:
    """The rows as one file, which is there whole or not at all; its SHA-256 (hex) and size in bytes."""
    with _file(uri, rows.schema) as (out, writer):
        for batch in rows:
            writer.write_batch(batch)
    return out.sha256, out.size


def write_repeated(uri: str, rows: pa.RecordBatch, often: Iterable[int]) -> tuple[str, int]:
    """As `write_csv`, each row so often."""
    with _file(uri, rows.schema) as (out, writer):
        writer.write_repeated(rows, often)
    return out.sha256, out.size


@contextmanager
def _file(uri: str, schema: pa.Schema) -> Iterator[tuple[store.Digested, CsvWriter]]:
    with store.output(uri) as out, store.Digested(out) as digested, CsvWriter(digested, schema) as writer:
        yield digested, writer


def _written_as(kind: pa.DataType) -> pa.DataType:
    """The writer's own form is right for whole numbers, floats, booleans, dates and decimals of few
    places."""
    if pa.types.is_decimal(kind):
        return kind if kind.scale <= 6 else pa.string()
    own = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return kind if own or pa.types.is_boolean(kind) or pa.types.is_date(kind) else pa.string()


def _cells(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(column.type):
        return no_formula(column)
    return as_text(column) if pa.types.is_string(kind) else column


def _runs(batch: pa.RecordBatch) -> NDArray[np.int64] | None:
    """The rows that are not the one before them; None where they are many, or what is equal may be written otherwise,
    as zeros with and without a sign."""
    if not batch.num_rows or any(pa.types.is_floating(kind) for kind in batch.schema.types):
        return None
    begins = np.ones(batch.num_rows, np.bool_)
    begins[1:] = False
    for column in batch.columns:
        begins[1:] |= _differ(column.slice(0, len(column) - 1), column.slice(1))
        if REPEATED * np.count_nonzero(begins) > batch.num_rows:
            return None
    return np.flatnonzero(begins)


def _differ(before: pa.Array, after: pa.Array) -> NDArray[np.bool_]:
    """Whether two values are not the same, where null is the same as null."""
    same = pc.fill_null(pc.equal(before, after), False)
    if before.null_count or after.null_count:
        same = pc.or_(same, pc.and_(before.is_null(), after.is_null()))
    return np.asarray(pc.invert(same).to_numpy(zero_copy_only=False), np.bool_)
