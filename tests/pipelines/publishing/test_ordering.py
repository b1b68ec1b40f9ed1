"""Shuffled rows: all of them, each once, in an order that tells nothing, from as many buckets as are wanted."""

from __future__ import annotations

import errno
import re
import secrets
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import duckdb
import pyarrow as pa
import pytest

from lake import memory
from pipelines.engine import engine_errors
from pipelines.publishing import counting, ordering
from pipelines.publishing.counting import repeats
from schemas.errors import EngineError, LakeError, LeakFound
from schemas.settings import Settings

SCHEMA = pa.schema([("n", pa.int64())])


def rows(count: int) -> Iterator[pa.RecordBatch]:
    yield from pa.table({"n": range(count)}, schema=SCHEMA).to_batches(max_chunksize=100)


@pytest.mark.parametrize("count", [0, 1, 1000])
@pytest.mark.parametrize("told", [0, 1000, 5000])
def test_every_row_comes_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, count: int, told: int
) -> None:
    """However many rows were expected."""
    monkeypatch.setattr(ordering, "BUCKET_ROWS", 64)
    monkeypatch.setattr(ordering, "BUCKET_BYTES", 1000)
    found = [
        n for batch in ordering.shuffled(settings, SCHEMA, rows(count), told) for n in batch["n"].to_pylist()
    ]
    assert sorted(found) == list(range(count))
    assert count < 1000 or found != sorted(found)
    assert not any(settings.scratch.iterdir()) if count else True


