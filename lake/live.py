"""The rows of a data file that are not deleted: read from its files alone, without a table or its catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lake import datafiles, store

Positions = NDArray[np.int64]
NOWHERE: Final[Positions] = np.zeros(0, np.int64)


def positions(delete_file: str, path: str, *, only: bool = False) -> Positions:
    """Places in the data file `path` whose rows a delete file takes away; `only` says that it is about no other."""
    filesystem, inner = store.filesystem(delete_file)
    where = None if only else [("file_path", "=", path)]
    found = pq.read_table(inner, filesystem=filesystem, columns=["pos"], filters=where, partitioning=None)
    return np.asarray(found["pos"].to_numpy(), np.int64)


def left(rows: pa.RecordBatch, first: int, gone: Positions) -> tuple[pa.RecordBatch, Positions]:
    """The rows of a batch, whose first has this place in its file, without those that are gone; and their places."""
    places = np.arange(first, first + rows.num_rows)
    begin, end = np.searchsorted(gone, (first, first + rows.num_rows))
    if begin == end:
        return rows, places
    stay = np.ones(rows.num_rows, np.bool_)
    stay[gone[begin:end] - first] = False
    return rows.filter(pa.array(stay)), places[stay]


def rows(
    path: str,
    gone: Positions,
    schema: pa.Schema,
    names: Sequence[str],
    *,
    begin: int = 0,
    most: int = datafiles.BATCH_ROWS,
    only: datafiles.Only | None = None,
) -> Iterator[tuple[pa.RecordBatch, Positions]]:
    """The named columns of a data file's rows without those at `gone`, with their places in it, from the row group on
    that begins with the row `begin`; `only` as `datafiles.read` says."""
    first = begin
    for batch in datafiles.read(path, schema, names, begin=begin, most=most, only=only):
        yield left(batch, first, gone)
        first += batch.num_rows


def beginning(path: str, gone: Positions, skip: int) -> tuple[int, int]:
    """Of the row groups that begin after no more than `skip` rows that are left, the last one: its first row, and how
    many rows are left before it."""
    starts = datafiles.row_groups(path)
    before = [start - int(np.searchsorted(gone, start)) for start in starts]
    return max((start, left) for start, left in zip(starts, before, strict=True) if left <= skip)
