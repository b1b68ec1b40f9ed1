"""The Parquet files of an Iceberg table: written as a stream in bounded memory, read back by field id.

pyiceberg's own writer and reader hand every file to a thread pool at once, so that their memory grows with the table
(law 6); here one row group is held at a time. Columns carry Iceberg's field ids, so that any reader finds them after
the schema has changed.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lake import parquet, store
from lake.ahead import ahead
from schemas.errors import LakeError

FILE_BYTES = 128 << 20
FILE_ROWS = 1_000_000
BATCH_ROWS = 32 * 1024
FIELD_ID = b"PARQUET:field_id"
PRIVATE = b"xuanwu:private"
"""Marks a column whose smallest and largest values are told nowhere: not in a file's footer, not in a manifest."""
SALTED = b"xuanwu:salted"
"""Marks a table whose files get a salt: their digests stand in proofs, which those see too who have no files."""
Writer = Callable[[str, pa.Schema], list[str]]
"""Writes data files into a folder in a table's schema, with field ids, and gives their paths; where it raises none of
them stays. What writes them may be many processes."""
Rows = Iterable[pa.RecordBatch] | Writer
Only = tuple[Sequence[str], Callable[[pa.RecordBatch], bool]]
"""Some columns, and whether any row of a batch of these is wanted."""


def plain(field: pa.Field, *, ids: bool = True) -> pa.Field:
    """The field with 32-bit offsets (`string`, not `large_string`), with or without field ids, nested ones too."""
    kind = field.type
    if pa.types.is_large_string(kind):
        kind = pa.string()
    elif pa.types.is_large_binary(kind):
        kind = pa.binary()
    elif pa.types.is_large_list(kind) or pa.types.is_list(kind):
        kind = pa.list_(plain(kind.value_field, ids=ids))
    elif pa.types.is_struct(kind):
        kind = pa.struct([plain(kind.field(i), ids=ids) for i in range(kind.num_fields)])
    return pa.field(field.name, kind, field.nullable, field.metadata if ids else None)


def field_id(field: pa.Field) -> int | None:
    found = (field.metadata or {}).get(FIELD_ID)
    return None if found is None else int(found)


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch's columns by name in the schema's order and types; a missing one is null in every row. Text may be
    numbers in a dictionary, and stays so.

    LakeError, naming the field but no value, for a column the schema does not have or a value that does not fit."""
    if extra := sorted(set(batch.schema.names) - set(schema.names)):
        raise LakeError(f"the table has no column {', '.join(extra)}", expected=", ".join(schema.names))
    columns = [_column(batch, field) for field in schema]
    given = pa.schema([(field.name, each.type) for field, each in zip(schema, columns, strict=True)])
    return pa.record_batch(columns, schema=parquet.encoded_as(schema, given))


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    index = batch.schema.get_field_index(field.name)
    if index < 0:
        return pa.nulls(batch.num_rows, field.type)
    column = batch.column(index)
    if pa.types.is_dictionary(column.type) and column.type.value_type == field.type:
        return column
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise LakeError(
            f"a value of type {batch.schema.field(index).type} does not fit the column",
            field=field.name,
            expected=str(field.type),
        ) from None


def write_all(folder: str, schema: pa.Schema, rows: Rows) -> list[str]:
    """The rows as data files that no snapshot names yet; none of them stays if the rows break off."""
    if callable(rows):
        return rows(folder, schema)
    return _all(write(folder, schema, rows))


def as_one(rows: Iterable[pa.RecordBatch]) -> Writer:
    """Writes rows into one file, however many, if they take no more than 128 MB: such as repeat one another."""
    return lambda folder, schema: _all(write(folder, schema, rows, one=True))


def _all(files: Iterable[tuple[str, int]]) -> list[str]:
    written: list[str] = []
    try:
        for path, _ in files:
            written.append(path)
    except BaseException:
        store.remove_files(written)
        raise
    return written


def write(
    folder: str,
    schema: pa.Schema,
    rows: Iterable[pa.RecordBatch],
    prefix: str = "",
    *,
    one: bool = False,
) -> Iterator[tuple[str, int]]:
    """Write the rows into files of at most about 128 MB or a million rows, or `one` of 128 MB; gives each path, and how
    many rows it holds, as its file is whole. The rows are made ahead, in another thread.

    `schema` is the table's, with field ids. No rows give no file."""
    with closing(ahead(store.row_groups(conform(batch, schema) for batch in rows))) as tables:
        yield from _files(folder, schema, tables, prefix, one=one)


def _files(
    folder: str, schema: pa.Schema, tables: Iterator[pa.Table], prefix: str, *, one: bool
) -> Iterator[tuple[str, int]]:
    told = [f.name for f in schema if PRIVATE not in (f.metadata or {})]
    first = next(tables, None)
    while first is not None:
        path = store.join(folder, f"{prefix}{uuid.uuid4()}.parquet")
        footed = parquet.salted(schema) if SALTED in (schema.metadata or {}) else schema
        with store.output(path) as stream, parquet.Writer(stream, footed, statistics=told) as writer:
            written = _fill(writer, stream, first, tables, one=one)
        if written:
            yield path, written
        first = next(tables, None)