def test_first_rows_may_come_last(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows do not only change their places within a bucket: those of the first tenth lie everywhere."""
    monkeypatch.setattr(ordering, "BUCKET_ROWS", 64)
    batches = ordering.shuffled(settings, SCHEMA, rows(2000), 2000)
    found = [n for batch in batches for n in batch["n"].to_pylist()]
    places = [place for place, n in enumerate(found) if n < 200]
    assert places[0] < 500
    assert places[-1] > 1500


NOTES = pa.schema([("n", pa.int64()), ("note", pa.string())])


@pytest.mark.parametrize("most", [512, 3])
def test_long_rows_after_short_ones_are_not_read_all_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The first rows tell nothing of those to come: a bucket for so many of them may hold a hundred times as much."""
    monkeypatch.setattr(ordering, "BUCKET_BYTES", 10_000)
    monkeypatch.setattr(ordering, "TOO_LARGE", 2)
    monkeypatch.setattr(ordering, "MOST_BUCKETS", most)
    notes = [None] * 500 + ["x" * 500] * 1500
    table = pa.table({"n": range(2000), "note": notes}, schema=NOTES)
    batches = list(ordering.shuffled(settings, NOTES, table.to_batches(max_chunksize=100), 2000))
    assert max(batch.nbytes for batch in batches) < 3 * 10_000
    found = pa.Table.from_batches(batches)
    assert found.sort_by("n").equals(table)
    assert found["n"].to_pylist() != sorted(found["n"].to_pylist())
    assert not any(settings.scratch.iterdir())


def test_rows_dealt_again_come_in_every_order_as_often(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six orders of three rows, of which a bucket holds two; drawn with known seeds."""
    monkeypatch.setattr(ordering, "BUCKET_BYTES", 64)
    monkeypatch.setattr(ordering, "TOO_LARGE", 2)
    monkeypatch.setattr(memory, "give_back", lambda: None)
    table = pa.table({"n": range(3), "note": ["x" * 50] * 3}, schema=NOTES)
    orders: Counter[tuple[int, ...]] = Counter()
    for seed in range(240):
        monkeypatch.setattr(secrets, "randbits", lambda _, seed=seed: seed)
        batches = ordering.shuffled(settings, NOTES, table.to_batches(), 0)
        orders[tuple(n for batch in batches for n in batch["n"].to_pylist())] += 1
    assert len(orders) == 6
    assert sum((seen - 40) ** 2 / 40 for seen in orders.values()) < 15  # chi-square: one seed in a hundred


def test_an_error_of_the_rows_comes_through(settings: Settings) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows(10)
        raise LeakFound("a leak")

    with pytest.raises(LeakFound, match="a leak"):
        list(ordering.ordered(settings, SCHEMA, broken(), "dept.data"))
    with pytest.raises(LeakFound, match="a leak"):
        list(ordering.shuffled(settings, SCHEMA, broken(), 10))


FEW = pa.schema([("place", pa.string()), ("year", pa.int64())])


def few(count: int) -> pa.Table:
    places = [None if n % 7 == 0 else f"3201{n % 5}" for n in range(count)]
    return pa.table({"place": places, "year": [n % 3 for n in range(count)]}, schema=FEW)


@pytest.mark.parametrize("count", [1, 20, 5000])
def test_rows_that_repeat_are_counted_and_come_as_if_they_were_sorted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(counting, "BATCH_ROWS", 64)
    table = few(count)
    assert repeats(table.to_batches()[0]) is (count > 100)
    batches = list(ordering.ordered(settings, FEW, table.to_batches(max_chunksize=1000), "dept.data"))
    found = pa.Table.from_batches(batches, FEW).to_pylist()
    expected = sorted(
        table.to_pylist(), key=lambda row: (row["place"] is None, row["place"] or "", row["year"])
    )
    assert found == expected
    assert max(batch.num_rows for batch in batches) <= 64


def test_no_row_has_no_order(settings: Settings) -> None:
    assert list(ordering.ordered(settings, FEW, iter(()), "dept.data")) == []


def test_floats_are_sorted_and_not_counted() -> None:
    """A zero and a zero with a sign would come out as one of the two."""
    assert repeats(pa.record_batch({"x": pa.array([0.0, -0.0] * 50)})) is False
    assert repeats(pa.record_batch({"x": pa.array([1, 2] * 50)})) is True


def failing_midway() -> Iterator[pa.RecordBatch]:
    """DuckDB's failure while its result is streamed: Arrow raises it as an OSError."""
    query = "SELECT if(i = 290000, error('张秘密'), i) FROM range(300000) rows(i)"
    with duckdb.connect() as connection:
        yield from connection.execute(query).to_arrow_reader(1000)


def test_an_engine_that_fails_midway_is_an_error_of_ours_that_quotes_no_value(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_sorted", lambda _: failing_midway())
    with pytest.raises(EngineError, match=r"could not order the rows \(Invalid Input Error\)") as caught:
        list(ordering.ordered(settings, SCHEMA, rows(10), "dept.data"))
    assert "张秘密" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), OSError("When reading: AWS Error: SlowDown")]
)
def test_what_the_store_refuses_is_no_failure_of_the_engine(error: OSError) -> None:
    with pytest.raises(OSError, match=re.escape(str(error))), engine_errors("order the rows", "publish"):
        raise error


def test_a_failure_of_ours_among_the_rows_is_told_and_not_the_engine_s(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows(10)
        raise LakeError("a file has gone")

    def fails(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
        with suppress(duckdb.Error):
            connection.execute("SELECT count(*) FROM masked").fetchall()
        yield from failing_midway()

    monkeypatch.setattr(ordering, "_sorted", fails)
    with pytest.raises(LakeError, match="a file has gone"):
        list(ordering.ordered(settings, SCHEMA, broken(), "dept.data"))


@pytest.mark.parametrize("kind", [duckdb.OutOfMemoryException, pa.ArrowInvalid])
def test_an_engine_that_fails_is_an_error_of_ours_that_quotes_no_value(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def fails(_: object) -> Iterator[pa.RecordBatch]:
        raise kind("Could not convert '张秘密'")

    monkeypatch.setattr(ordering, "_sorted", fails)
    with pytest.raises(EngineError, match=rf"could not order the rows \({kind.__name__}\)") as caught:
        list(ordering.ordered(settings, SCHEMA, rows(10), "dept.data"))
    told = "".join(traceback.format_exception(caught.value))
    assert "run publish again" in told and "dept.data" in told and "张秘密" not in told
