"""Joined rows as a file of the batch."""

from __future__ import annotations

import pyarrow as pa

from lake import store
from pipelines.spark.frames import Batches
from pipelines.sqlrows import without_marks


def write(folder: str, schema: pa.Schema, lookups: int, number: int, batches: Batches) -> list[int]:
    """A part of the joined rows as one file; the rows that each lookup missed."""
    missed = [0] * lookups
    path = store.join(folder, f"{number:05d}.parquet")
    with store.atomic_parquet(path, schema, statistics=False) as writer:
        for group in store.row_groups(without_marks(batches, schema, missed), schema):
            writer.write_table(group)
    return missed
