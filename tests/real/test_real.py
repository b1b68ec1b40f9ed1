"""Real files of other people the whole way: every row is counted again by other means, in every batch and download."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from lake import quarantine
from lake.batch import Batch
from lake.ledger import Ledger
from lake.records import Checked, Landed, Merged, Published, Record, Standardised
from lake.releases import PLACES
from pipelines.context import Context
from pipelines.stages import parts, run_batch
from schemas.load import load_catalogue
from schemas.settings import Settings
from tests.conftest import NOW
from tests.pipelines.sources.conftest import Department, postgresql  # noqa: F401
from tests.real import arriving

ROOT = Path(__file__).parent / "catalogue"
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)


def _days(*starts: str, length: timedelta = DAY) -> list[tuple[datetime, datetime]]:
    begun = [datetime.fromisoformat(start).replace(tzinfo=SHANGHAI) for start in starts]
    return [(start, start + length) for start in begun]


@dataclass(frozen=True)
class Case:
    """Where a dataset's source lies below the folder of real files, its batches, and what has to run before."""

    folder: str
    intervals: list[tuple[datetime, datetime]] = field(default_factory=lambda: _days("2026-03-02"))
    before: str | None = None


TWO_DAYS = _days("2026-03-02", "2026-03-03")
CASES = {
    "civil_affairs.division": Case("admin-xiangyuecn"),
    "ecology.station_hour": Case(
        "cn-air-2020",
        _days(*(f"2020-04-10T{hour}" for hour in arriving.STATION_HOURS), length=timedelta(hours=1)),
    ),
    "ecology.nanjing_hour": Case(
        "cn-air-2020", _days(*(f"2020-04-{day:02}" for day in arriving.NANJING_DAYS))
    ),
    "health.epidemic": Case(
        "cn-covid-daily/Data", _days(*(f"2020-02-{day:02}" for day in arriving.EPIDEMIC_DAYS))
    ),
    "statistics.population_gdp": Case("cn-popgdp"),
    "transport.taxi_trip": Case(
        "vol-nyc-taxi-gx", _days(*(f"2018-{month:02}-01" for month in arriving.TAXI_MONTHS))
    ),
    "industry.specialised_enterprise": Case("derived-gb18030"),
    "commerce.customer": Case("db-northwind-pg"),
    "commerce.trade_order": Case("db-northwind-pg", TWO_DAYS, before="commerce.customer"),
    "culture.customer": Case("db-chinook"),
    "culture.invoice": Case("db-chinook", TWO_DAYS, before="culture.customer"),
    "culture.obituary": Case("messy-readxl"),
    "culture.office_supply": Case("messy-readxl"),
}


@dataclass(frozen=True)
class Done:
    """The records of one batch's run."""

    landed: Landed
    standardised: Standardised
    checked: Checked
    merged: Merged
    published: list[Published]

    @property
    def set_aside(self) -> int:
        return self.standardised.quarantined + self.checked.quarantined + self.merged.quarantined

    @property
    def snapshots(self) -> list[int]:
        return [self.merged.snapshot, *(each.snapshot for each in self.published)]

    @property
    def outcome(self) -> arriving.Outcome:
        m = self.merged
        counts = (m.inserted, m.updated, m.unchanged, m.superseded, m.deleted, m.total)
        return arriving.Outcome(self.landed.rows, self.set_aside, *counts)


def _run(ctx: Context, batch: Batch) -> Done:
    found: list[Record] = [record for _, _, record in run_batch(ctx, batch)]
    landed, standardised, checked, merged, *published = found
    return Done(landed, standardised, checked, merged, published)  # type: ignore[arg-type]


@pytest.fixture
def source(request: pytest.FixtureRequest, dataset: str, shared: Path, tmp_path: Path) -> Path:
    """The folder of the dataset's source as a department would leave it."""
    folder = shared / CASES[dataset].folder
    prepared = tmp_path / "source"
    if dataset == "ecology.nanjing_hour":
        prepared.mkdir()
        arriving.cut_nanjing(folder / "南京.csv", prepared)
        return prepared
    if dataset == "industry.specialised_enterprise":
        prepared.mkdir()
        arriving.with_page_footers(folder / "杭州.gb18030.csv", prepared / "杭州.gb18030.csv")
        return prepared
    return folder


@pytest.fixture
def city(
    request: pytest.FixtureRequest,
    dataset: str,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Context]:
    """A context on the entries for real files whose connections all lead to the dataset's source."""
    url = str(source)
    if dataset.startswith("commerce."):
        department: Department = request.getfixturevalue("postgresql")
        department.run((source / "northwind.sql").read_text(encoding="utf-8"))
        url = department.url
    elif source.name == "db-chinook":
        shutil.copy(source / "Chinook_Sqlite.sqlite", tmp_path)
        url = f"sqlite:///{tmp_path / 'Chinook_Sqlite.sqlite'}"
    monkeypatch.setenv("XUANWU_KEY_1", bytes(range(32)).hex())
    settings = Settings(home=tmp_path / "home")
    yield Context(
        settings=settings,
        catalogue=load_catalogue(ROOT),
        ledger=Ledger(settings.database_url),
        connect=lambda name: "" if name == "xuanwu_keys" else url,
        clock=lambda: NOW,
    )


