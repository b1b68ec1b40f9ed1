"""Distinct rows and how often each comes: judged and written so, a release is what it is row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lake import datafiles, properties
from lake.records import Published
from lake.tables import Tables
from lake.zones import Identifier, identifier
from pipelines.gates import released
from pipelines.gates.classes import Release
from pipelines.gates.held import Held
from pipelines.publishing import counting
from schemas.errors import EngineError, LeakFound, Unbalanced
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.pipelines.gates.clinic import DISTRICTS, PATIENT, QUASI, made, measured, opened, patients
from tests.pipelines.gates.making import Row, Town

FORM = pa.schema([("place", pa.string()), ("year", pa.int64())])
CURATED = ("curated", "health__patient")
FEW = {"fields": [*QUASI, "disease"]}


def rows(*several: tuple[str | None, int]) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_pylist([{"place": place, "year": year} for place, year in several], FORM)
    yield from table.to_batches(max_chunksize=50)


def test_distinct_rows_come_in_order_with_how_often(settings: Settings) -> None:
    found = counting.count(settings, FORM, rows(*[("b", 2), ("b", 1), (None, 1), ("b", 2)] * 25))
    assert found is not None
    assert found.to_pydict() == {"place": ["b", "b", None], "year": [1, 2, 1], counting.TIMES: [25, 50, 25]}
    written = pa.Table.from_batches(counting.repeated(found)).to_pylist()
    assert written == [
        {"place": p, "year": y} for p, y in [("b", 1)] * 25 + [("b", 2)] * 50 + [(None, 1)] * 25
    ]


@pytest.mark.parametrize("often", [(1, 2, 3), (9, 40, 1), (40,), (10, 10), (3, 25, 3, 3, 3, 3, 3), ()])
def test_a_row_that_comes_often_is_made_once(monkeypatch: pytest.MonkeyPatch, often: tuple[int, ...]) -> None:
    monkeypatch.setattr(counting, "BATCH_ROWS", 10)
    form = FORM.append(pa.field(counting.TIMES, pa.int64()))
    several = [{"place": f"p{n}", "year": n, counting.TIMES: times} for n, times in enumerate(often)]
    (counted,) = pa.Table.from_pylist(several, form).combine_chunks().to_batches() or [
        pa.RecordBatch.from_pylist([], form)
    ]
    batches = list(counting.repeated(counted))
    assert [row["year"] for batch in batches for row in batch.to_pylist()] == [
        number for number, times in enumerate(often) for _ in range(times)
    ]
    assert all(0 < batch.num_rows <= 10 for batch in batches)
    assert len({id(batch) for batch in batches}) <= 2 * len(often) + 1
    encoded = list(counting.repeated(counted, encoded=True))
    assert [batch.to_pylist() for batch in encoded] == [batch.to_pylist() for batch in batches]
    for batch in encoded:
        place = batch.column("place")
        assert place.dictionary.to_pylist() == pc.unique(place.cast(pa.string())).to_pylist()


def test_rows_that_hardly_repeat_are_not_counted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert counting.count(settings, FORM, rows(*[("b", n) for n in range(100)])) is None
    assert counting.count(settings, FORM, rows()) is None
    monkeypatch.setattr(counting, "MOST", 2)
    assert counting.count(settings, FORM, rows(*[("b", n % 3) for n in range(100)])) is None


def test_an_error_of_the_rows_comes_through(settings: Settings) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from rows(*[("b", 1)] * 50)
        raise LeakFound("a leak")

    with pytest.raises(LeakFound, match="a leak"):
        counting.count(settings, FORM, broken())


@pytest.fixture
def two(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Town, Town]:
    """The same clinic twice, with the same keys: the same rows hide those who left."""
    monkeypatch.setenv("XUANWU_KEY_1", bytes(range(32)).hex())
    monkeypatch.setenv("XUANWU_SIGNING_KEY", bytes(range(32)).hex())
    monkeypatch.setattr("pipelines.publishing.increments.SHARE", 10)
    other = settings.model_copy(update={"home": tmp_path / "other"})
    entries = {PATIENT: made(FEW | {"disclosure": {"suppress_up_to": 0.9}})}
    return Town(settings, make_catalogue, entries), Town(Settings(home=other.home), make_catalogue, entries)


def days() -> list[list[Row]]:
    """What the register holds: nobody alone, the same, a whole group more, one person more, some less."""
    base = [{**row, "district": DISTRICTS[0]} for row in patients(3000)]
    group = [{**base[n % 4], "no": f"G{n}", "disease": "ABCD"[n % 4]} for n in range(200)]
    return [base, base, base + group, [*base, *group, {**base[0], "no": "N1"}], base[100:] + group]


def kept(published: Published) -> dict[str, object]:
    return measured(published).model_dump()


def test_a_release_is_the_same_counted_and_row_by_row(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one town counts, the other one looks at every row."""
    at_once: list[bool] = []
    own = Release.__init__

    def noted(self: Release, *given: object, counted: bool = False, **more: object) -> None:
        at_once.append(counted)
        own(self, *given, counted=counted, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Release, "__init__", noted)
    ways = []
    for day, register in enumerate(days(), 1):
        at_once.clear()
        counted = opened(two[0], register, day)
        ways.append(tuple(at_once))
        with monkeypatch.context() as row_by_row:
            row_by_row.setattr(counting, "REPEATED", 0)
            row_by_row.setattr(counting, "changed", lambda *_: None)
            each = opened(two[1], register, day)
        assert kept(counted) == kept(each)
        found, expected = two[0].rows(counted), two[1].rows(each)
        assert found == expected
        assert counted.downloads[0].sha256 == each.downloads[0].sha256
    assert ways[:4] == [(True,), (True,), (True,), (True, False)], "rows are looked at where one has to wait"


