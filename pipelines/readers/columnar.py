"""Parquet, streamed: the file's own types, nested values as JSON text, dictionaries as their values unless they are of
few texts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.parquet import few_values
from pipelines.readers import malformed
from pipelines.readers.header import locate
from pipelines.readers.seen import Seen
from schemas.errors import SourceError

BATCH_ROWS = 1 << 16


def rows(
    stream: IO[bytes], columns: Sequence[str], seen: Seen, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Batches of the columns; `_row` counts the file's rows from 1. `groups` are the row groups to read, neighbours and
    rising; default all. SourceError for a truncated or damaged file."""
    try:
        footer = pq.read_metadata(stream)
        schema = footer.schema.to_arrow_schema()
        seen.columns = {field.name: str(field.type) for field in schema}
        locate(schema.names, columns, seen)
        few = set(few_values(footer)) & set(columns)
        parquet = pq.ParquetFile(stream, metadata=footer, read_dictionary=list(few), pre_buffer=False)
        chosen = range(parquet.num_row_groups) if groups is None else groups
        sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        first = before = sum(sizes[: chosen[0]]) if chosen else 0
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=list(chosen), columns=list(columns)):
            numbers = np.arange(before + 1, before + 1 + batch.num_rows, dtype=np.int64)
            before += batch.num_rows
            yield malformed.marked(malformed.with_markers(plain(batch.select(list(columns)), few), numbers))
        named = sum(sizes[group] for group in chosen)
    except (pa.ArrowInvalid, OSError):
        raise SourceError(
            "the Parquet file is damaged or was cut short",
            file=seen.name,
            expected="a whole Parquet file, ending in its footer",
            next_step="have the source send the file again",
        ) from None
    if before - first != named:
        raise SourceError(
            f"{before - first} rows instead of the {named} that its footer names",
            file=seen.name,
            next_step="have the source send the file again",
        )


def plain(batch: pa.RecordBatch, few: Collection[str]) -> pa.RecordBatch:
    """Dictionary columns as their values but for those that are `few`, nested ones as JSON text."""
    columns = [
        column if name in few else _plain(column)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    if pa.types.is_nested(column.type):
        return malformed.json_text(column)
    return column
