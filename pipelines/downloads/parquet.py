"""Parquet, zstd, in row groups of an ordinary size. Its statistics are those of the masked values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import pyarrow as pa

from lake import store
from lake.ahead import ahead


def write_parquet(uri: str, rows: pa.RecordBatchReader) -> tuple[str, int]:
    """The rows as one file; its SHA-256 (hex) and size in bytes."""
    with closing(ahead(store.row_groups(_even(rows), rows.schema))) as groups:
        return store.write_parquet(uri, groups, rows.schema)


def _even(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut where a row group is full, so that the same rows are the same file however they come."""
    room = store.ROW_GROUP_ROWS
    for batch in batches:
        rest = batch
        while rest.num_rows >= room:
            yield rest.slice(0, room)
            rest, room = rest.slice(room), store.ROW_GROUP_ROWS
        room -= rest.num_rows
        yield rest
