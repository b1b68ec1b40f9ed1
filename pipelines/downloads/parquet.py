"""Parquet, zstd, in row groups of an ordinary size. Its statistics are those of the masked values."""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa

from lake import store
from lake.ahead import ahead


def write_parquet(uri: str, rows: pa.RecordBatchReader) -> None:
    groups = ahead(store.row_groups(rows, rows.schema))
    with store.atomic_parquet(uri, rows.schema) as writer, closing(groups):
        for group in groups:
            writer.write_table(group)
