"""Every value of grade 3 and more of the sample city is a canary: one day goes well, the next one fails in every way, and
then all that was written, said, named or counted is looked through, in every encoding."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sqlite3
import sys
import traceback
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.conversions import from_bytes

from lake.search import Needles, forms, search
from lake.zones import identifier
from sample.city import DAYS
from schemas.errors import CheckFailed, LeakFound, MaskError, SourceError, XuanwuError
from schemas.settings import HERE, Settings
from tests.canaries import footer, sightings
from tests.city.running import KEY, City, listening
from tests.city.secrets import at_sources, secrets
from tests.city.test_broken import edit, source
from tests.waiting import ran

ROWS = 300
RESIDENT, ENTERPRISE = "public_security.resident", "market_regulation.enterprise"
FILES = ("natural_resources.land_parcel",)
"""Datasets whose originals are Parquet as the department wrote it."""
KILLED = """
import os, signal, sys
from datetime import date
import lake.commits as module
from pipelines.batches import batch_for
from pipelines.context import open_context
from pipelines.stages import run_batch

module.parquet_files_to_data_files = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
ctx = open_context()
list(run_batch(ctx, batch_for(ctx, ctx.catalogue.entry(sys.argv[1]), date.fromisoformat(sys.argv[2]))))
"""
"""Killed with its data files written and nothing committed."""


def failing(city: City, dataset: str, error: type[XuanwuError]) -> None:
    """The batch of the second day stops, and all that is told of it is kept."""
    with listening(city.said), pytest.raises(error) as caught:
        city.run(dataset, 2)
    city.said.write("".join(traceback.format_exception(caught.value)))


def spoil(city: City, patch: pytest.MonkeyPatch) -> None:
    """The second day of the city: each failure where it is met."""
    entry = city.settings.catalogue / "public_security/resident.yaml"
    good = entry.read_text("utf-8")
    killed = ran(
        [sys.executable, "-c", KILLED, ENTERPRISE, DAYS[1].isoformat()],
        env=city.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    city.said.write(killed.stdout + killed.stderr)
    edit(
        city,
        RESIDENT,
        "checks:\n",
        "checks:\n  - {expect: expect_column_values_to_match_regex, column: name, regex: '^[0-9]+$', on_fail: stop}\n",
    )
    failing(city, RESIDENT, CheckFailed)
    entry.write_text(good, "utf-8")
    patch.delenv("XUANWU_KEY_1")
    failing(city, RESIDENT, MaskError)
    patch.setenv("XUANWU_KEY_1", KEY)
    edit(
        city,
        RESIDENT,
        "      fields: [gender, birth_date, ethnicity, division]\n",
        "      mask: {phone: keep}\n",
    )
    text = entry.read_text("utf-8").replace(
        "      mask:\n        birth_date: {kind: generalise, to: year}\n", ""
    )
    text = text.replace(
        "division: {element: division_code,", "division: {type: string, grade: 1, risk: quasi,"
    )
    entry.write_text(
        text.replace("source: XZQHDM, required: true}", "source: LXDH, title: {zh: 区, en: D}}"), "utf-8"
    )
    failing(city, RESIDENT, LeakFound)
    entry.write_text(good, "utf-8")
    source(city, "civil_affairs", "ALTER TABLE HY_DJXX RENAME COLUMN NFSFZH TO X")
    failing(city, "civil_affairs.marriage", SourceError)
    rides = sorted((city.folder / "health/vaccination").rglob("*.csv"))[-1]
    rides.write_bytes(rides.read_bytes() + '"3,未闭合'.encode())
    failing(city, "health.vaccination", SourceError)
    orders = sorted((city.folder / "government_services/12345").glob("*.gz"))[-1]
    orders.write_bytes(orders.read_bytes()[:-40])
    failing(city, "government_services.work_order", SourceError)
    with closing(sqlite3.connect(city.folder / "human_resources.db")) as database, database:
        database.execute("UPDATE SB_CBXX SET updated_at = 'x' || rowid" if _has(database) else "SELECT 1")


def _has(database: sqlite3.Connection) -> bool:
    return any(row[1] == "updated_at" for row in database.execute("PRAGMA table_info(SB_CBXX)"))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The city after both days, looked at with every command."""
    root = tmp_path_factory.mktemp("canaries")
    shutil.copytree(HERE / "catalogue", root / "catalogue")
    made = City(root / "sources", Settings(home=root / "home", catalogue=root / "catalogue"), ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        made.run_day(1)
        made.write(2)
        spoil(made, patch)
        for command in (
            ("status", "--all", "--stages"),
            ("status", "--json"),
            ("quarantine", "list"),
            ("quarantine", "show", RESIDENT),
            ("quarantine", "show", "health.vaccination"),
            ("report",),
            ("portal",),
            ("upkeep",),
        ):
            made.xuanwu(*command)
        yield made


@pytest.fixture(scope="module")
def values(city: City) -> set[str]:
    """Every text of grade 3 and more, as curated and as the sources wrote it."""
    from tests.city.test_city import masked_whole

    found: set[str] = set()
    for name, entry in city.ctx.catalogue.entries.items():
        fields = [f for f in entry.fields.values() if f.grade >= 3 and f.type == "string"]
        found |= at_sources(entry, city.days[1].raw.get(name, ()))
        for field in fields:
            found |= secrets(
                field, masked_whole, (row[field.name] for row in city.days[1].tables[name].values())
            )
    return found


@pytest.fixture(scope="module")
def found(city: City, values: set[str]) -> dict[str, set[str]]:
    return sightings(city.settings.home, city.lake, values, city.said.getvalue())


PUBLISHED = ("lake/share/", "lake/open/", "lake/downloads/", "lake/conditional/", "portal/")


def test_no_canary_is_told_anywhere(city: City, values: set[str], found: dict[str, set[str]]) -> None:
    """Logs, errors, reports, records, verdicts, manifests, certificates, the audit log, both databases, the names of
    files, Iceberg's metadata and the footers of Parquet; of what is published see below."""
    assert len(values) > 1500
    assert len(city.said.getvalue()) > 10_000
    assert {place for place in found if not place.startswith(PUBLISHED)} == set()


def test_no_canary_is_published(city: City, values: set[str], found: dict[str, set[str]]) -> None:
    """Resident ids, phones and addresses: what no other field holds in the clear."""
    open_texts = {
        str(row[field.name])
        for name, entry in city.ctx.catalogue.entries.items()
        for field in entry.fields.values()
        if field.grade < 3
        for row in city.days[1].tables[name].values()
    }
    only_private = {value for value in values if len(value) >= 11 and value not in open_texts}
    assert len(only_private) > 500
    assert {
        place for place, hits in found.items() if place.startswith(PUBLISHED) and hits & only_private
    } == set()


def test_the_search_finds_them_where_they_are(city: City, values: set[str]) -> None:
    """Most lie in the curated tables and originals, and are found there: the test before could have failed."""
    uris = [str(p) for zone in ("landing", "curated") for p in (city.lake / zone).rglob("*") if p.is_file()]
    looked = search(uris, Needles(values, exact=True))
    assert len(set().union(*looked.found.values())) > 0.9 * len(values)


def test_no_bound_of_a_private_column_is_kept(city: City) -> None:
    """In no manifest of curated and quarantine, and in no footer; of other columns there are bounds."""
    kept = 0
    for dataset, entry in city.ctx.catalogue.entries.items():
        private = {field.name for field in entry.fields.values() if field.grade >= 3} | {"data", "remark"}
        for zone in ("curated", "quarantine"):
            table = identifier(zone, dataset)  # type: ignore[arg-type]
            if not city.ctx.tables.exists(table):
                continue
            loaded = city.ctx.tables._load(table)
            names = {field.field_id: field for field in loaded.schema().fields}
            for task in loaded.scan().plan_files():
                bounds = (task.file.lower_bounds or {}) | (task.file.upper_bounds or {})
                told = {names[number].name for number in bounds if number in names}
                assert not told & private, (table, told & private)
                kept += sum(
                    from_bytes(names[i].field_type, b) is not None for i, b in bounds.items() if i in names
                )
                meta = pq.read_metadata(task.file.file_path.removeprefix("file://"))
                group = meta.row_group(0)
                columns = [group.column(i) for i in range(group.num_columns)]
                shown = {c.path_in_schema.split(".")[0] for c in columns if c.is_stats_set}
                assert not shown & private, (table, shown & private)
    assert kept > 50
    came = {f"landing/{dataset.replace('.', '/')}" for dataset in FILES}
    ours = [
        p
        for p in city.lake.rglob("*.parquet")
        if p.relative_to(city.lake).parts[0] in ("landing", "standard")
    ]
    for path in (p for p in ours if "/".join(p.relative_to(city.lake).parts[:3]) not in came):
        meta = pq.read_metadata(path)
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        assert not any(g.column(i).is_stats_set for g in groups for i in range(g.num_columns)), path
        assert footer(path)


# ── the search itself ─────────────────────────────────────────────────────────────────────────────────────

CANARY = "甲乙KNRY7Q丙320102"


def _parquet(path: Path, **options: object) -> None:
    table = pa.table({"n": list(range(50_000)), "x": [f"行{n}" for n in range(49_999)] + [CANARY]})
    pq.write_table(table, path, compression="zstd", **options)


def _dictionary(path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([CANARY] * 99).dictionary_encode()}), path, compression="zstd")


