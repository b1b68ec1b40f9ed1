"""Shuffled rows: all of them, each once, in an order that tells nothing, from as many buckets as are wanted."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from pipelines import ordering
from schemas.errors import LeakFound
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


def test_an_error_of_the_rows_comes_through(settings: Settings) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows(10)
        raise LeakFound("a leak")

    with pytest.raises(LeakFound, match="a leak"):
        list(ordering.ordered(settings, SCHEMA, broken(), "dept.data"))
    with pytest.raises(LeakFound, match="a leak"):
        list(ordering.shuffled(settings, SCHEMA, broken(), 10))