def test_only_what_changed_is_counted(two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows marked as deleted are gone, and a new file's are there; no other row is masked."""
    town, base = two[0], days()[0]
    merged = town.curate(base, PATIENT)
    before = town.publish(merged, "open")
    monkeypatch.setattr("lake.deletes.SMALL_ROWS", 10)
    tables = town.ctx.tables
    numbers = tables.scan(CURATED, ["no"]).read_all()["no"].to_pylist()
    gone = [place for place, no in enumerate(numbers) if place < 900 and int(no[1:]) % 2 == 0]
    fresh = [{**row, "no": f"N{row['no']}", "_batch": merged.batch.id} for row in base[:300]]
    reader = pa.Table.from_pylist(fresh, schema=tables.schema(CURATED)).to_reader()
    named, marked = properties.named(batch=merged.batch.id), {tables.parts(CURATED)[0].path: np.array(gone)}
    snapshot = tables.replace(CURATED, reader, (), named, deleted=marked)
    masked: list[int] = []
    real = counting.changed

    def watched(
        former: counting.Former, schema: pa.Schema, names: list[str], masking: counting.Masking
    ) -> object:
        def counts(some: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in masking(some):
                masked.append(batch.num_rows)
                yield batch

        return real(former, schema, names, counts)

    monkeypatch.setattr(counting, "changed", watched)
    after = town.publish(merged.model_copy(update={"snapshot": snapshot}), "open")
    assert sum(masked) == len(gone) + len(fresh)
    assert after.rows_out + after.suppressed == before.rows_out - len(gone) + len(fresh)


def test_counts_that_do_not_add_up_are_not_taken(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a count ever be wrong the rows say so, before the commit."""
    town = two[0]
    opened(town, days()[0])
    real = counting.count
    monkeypatch.setattr(counting, "changed", lambda *_: None)

    def wrong(*given: object) -> pa.RecordBatch:
        found = real(*given)  # type: ignore[arg-type]
        assert found is not None
        times = pa.array(found.column(counting.TIMES).to_numpy() * 2)
        return found.set_column(found.num_columns - 1, counting.TIMES, times)

    monkeypatch.setattr(counting, "count", wrong)
    with pytest.raises(Unbalanced):
        opened(town, [*days()[0], *days()[2][-200:]], 2)


def test_the_leak_gate_sees_each_distinct_row_and_counts_all(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rows that are written many times it looks at one, and says how many there would have been."""
    seen: list[int] = []
    add = Held.add

    def noted(held: Held, texts: pa.Array, often: pa.Array | None = None) -> None:
        seen.append(len(texts))
        add(held, texts, often)

    monkeypatch.setattr(Held, "add", noted)
    assert opened(two[0], days()[0]).rows_out == 3000
    assert max(seen) < 100
    leaking = [{**row, "district": "13912345678"} for row in days()[0]]
    with pytest.raises(LeakFound, match="mobile numbers in 3000 row"):
        opened(two[1], leaking)
    assert max(seen) < 100


def test_a_release_is_read_where_it_was_not_written_down_when_it_was_made(
    two: tuple[Town, Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that was killed between: then once, and the same is written down. That is what the next one is
    counted from; downloads are of the counted rows."""
    read: list[str] = []
    left, scan = counting.left, Tables.scan

    def scanned(tables: Tables, table: Identifier, *given: Any, **more: Any) -> pa.RecordBatchReader:
        read.append(table[0])
        return scan(tables, table, *given, **more)

    monkeypatch.setattr(Tables, "scan", scanned)
    for module in (counting, released):
        monkeypatch.setattr(module, "left", lambda parts: (read.append("open"), left(parts))[1])
    opened(two[0], days()[0])
    read.clear()
    published = opened(two[0], days()[2], 2)
    assert published.rows_out == len(days()[2])
    assert {each.rows for each in published.downloads} == {len(days()[2])}
    assert read == []
    written = {
        path: path.read_bytes() for path in Path(two[0].settings.lake_root, "released").rglob("*.parquet")
    }
    assert len(written) == 2
    max(written).unlink()
    assert opened(two[0], days()[0], 3).rows_out == len(days()[0])
    assert read == ["open"]
    assert {path: path.read_bytes() for path in written} == written


@pytest.mark.parametrize("one", [True, False])
def test_downloads_of_counted_rows_are_those_of_the_table(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    monkeypatch: pytest.MonkeyPatch,
    one: bool,
) -> None:
    """A process killed before its release leaves the next one the table alone. Where that is one file, as it mostly is,
    it is the download too, and all downloads are the same to the byte; of several files one is written."""
    monkeypatch.setenv("XUANWU_KEY_1", bytes(range(32)).hex())
    monkeypatch.setattr("lake.store.ROW_GROUP_ROWS", 1000)
    monkeypatch.setattr(counting, "BATCH_ROWS", 700)
    if not one:
        monkeypatch.setattr(datafiles, "FILE_BYTES", 1)
    town = Town(settings, make_catalogue, {PATIENT: made(FEW | {"downloads": ["csv", "jsonl", "parquet"]})})
    merged = town.curate(days()[0], PATIENT)
    counted = town.publish(merged, "open")
    for path in Path(town.settings.lake_root, "downloads").rglob("index.json"):
        path.unlink()
    again = town.publish(merged, "open")
    assert again.reused and len(again.downloads) == 3
    assert not one or again.downloads == counted.downloads
    (parquet,) = (each.path for each in again.downloads if each.format == "parquet")
    files = [Path(path).read_bytes() for path in town.ctx.tables.data_files(identifier("open", PATIENT))]
    assert (Path(parquet).read_bytes() in files, len(files) == 1) == (one, one)
    assert one or datafiles.row_groups(parquet) == [0, 1000, 2000]


def test_too_little_memory_to_count_in_is_an_error_of_ours(clinic: Town) -> None:
    clinic.settings = clinic.settings.model_copy(update={"memory": "1KB"})
    with pytest.raises(EngineError, match=r"could not publish the batch \(OutOfMemoryException\)"):
        opened(clinic, patients(3000))