def test_every_entry_is_tried() -> None:
    assert CASES.keys() == arriving.READINGS.keys() == load_catalogue(ROOT).entries.keys()


@pytest.mark.parametrize("dataset", CASES)
def test_rows_in_are_rows_out_and_rows_set_aside(city: Context, dataset: str, source: Path) -> None:
    case, entry = CASES[dataset], city.catalogue.entry(dataset)
    if case.before:
        _run(city, _batch(case.before, case.intervals[0]))
    expected = arriving.outcomes(entry.merge.kind, arriving.READINGS[dataset](source))
    assert len(expected) == len(case.intervals)
    for interval, want in zip(case.intervals, expected, strict=True):
        done = _run(city, _batch(dataset, interval))
        assert str(done.outcome) == str(want)
        assert (
            want.arrived == want.set_aside + want.superseded + want.inserted + want.updated + want.unchanged
        )
        assert [f"{each.zone}/{each.policy}" for each in done.published] == list(parts(entry, "publish"))
        assert quarantine.count(city.tables, dataset, done.landed.batch.id) == want.set_aside
    _holds(city, dataset, done)
    _rerun_changes_nothing(city, dataset, done)


def _batch(dataset: str, interval: tuple[datetime, datetime]) -> Batch:
    return Batch(dataset=dataset, start=interval[0], end=interval[1])


def _holds(ctx: Context, dataset: str, done: Done) -> None:
    """Every sum of the ledger; every table and every download counted without our code."""
    sums = ctx.ledger.sums(dataset)
    assert {each.stage for each in sums} == {"standardise", "check", "merge", "publish"}
    assert [str(each.sum) for each in sums if not each.sum.holds] == []
    assert _rows_of(ctx, ("curated", dataset.replace(".", "__"))) == done.merged.total
    for published in done.published:
        zone, _, name = published.table.partition(".")
        assert _rows_of(ctx, (zone, name)) == published.rows_out == done.merged.total
    offered = ctx.catalogue.entry(dataset).open
    downloads = [each for published in done.published for each in published.downloads]
    wanted = list(offered.downloads) if offered.type != "none" else []
    found = [each.format for each in downloads if "data_dictionary" not in each.path]
    assert found == wanted
    assert {each.format: COUNT[each.format](Path(each.path)) for each in downloads} == dict.fromkeys(
        wanted, done.merged.total
    )


def _rows_of(ctx: Context, table: tuple[str, str]) -> int:
    """Rows of the data files that the table's snapshot names, counted by pyarrow."""
    files = [path.removeprefix("file://") for path in ctx.tables.data_files(table)]
    return ds.dataset(files, format="parquet").count_rows() if files else 0


def _csv_rows(path: Path) -> int:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _jsonl_rows(path: Path) -> int:
    with path.open(encoding="utf-8") as file:
        return sum(isinstance(json.loads(line), dict) for line in file)


def _xlsx_rows(path: Path) -> int:
    book = load_workbook(path, read_only=True)
    return sum(1 for _ in book.worksheets[0].iter_rows(values_only=True)) - 1


COUNT: dict[str, Callable[[Path], int]] = {
    "csv": _csv_rows,
    "jsonl": _jsonl_rows,
    "parquet": lambda path: pq.ParquetFile(path).metadata.num_rows,
    "xlsx": _xlsx_rows,
}


def _rerun_changes_nothing(ctx: Context, dataset: str, done: Done) -> None:
    before = _state(ctx, dataset)
    again = _run(ctx, done.landed.batch)
    assert again.snapshots == done.snapshots
    assert all(each.reused for each in again.published)
    assert again.landed == done.landed and again.set_aside == done.set_aside
    assert _state(ctx, dataset) == before


def _state(ctx: Context, dataset: str) -> dict[str, object]:
    """The snapshot of every table of the dataset but its quarantine, and the bytes of its downloads."""
    name = dataset.replace(".", "__")
    tables = [
        table
        for zone in ("curated", "share", "open")
        for table in ctx.tables.identifiers(zone)  # type: ignore[arg-type]
        if table[1] == name or table[1].startswith(f"{name}__")
    ]
    folders = [Path(ctx.settings.lake_root) / place for place in PLACES]
    found = sorted(path for folder in folders for path in folder.rglob("*"))
    files = {str(path): path.read_bytes() for path in found if path.is_file()}
    return {".".join(table): ctx.tables.current_snapshot(table) for table in tables} | files