def _fill(
    writer: parquet.Writer, stream: Any, first: pa.Table, rest: Iterator[pa.Table], *, one: bool
) -> int:
    """Write row groups until the file is big enough or the rows end; returns the rows written."""
    writer.write_table(first)
    rows = first.num_rows
    full = sys.maxsize if one else FILE_ROWS
    while rows < full and stream.tell() < FILE_BYTES and (table := next(rest, None)) is not None:
        writer.write_table(table)
        rows += table.num_rows
    return rows


def read(
    path: str,
    schema: pa.Schema,
    columns: Sequence[str],
    *,
    begin: int = 0,
    most: int = BATCH_ROWS,
    only: Only | None = None,
) -> Iterator[pa.RecordBatch]:
    """The named columns of one data file in the schema's types, found by field id; null where the file is older
    than the column. From the row group on that begins with the row `begin`, at most so many rows at a time.

    Of a row group in which `only` wants no row its columns alone are read, and all others are null."""
    filesystem, inner = store.filesystem(path)
    with pq.ParquetFile(inner, filesystem=filesystem, pre_buffer=False) as file:
        groups = [number for number, start in enumerate(_starts(file.metadata)) if start >= begin]
        if only is None:
            yield from _batches(file, groups, columns, schema, columns=columns, most=most)
            return
        names, wanted = only
        for group in groups:
            probe = _batches(file, [group], names, schema, columns=names, most=BATCH_ROWS)
            read = columns if any(wanted(batch) for batch in probe) else names
            yield from _batches(file, [group], read, schema, columns=columns, most=most)


def _batches(
    file: pq.ParquetFile,
    groups: Sequence[int],
    names: Sequence[str],
    schema: pa.Schema,
    *,
    columns: Sequence[str],
    most: int,
    chosen: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The columns of these row groups, of which those of `names` are read; of each batch the `chosen` rows."""
    wanted = [schema.field(name) for name in columns]
    read = {field_id(schema.field(name)) for name in names}
    held = {field_id(field): field.name for field in file.schema_arrow if field_id(field) in read}
    target = pa.schema([plain(field, ids=False) for field in wanted])
    inside = [held[field_id(field)] for field in wanted if field_id(field) in held]
    for batch in file.iter_batches(most, row_groups=groups, columns=inside, use_threads=False):
        yield _project(chosen(batch) if chosen else batch, wanted, held, target)


def read_at(
    path: str, schema: pa.Schema, columns: Sequence[str], places: NDArray[np.int64]
) -> Iterator[pa.RecordBatch]:
    """The named columns of those rows of a data file that lie at these places, rising, as `read` gives them. Text that
    the file holds in dictionaries is made of them for these rows only; row groups without any are not read."""
    filesystem, inner = store.filesystem(path)
    footer = pq.read_metadata(inner, filesystem=filesystem)
    with pq.ParquetFile(
        inner,
        filesystem=filesystem,
        metadata=footer,
        read_dictionary=parquet.few_values(footer),
        pre_buffer=False,
    ) as file:
        for group, first in enumerate(_starts(footer)):
            begin, end = np.searchsorted(places, (first, first + footer.row_group(group).num_rows))
            if begin < end:
                yield from _at(file, group, columns, schema, places[begin:end] - first)


def _at(
    file: pq.ParquetFile, group: int, columns: Sequence[str], schema: pa.Schema, places: NDArray[np.int64]
) -> Iterator[pa.RecordBatch]:
    first = 0

    def chosen(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal first
        begin, end = np.searchsorted(places, (first, first + batch.num_rows))
        rows = batch.take(pa.array(places[begin:end] - first))
        first += batch.num_rows
        return rows

    found = _batches(file, [group], columns, schema, columns=columns, most=BATCH_ROWS, chosen=chosen)
    return (batch for batch in found if batch.num_rows)


def row_groups(path: str) -> list[int]:
    """The first row of each row group of a data file; that of an empty file is 0."""
    filesystem, inner = store.filesystem(path)
    with pq.ParquetFile(inner, filesystem=filesystem) as file:
        return _starts(file.metadata) or [0]


def _starts(metadata: pq.FileMetaData) -> list[int]:
    counts = (metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    return list(accumulate(counts, initial=0))[:-1]


def _project(
    batch: pa.RecordBatch, wanted: list[pa.Field], held: dict[int | None, str], target: pa.Schema
) -> pa.RecordBatch:
    arrays = [
        batch.column(held[field_id(field)]).cast(to.type)
        if field_id(field) in held
        else pa.nulls(batch.num_rows, to.type)
        for field, to in zip(wanted, target, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=target)
