"""Rows in an order that tells nothing of where they lay.

Curated rows may lie in the order of a key that a publication hides. `shuffled` gives them in a random order, `ordered`
in that of what is published of them: that packs well where few values are published, and costs more.

A shuffle deals the rows at random into buckets on local disk, and reads bucket after bucket, each put into a random
order in memory: every order of all rows may come of it, at one extra write and read of masked rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from lake import scratch
from pipelines.engine import engine
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
    """The rows, of which there are about `count`, in a random order, a bucket at a time."""
    random = np.random.default_rng(secrets.randbits(128))
    pieces = _gathered(rows)
    first = next(pieces, None)
    if first is None:
        return
    width = max(1, first.nbytes // max(1, first.num_rows))
    buckets = min(MOST_BUCKETS, -(-count // max(1, min(BUCKET_ROWS, BUCKET_BYTES // width))))
    with scratch.folder(settings, "shuffle") as folder:
        paths = [folder / f"{number}.arrow" for number in range(max(1, buckets))]
        _deal(schema, _again(first, pieces), paths, random)
        for path in paths:
            bucket = _bucket(path)
            path.unlink()
            yield from _turned(bucket, random)


def _gathered(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches of some megabytes: dealing a few rows to every bucket costs more than they weigh."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in rows:
        held.append(batch)
        size += batch.nbytes
        if size >= BUCKET_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _again(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _deal(
    schema: pa.Schema, pieces: Iterable[pa.Table], paths: list[Path], random: np.random.Generator
) -> None:
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(str(path), schema, options=_LZ4)) for path in paths]
        for piece in pieces:
            bucket = random.integers(len(paths), size=piece.num_rows, dtype=np.int32)
            order = np.argsort(bucket, kind="stable")
            ends = np.cumsum(np.bincount(bucket, minlength=len(paths)))
            dealt = piece.take(pa.array(order)).combine_chunks()
            for writer, end, size in zip(writers, ends, np.diff(ends, prepend=0), strict=True):
                if size:
                    writer.write_table(dealt.slice(end - size, size))


def _bucket(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        return reader.read_all()  # one bucket


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
    reader = pa.RecordBatchReader.from_batches(schema, _keeping(rows, failures))
    try:
        with engine(settings) as connection:
            connection.register("masked", reader)
            yield from connection.execute("SELECT * FROM masked ORDER BY ALL").to_arrow_reader(BATCH_ROWS)
    except (duckdb.Error, pa.ArrowException) as error:
        if failures:
            raise failures[0] from None
        raise EngineError(
            f"the local engine could not order the rows ({type(error).__name__})",
            dataset=dataset,
            next_step="see XUANWU_MEMORY and the free space of XUANWU_HOME, then publish again",
        ) from None


def _keeping(rows: Iterable[pa.RecordBatch], failures: list[XuanwuError]) -> Iterator[pa.RecordBatch]:
    """DuckDB turns what is raised while it reads into an error of its own: ours is kept beside."""
    try:
        yield from rows
    except XuanwuError as error:
        failures.append(error)
        raise
