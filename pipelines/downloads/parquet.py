"""Parquet, zstd, in row groups of an ordinary size. Its statistics are those of the masked values."""

from __future__ import annotations

import pyarrow as pa

from lake import store


def write_parquet(uri: str, rows: pa.RecordBatchReader) -> None:
    with store.atomic_parquet(uri, rows.schema) as writer:
        for group in store.row_groups(rows, rows.schema):
            writer.write_table(group)