def _statistics(path: Path) -> None:
    pq.write_table(pa.table({"x": ["a", CANARY]}), path, write_statistics=True)


def _avro(path: Path) -> None:
    """A manifest of Iceberg whose bounds hold it."""
    from lake.tables import Tables

    tables = Tables(Settings(home=path.parent / "home"))
    name = identifier("curated", "a.b")
    tables.ensure(name, pa.schema([("x", pa.string())]))
    tables.replace(name, pa.table({"x": [CANARY[:12]]}).to_reader(), (), {})
    (manifest,) = (p for p in (path.parent / "home").rglob("*-m0.avro"))
    shutil.copy(manifest, path)


def _workbook(path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write(0, 0, CANARY)


def _zipped_gzip(path: Path) -> None:
    import gzip

    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", gzip.compress(CANARY.encode() * 3))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.zip", inner.getvalue())


def _sqlite(path: Path) -> None:
    """In a cell so long that it is cut over pages, in a database with a write-ahead log."""
    import zlib

    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (?)", [zlib.compress((os.urandom(9000).hex() + CANARY).encode())])


def _zstd(path: Path) -> None:
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write(CANARY.encode())


@pytest.mark.parametrize(
    "plant", [_parquet, _dictionary, _statistics, _avro, _workbook, _zipped_gzip, _sqlite, _zstd]
)
def test_a_canary_is_found_in_every_format(tmp_path: Path, plant: object) -> None:
    path = tmp_path / "planted"
    plant(path)  # type: ignore[operator]
    wanted = CANARY[:12] if plant is _avro else CANARY
    looked = search([str(path)], Needles([wanted, "不在这里的词"]))
    assert looked.unread == []
    assert looked.found == {str(path): {wanted}}


