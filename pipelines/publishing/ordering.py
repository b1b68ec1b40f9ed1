"""Rows in an order that tells nothing of where they lay.

Curated rows may lie in the order of a key that a publication hides. `shuffled` gives them in a random order, `ordered`
in that of what is published of them, which packs well where few values are published. Rows that repeat, as those of a
release must of which every class has 21 or more, are counted and only the distinct ones sorted.

A shuffle deals the rows at random into buckets on local disk, and reads bucket after bucket, each put into a random
order in memory: every order of all rows may come of it, at one extra write and read of masked rows.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from lake import memory, scratch
from lake.ahead import ahead
from pipelines.engine import engine
from pipelines.publishing.counting import TIMES, keeping, repeated, repeats
from schemas.errors import EngineError, XuanwuError
from schemas.settings import Settings

BATCH_ROWS: Final = 32 * 1024
BUCKET_ROWS: Final = 128 * 1024
BUCKET_BYTES: Final = 48 << 20
MOST_BUCKETS: Final = 512
"""Files that are open at once."""
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


def shuffled(
    settings: Settings, schema: pa.Schema, rows: Iterable[pa.RecordBatch], count: int
) -> Iterator[pa.RecordBatch]:
    """The rows, of which there are about `count`, in a random order, a bucket at a time. They are dealt while more of
    them are made."""
    with closing(ahead(_gathered(rows))) as pieces:
        yield from _shuffled(settings, schema, pieces, count)


def _shuffled(
    settings: Settings, schema: pa.Schema, pieces: Iterator[pa.Table], count: int
) -> Iterator[pa.RecordBatch]:
    random = np.random.default_rng(secrets.randbits(128))
    first = next(pieces, None)
    if first is None:
        return
    width = max(1, first.nbytes // max(1, first.num_rows))
    buckets = min(MOST_BUCKETS, -(-count // max(1, min(BUCKET_ROWS, BUCKET_BYTES // width))))
    with scratch.folder(settings, "shuffle") as folder:
        paths = [folder / f"{number}.arrow" for number in range(max(1, buckets))]
        with ExitStack() as stack:
            writers = [stack.enter_context(pa.ipc.new_stream(path, schema, options=_LZ4)) for path in paths]
            _deal(_again(first, pieces), writers, random)
        del first
        memory.give_back()
        for path in paths:
            bucket = _bucket(path)
            path.unlink()
            yield from _turned(bucket, random)
            del bucket
            memory.give_back()  # of its size is nothing that those who take the rows ask for


def _gathered(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches of some megabytes: dealing a few rows to every bucket costs more than they weigh."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in rows:
        held.append(batch)
        size += batch.nbytes
        if 4 * size >= BUCKET_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _again(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _deal(
    pieces: Iterable[pa.Table], writers: Sequence[pa.ipc.RecordBatchStreamWriter], random: np.random.Generator
) -> None:
    for piece in pieces:
        bucket = random.integers(len(writers), size=piece.num_rows, dtype=np.int32)
        order = np.argsort(bucket, kind="stable")
        ends = np.cumsum(np.bincount(bucket, minlength=len(writers)))
        dealt = piece.take(pa.array(order)).combine_chunks()
        for writer, end, size in zip(writers, ends, np.diff(ends, prepend=0), strict=True):
            if size:
                writer.write_table(dealt.slice(end - size, size))


def _bucket(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        return reader.read_all().combine_chunks()  # one bucket, in one piece: it is taken from several times


def _turned(bucket: pa.Table, random: np.random.Generator) -> Iterator[pa.RecordBatch]:
    for start in range(0, bucket.num_rows, BUCKET_ROWS) if bucket.num_rows else ():
        if start == 0:
            order = random.permutation(bucket.num_rows)
        yield from bucket.take(pa.array(order[start : start + BUCKET_ROWS])).combine_chunks().to_batches()


def ordered(
    settings: Settings, schema: pa.Schema, rows: Iterable[pa.RecordBatch], dataset: str
) -> Iterator[pa.RecordBatch]:
    """The rows sorted by all their columns. DuckDB sees masked values only, and spills what its memory cannot hold."""
    failures: list[XuanwuError] = []
    kept = keeping(rows, failures)
    first = next(kept, None)
    if first is None:
        return
    reader = pa.RecordBatchReader.from_batches(schema, itertools.chain([first], kept))
    try:
        with engine(settings) as connection:
            connection.register("masked", reader)
            yield from _counted(connection) if repeats(first) else _sorted(connection)
    except (duckdb.Error, pa.ArrowException) as error:
        if failures:
            raise failures[0] from None
        raise EngineError(
            f"the local engine could not order the rows ({type(error).__name__})",
            dataset=dataset,
            next_step="see XUANWU_MEMORY and the free space of XUANWU_HOME, then publish again",
        ) from None


def _sorted(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    yield from connection.execute("SELECT * FROM masked ORDER BY ALL").to_arrow_reader(BATCH_ROWS)


def _counted(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    """The same rows in the same order: each distinct one as often as it came."""
    query = f"SELECT *, count(*) AS {TIMES} FROM masked GROUP BY ALL ORDER BY ALL"
    for batch in connection.execute(query).to_arrow_reader(BATCH_ROWS):
        yield from repeated(batch)
