"""Rows in an order that tells nothing of where they lay.

Curated rows may lie in the order of a key that a publication hides. `shuffled` gives them in a random order, `ordered`
in that of what is published of them, which packs well where few values are published. Rows that repeat, as those of a
release must of which every class has 21 or more, are counted and only the distinct ones sorted.

A shuffle deals the rows at random into buckets on local disk, and reads bucket after bucket, each put into a random
order in memory: every order of all rows may come of it, at one extra write and read of masked rows; and of those once
more that lie in a bucket which turns out too large. They lie there as in memory, half as large again as with lz4, which
takes four times as long: much of it goes to each of a thousand small pieces.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from lake import memory, scratch
from lake.ahead import ahead
from pipelines.engine import ENGINE_ERRORS, engine, engine_errors
from pipelines.publishing.counting import TIMES, keeping, repeated, repeats
from schemas.buffers import Places
from schemas.errors import XuanwuError
from schemas.settings import Settings

BATCH_ROWS: Final = 32 * 1024
BUCKET_ROWS: Final = 48 * 1024
BUCKET_BYTES: Final = 16 << 20
TOO_LARGE: Final = 6
"""So many times `BUCKET_BYTES` a bucket is not read whole."""
MOST_BUCKETS: Final = 512
"""Files that are open at once."""


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
    buckets = _needed(count, count * first.nbytes // max(1, first.num_rows))
    pieces = itertools.chain([first], pieces)
    del first
    with scratch.folder(settings, "shuffle") as folder:
        yield from _mixed(_dealt(folder, schema, pieces, buckets, random), schema, random)


class _Bucket(NamedTuple):
    """Where rows lie that were dealt, how many, and about how many bytes they take in memory."""

    path: Path
    rows: int
    size: int


def _needed(rows: int, size: int) -> int:
    """Buckets for so many rows of so many bytes."""
    return max(1, min(MOST_BUCKETS, max(-(-rows // BUCKET_ROWS), -(-size // BUCKET_BYTES))))


def _dealt(
    folder: Path, schema: pa.Schema, pieces: Iterable[pa.Table], buckets: int, random: np.random.Generator
) -> list[_Bucket]:
    paths = [folder / f"{number}.arrow" for number in range(buckets)]
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(path, schema)) for path in paths]
        rows, sizes = _deal(pieces, writers, random)
    memory.give_back()
    return list(map(_Bucket, paths, rows.tolist(), sizes.tolist()))


def _dealt_again(bucket: _Bucket, schema: pa.Schema, random: np.random.Generator) -> list[_Bucket]:
    folder = bucket.path.with_suffix("")
    folder.mkdir()
    with pa.OSFile(str(bucket.path)) as file, pa.ipc.open_stream(file) as reader:
        dealt = _dealt(folder, schema, _gathered(reader), _needed(bucket.rows, bucket.size), random)
    bucket.path.unlink()
    return dealt


def _mixed(
    buckets: Iterable[_Bucket], schema: pa.Schema, random: np.random.Generator
) -> Iterator[pa.RecordBatch]:
    """The rows of bucket after bucket, of each in a random order. One far too large to be read, as all are where long
    rows came after short ones, is dealt again: that too gives every order of its rows the same chance."""
    for bucket in buckets:
        if bucket.rows > 1 and bucket.size > TOO_LARGE * BUCKET_BYTES:
            yield from _mixed(_dealt_again(bucket, schema, random), schema, random)
            continue
        rows = _read(bucket.path)
        bucket.path.unlink()
        yield from _turned(rows, random)
        del rows


def _gathered(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches as large as a bucket: dealing a few rows to every bucket costs more than they weigh."""
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


def _deal(
    pieces: Iterable[pa.Table], writers: Sequence[pa.ipc.RecordBatchStreamWriter], random: np.random.Generator
) -> tuple[Places, Places]:
    """How many rows each was dealt, and how many bytes they take if those of a piece are alike."""
    rows, sizes = np.zeros((2, len(writers)), np.int64)
    for piece in pieces:
        bucket = random.integers(len(writers), size=piece.num_rows, dtype=np.int32)
        order = np.argsort(bucket, kind="stable")
        counts = np.bincount(bucket, minlength=len(writers))
        dealt = piece.take(pa.array(order)).combine_chunks()
        for writer, end, count in zip(writers, np.cumsum(counts), counts, strict=True):
            if count:
                writer.write_table(dealt.slice(end - count, count))
        rows += counts
        sizes += counts * piece.nbytes // max(1, piece.num_rows)
    return rows, sizes


def _read(path: Path) -> pa.Table:
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
    with engine_errors("order the rows", "publish", dataset=dataset):
        try:
            with engine(settings) as connection:
                connection.register("masked", reader)
                yield from _counted(connection) if repeats(first) else _sorted(connection)
        except ENGINE_ERRORS:
            if failures:
                raise failures[0] from None
            raise


def _sorted(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    yield from connection.execute("SELECT * FROM masked ORDER BY ALL").to_arrow_reader(BATCH_ROWS)


def _counted(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    """The same rows in the same order: each distinct one as often as it came."""
    query = f"SELECT *, count(*) AS {TIMES} FROM masked GROUP BY ALL ORDER BY ALL"
    for batch in connection.execute(query).to_arrow_reader(BATCH_ROWS):
        yield from repeated(batch)