def test_a_canary_is_found_in_every_encoding_and_in_a_name(tmp_path: Path) -> None:
    found = forms(CANARY)
    assert len(found) >= 20
    for number, form in enumerate(sorted(found)):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(b"\x01" + form + b"\xff")
        assert search([str(path)], Needles([CANARY])).found, form
    for around in ("", "a", "ab", "abc"):
        import base64

        path = tmp_path / "token"
        path.write_bytes(base64.b64encode(f"{around}{CANARY}{around}".encode()))
        assert search([str(path)], Needles([CANARY])).found, around
    named = tmp_path / f"导出_{CANARY}.csv"
    named.write_bytes(b"")
    assert search([str(named)], Needles([CANARY])).found


def test_a_damaged_file_is_told_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1" + CANARY.encode() + b"PAR1")
    looked = search([str(path)], Needles([CANARY]))
    assert looked.unread == [str(path)]
    assert looked.found


@pytest.mark.parametrize(
    "place", ["lake/records/x.json", "lake/curated/t/metadata/v1.json", "ledger.db-wal", "report.html"]
)
def test_a_canary_that_is_planted_in_a_home_is_seen(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"…{CANARY}…")
    hidden = tmp_path / "lake/curated/t/data/a.parquet"
    hidden.parent.mkdir(parents=True)
    _statistics(hidden)
    assert sightings(tmp_path, tmp_path / "lake", [CANARY]).keys() == {place, "lake/curated/t/data/a.parquet"}
