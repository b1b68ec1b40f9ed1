"""The laws of the house, held on three days of the whole sample city against counts taken by other means."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import quarantine
from lake.ledger import Ledger
from lake.records import Published
from lake.zones import identifier
from pipelines.report.words import DIMENSION_WORDS
from sample.city import SOURCES
from schemas.errors import Unbalanced
from schemas.load import load_catalogue
from schemas.model import DatabaseSource, Entry, Keep, Mask, Policy, Zone
from schemas.settings import HERE, Settings
from tests.city.derived import DERIVED
from tests.city.running import KEY, City
from tests.city.secrets import at_sources, masked, secrets
from tests.leaks import among, bytes_below, bytes_of

ROWS = 2000
ENTRIES = load_catalogue(HERE / "catalogue").entries
COLLECTED = sorted(source.dataset for source in SOURCES)
DATASETS = sorted((*COLLECTED, *DERIVED))
OPENED = sorted(name for name, entry in ENTRIES.items() if entry.open.type != "none")
GRANTS = [
    (name, zone, policy)
    for name, entry in sorted(ENTRIES.items())
    for zone, policies in (("share", entry.share.policies), ("open", {"open": entry.open}))
    for policy in policies
    if (entry.share if zone == "share" else entry.open).type != "none"
]
KEPT_TYPES = ("keep", "round", "clip")
ELSEWHERE = re.compile(r'\d{4}-?\d\d-?\d\d|".*"')
"""Dates and numbers as texts and JSON show them; Parquet as read shows them in another form, which is looked for too."""
by_day = pytest.mark.parametrize("day", (1, 2, 3))
by_dataset = pytest.mark.parametrize("dataset", DATASETS)
by_grant = pytest.mark.parametrize(("dataset", "zone", "policy"), GRANTS)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """The city after its third day."""
    root = tmp_path_factory.mktemp("city")
    made = City(root / "sources", Settings(home=root / "home"), ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        for day in (1, 2, 3):
            made.run_day(day)
    return made


@pytest.fixture(scope="module")
def page(city: City, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report that the command line writes."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    city.xuanwu("report", "--output", str(path))
    return path.read_text(encoding="utf-8")


def granted(dataset: str, zone: str, policy: str) -> Policy:
    entry = ENTRIES[dataset]
    return entry.open if zone == "open" else entry.share.policies[policy]


def table_of(dataset: str, zone: str, policy: str) -> tuple[str, str]:
    return identifier("open", dataset) if zone == "open" else identifier("share", dataset, policy)


def mask_of(entry: Entry, zone: Zone, rule: Policy, name: str) -> Mask:
    """The mask of a published field: the policy's, else the field's own, else none; `schemas.policy` is not asked."""
    masks = entry.fields[name].masks
    return rule.mask.get(name) or (masks.share if zone == "share" else masks.open) or Keep()


def test_every_dataset_is_tried() -> None:
    assert set(DATASETS) == set(ENTRIES)
    assert len(DATASETS) >= 16
    assert len(GRANTS) >= 20


# ── law 1: one source ─────────────────────────────────────────────────────────────────────────────────────


@by_day
@pytest.mark.parametrize(
    "dataset", [name for name, entry in ENTRIES.items() if isinstance(entry.source, DatabaseSource)]
)
def test_only_the_entry_s_columns_land_from_a_database(city: City, dataset: str, day: int) -> None:
    columns = {field.source or name for name, field in ENTRIES[dataset].collected.items()}
    for file in city.days[day].landed(dataset).files:
        assert set(pq.read_schema(file.path).names) == columns
    with_source = [field.source for field in ENTRIES[dataset].fields.values() if field.shared_from]
    assert not any(with_source)


# ── law 2: nothing lost ───────────────────────────────────────────────────────────────────────────────────


@by_day
@pytest.mark.parametrize("dataset", COLLECTED)
def test_rows_are_those_that_were_planted(city: City, dataset: str, day: int) -> None:
    done, told = city.days[day], city.days[day].told[dataset]
    assert done.landed(dataset).rows == told["arrives"]
    assert done.standardised(dataset).quarantined + done.checked(dataset).quarantined == told["set_aside"]
    batch = done.landed(dataset).batch.id
    assert quarantine.count(city.ctx.tables, dataset, batch) == told["set_aside"]
    assert done.merged(dataset).deleted == told["changes"].get("vanished", 0)
    assert done.merged(dataset).rows_in == told["arrives"] - told["set_aside"]


@by_day
@pytest.mark.parametrize("dataset", COLLECTED)
def test_merges_count_as_plain_python_does(city: City, dataset: str, day: int) -> None:
    expected, merged = asdict(city.days[day].counts[dataset]), city.days[day].merged(dataset)
    assert {name: getattr(merged, name) for name in expected} == expected


@by_day
@by_dataset
def test_curated_tables_hold_every_expected_cell(city: City, dataset: str, day: int) -> None:
    expected, key = city.days[day].tables[dataset], ENTRIES[dataset].key
    found = {
        tuple(row[name] for name in key): row
        for row in city.curated(dataset, city.days[day].merged(dataset).snapshot)
    }
    assert found.keys() == expected.keys()
    assert len(found) == city.days[day].merged(dataset).total
    different = {name for at, row in found.items() for name in row if not same(row[name], expected[at][name])}
    assert not different, "these fields differ somewhere"


def same(found: Any, expected: Any) -> bool:
    """Equal; a rounded mean within its rounding."""
    return abs(found - expected) < 0.0501 if isinstance(expected, float) else bool(found == expected)


def test_derived_tables_have_all_their_rows(city: City) -> None:
    for day in (1, 2, 3):
        for dataset in DERIVED:
            assert not city.days[day].checked(dataset).quarantined
            assert city.days[day].merged(dataset).rows_in == city.days[day].merged(dataset).total
    assert len(city.days[3].tables["theme.district_statistics"]) == 11


def test_every_sum_of_the_ledger_holds(city: City) -> None:
    sums = city.ctx.ledger.sums()
    assert [f"{item.batch.dataset} {item.stage} {item.sum}" for item in sums if not item.sum.holds] == []
    stages = Counter((item.batch.dataset, item.stage) for item in sums)
    assert all(
        stages[name, stage] == 3 for name, stage in product(DATASETS, ("standardise", "check", "merge"))
    )
    assert sum(stages[name, "publish"] for name in DATASETS) == 3 * len(GRANTS)


@by_dataset
def test_a_record_with_one_row_more_does_not_balance(city: City, dataset: str, tmp_path: Path) -> None:
    checked = city.days[3].checked(dataset)
    with (
        closing(sqlite3.connect(city.settings.home / "ledger.db")) as source,
        closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
    ):
        source.backup(copy)
    ledger = Ledger(f"sqlite:///{tmp_path / 'copy.db'}")
    attempt = ledger.begin(checked.batch, "check")
    tampered = checked.model_copy(update={"rows_out": checked.rows_out + 1})
    expected = (
        f"rows in {checked.rows_in} ≠ rows out {checked.rows_out + 1} + quarantined {checked.quarantined}"
    )
    with pytest.raises(Unbalanced, match=re.escape(expected)):
        ledger.finish(attempt, tampered)


# ── law 3: nothing leaked ─────────────────────────────────────────────────────────────────────────────────


@by_grant
def test_published_is_what_the_entry_grants_and_nothing_else(
    city: City, dataset: str, zone: Zone, policy: str
) -> None:
    entry, rule = ENTRIES[dataset], granted(dataset, zone, policy)
    schema = city.ctx.tables.schema(table_of(dataset, zone, policy))
    hidden = masked(entry, zone, rule)
    named = rule.fields or tuple(entry.fields)
    assert set(schema.names) <= set(named) - set(rule.drop)
    for name in schema.names:
        mask = mask_of(entry, zone, rule, name)
        assert mask.kind != "drop"
        if mask.kind not in KEPT_TYPES:
            assert schema.field(name).type in (pa.string(), pa.large_string()), name
    dropped = {name for name in entry.fields if name not in schema.names}
    assert all(hidden[name].kind == "drop" for name in dropped & hidden.keys())
    undropped = [name for name in named if name not in rule.drop and name not in hidden]
    assert set(undropped) <= set(schema.names)


def test_there_are_tables_and_downloads_of_grants_only(city: City) -> None:
    tables = city.ctx.tables
    found = {*tables.identifiers("share"), *tables.identifiers("open")}
    assert found == {table_of(*grant) for grant in GRANTS}
    for place, kind in (("downloads", "unconditional"), ("conditional", "conditional")):
        folders = {".".join(path.parts[-2:]) for path in (city.lake / place).glob("*/*")}
        assert folders == {dataset for dataset in OPENED if ENTRIES[dataset].open.type == kind} != set()
    below = {
        path.name for zone in ("share", "open") for path in (city.lake / zone).glob("*") if path.is_dir()
    }
    assert below <= {name for _, name in found} | {"share", "open"}


@by_grant
def test_published_rows_are_the_curated_ones(city: City, dataset: str, zone: Zone, policy: str) -> None:
    """To the cell in the columns that are kept as they are; the others are held by their masks' own tests."""
    entry, rule = ENTRIES[dataset], granted(dataset, zone, policy)
    table = table_of(dataset, zone, policy)
    names = [
        name
        for name in city.ctx.tables.schema(table).names
        if mask_of(entry, zone, rule, name).kind == "keep" and entry.fields[name].type != "number"
    ]
    rows = [row for batch in city.ctx.tables.scan(table, names) for row in batch.to_pylist()]
    expected = city.days[3].tables[dataset].values()
    found = Counter(tuple(row[n] for n in names) for row in rows)
    curated = Counter(tuple(row[n] for n in names) for row in expected)
    record = last_published(city, dataset, zone, policy)
    assert len(rows) == len(expected) - record.suppressed
    assert found <= curated
    assert record.suppressed == 0 or (record.disclosure is not None and zone == "open")


def last_published(city: City, dataset: str, zone: Zone, policy: str) -> Published:
    records = city.days[3].published(dataset)
    return next(record for record in records if (record.zone, record.policy) == (zone, policy))


def test_rows_that_single_somebody_out_are_left_out_of_one_dataset(city: City) -> None:
    """Bus rides of 25 km and more are few at any stop on any day."""
    suppressed = {
        record.batch.dataset: record.suppressed
        for dataset in DATASETS
        for record in city.days[3].published(dataset)
        if record.suppressed
    }
    assert suppressed.keys() == {"transport.bus_ride"}
    rides = city.days[3].tables["transport.bus_ride"].values()
    assert suppressed["transport.bus_ride"] == sum((ride["distance"] or 0) >= 25 for ride in rides)


@by_day
def test_releases_about_persons_and_aggregates_are_judged(city: City, day: int) -> None:
    """Each held against the releases of the days before (GB/T 42460: 21 of a class, level 3; aggregates 4)."""
    judged = {
        dataset: record
        for dataset in city.days[day].done
        for record in city.days[day].published(dataset)
        if record.disclosure
    }
    told = {dataset: record.disclosure for dataset, record in judged.items() if record.disclosure}
    assert {dataset: each.level for dataset, each in told.items()} == {
        "government_services.work_order": 3,
        "transport.bus_ride": 3,
        "theme.district_statistics": 4,
        "theme.enterprise_vitality": 4,
    }
    for dataset in ("government_services.work_order", "transport.bus_ride"):
        record, each = judged[dataset], told[dataset]
        assert record.rows_in == record.rows_out + record.suppressed
        assert (each.k or 0) >= 21
        assert each.compared == day - 1


def hidden_values(city: City, entry: Entry, zone: Zone, rule: Policy) -> set[str]:
    """What readers of the policy's table may not find: of every day, as curated and as the source wrote it."""
    rows = [row for day in city.days.values() for row in day.tables[entry.id].values()]
    return {
        text
        for name, mask in masked(entry, zone, rule).items()
        for text in secrets(entry.fields[name], mask, (row[name] for row in rows))
    }


SCANNED = [grant for grant in GRANTS if masked(ENTRIES[grant[0]], grant[1], granted(*grant))]  # type: ignore[arg-type]


@pytest.mark.parametrize(("dataset", "zone", "policy"), SCANNED)
def test_no_masked_value_lies_below_a_published_table(
    city: City, dataset: str, zone: Zone, policy: str
) -> None:
    values = hidden_values(city, ENTRIES[dataset], zone, granted(dataset, zone, policy))
    published = bytes_below(city.lake / zone / table_of(dataset, zone, policy)[1])
    assert published
    assert len(among(values, published)) == 0
    if zone == "open":
        assert len(among(values, bytes_below(home_of(city, dataset)))) == 0
    curated = bytes_below(city.lake / "curated" / identifier("curated", dataset)[1])
    there = {text for text in values if not ELSEWHERE.fullmatch(text)}
    assert len(among(there, curated)) > 0.9 * len(there), "the scan must be able to find what it looks for"


def everything_secret(city: City) -> set[str]:
    """Every text value of grade 3 and more, of every dataset and day, as curated and as the sources wrote it."""
    found: set[str] = set()
    for name, entry in ENTRIES.items():
        fields = [f for f in entry.fields.values() if f.grade >= 3 and f.type == "string"]
        for day in city.days.values():
            found |= at_sources(entry, day.raw.get(name, ()))
            for field in fields:
                found |= secrets(field, masked_whole, (row[field.name] for row in day.tables[name].values()))
    return found


masked_whole = Policy.model_validate({"mask": {"x": "drop"}}).mask["x"]


def test_nothing_that_is_said_or_written_about_batches_holds_a_value(city: City, page: str) -> None:
    city.xuanwu("status", "--all")
    city.xuanwu("quarantine", "list")
    values = everything_secret(city)
    assert len(values) > 10_000
    folders = [city.lake / zone for zone in ("records", "verdicts")]
    told = [bytes_below(folder) for folder in folders]
    told += [
        path.read_bytes() for path in city.settings.home.iterdir() if path.is_file() and path.stat().st_size
    ]
    told += [path.read_bytes() for path in (city.lake / "landing").rglob("*manifest*")]
    told += [page.encode(), city.said.getvalue().encode()]
    assert len(told) > 6
    assert all(told)
    assert len(among(values, b"\n".join(told))) == 0
    assert not [path for path in city.settings.scratch.rglob("*") if path.is_file()]
    landed = b"\n".join(
        part for p in (city.lake / "landing").rglob("*") if p.is_file() for part in bytes_of(p, city.lake)
    )
    assert len(among(values, landed)) > 0.5 * len(values), "the scan must be able to find what it looks for"


# ── law 5: again ──────────────────────────────────────────────────────────────────────────────────────────


def state(city: City) -> dict[str, Any]:
    """Snapshot and rows of every table, and the digest of every download. Quarantine is replaced by the same rows."""
    tables = city.ctx.tables
    names = [name for zone in ("curated", "share", "open") for name in tables.identifiers(zone)]  # type: ignore[arg-type]
    files = [
        path
        for place in ("downloads", "conditional")
        for path in (city.lake / place).rglob("*")
        if path.is_file()
    ]
    return (
        {".".join(name): (tables.current_snapshot(name), tables.row_count(name)) for name in names}
        | {f"quarantine.{name}": quarantine.count(tables, name) for name in DATASETS}
        | {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    )


def test_run_again_nothing_changes(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage of every batch of the last day, once more; its records, but for `reused`, are the same too."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    before = state(city)
    for dataset in city.ctx.catalogue.order():
        done = city.days[3].done[dataset]
        again = city.run(dataset, 3)
        assert again.keys() == done.keys()
        for place, record in done.items():
            reused = {"reused": True} if isinstance(record, Published) else {}
            assert again[place] == record.model_copy(update=reused), (dataset, place)
    assert state(city) == before


# ── what is reported ──────────────────────────────────────────────────────────────────────────────────────


def test_the_command_line_says_the_same_numbers(city: City) -> None:
    said = {
        (row["dataset"], row["batch"]): row for row in json.loads(city.xuanwu("status", "--json"))["batches"]
    }
    assert len(said) == 3 * len(DATASETS)
    for day, dataset in product((1, 2, 3), DATASETS):
        done, merged = city.days[day], city.days[day].merged(dataset)
        row = said[dataset, merged.batch.id]
        assert row["state"] == "done"
        assert row["collected"] == done.landed(dataset).rows
        for name in ("inserted", "updated", "unchanged", "superseded", "deleted", "total"):
            assert row[name] == getattr(merged, name)
        published = {
            record.policy: record.rows_out for record in done.published(dataset) if record.zone == "share"
        }
        assert row["shared"] == published
        assert (row["opened"] is None) == (dataset not in OPENED)
        if dataset in done.told:
            assert row["quarantined"] == done.told[dataset]["set_aside"]


def test_the_report_names_every_dataset_in_both_languages(city: City, page: str) -> None:
    for name, entry in ENTRIES.items():
        section = page.split(f'<section id="{name}">')[1].split("</section>")[0]
        assert entry.title.zh in section
        assert entry.title.en.replace("'", "&#39;") in section
        verdict = json.loads(Path(city.days[3].checked(name).verdict).read_bytes())
        for dimension in {result["dimension"] for result in verdict["results"]}:
            assert DIMENSION_WORDS[dimension][0] in section
    for zh, en in DIMENSION_WORDS.values():
        assert zh in page
        assert en in page
    assert "不平" not in page


def test_the_report_loads_nothing_from_another_host(page: str) -> None:
    assert re.findall(r"""(?:src|href|srcset|action|poster|data)\s*=\s*["']?(?!#)[^"'\s>]""", page) == []
    assert re.findall(r"@import|url\(|<script|<link|<iframe|<base|https?://|//cdn", page) == []


# ── downloads ─────────────────────────────────────────────────────────────────────────────────────────────


def home_of(city: City, dataset: str) -> Path:
    place = "conditional" if ENTRIES[dataset].open.type == "conditional" else "downloads"
    return city.lake / place / dataset.replace(".", "/")


def latest(city: City, dataset: str) -> tuple[Path, dict[str, Any]]:
    home = home_of(city, dataset)
    index = home / json.loads((home / "latest.json").read_bytes())["index"]
    return index.parent, json.loads(index.read_bytes())


@pytest.mark.parametrize("dataset", OPENED)
def test_the_release_is_whole(city: City, dataset: str) -> None:
    folder, index = latest(city, dataset)
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert {file["name"]: file["sha256"] for file in index["files"]} == sums
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert {path.name for path in folder.iterdir()} == {*sums, "SHA256SUMS", "index.json"}
    assert {f["format"] for f in index["files"] if f["rows"] is not None} == set(
        ENTRIES[dataset].open.downloads
    )
    published = next(record for record in city.days[3].published(dataset) if record.zone == "open")
    assert {(f.format, f.sha256, f.rows) for f in published.downloads} == {
        (f["format"], f["sha256"], f["rows"]) for f in index["files"] if f["rows"] is not None
    }


@pytest.mark.parametrize("dataset", OPENED)
def test_the_dictionary_lists_exactly_what_is_published(city: City, dataset: str) -> None:
    folder, _ = latest(city, dataset)
    names = city.ctx.tables.schema(identifier("open", dataset)).names
    words = json.loads((folder / "data_dictionary.json").read_bytes())
    assert [field["field"] for field in words["fields"]] == names
    with (folder / "data_dictionary.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["field"] for row in csv.DictReader(file)] == names
    assert all(
        field["title"]["zh"] and field["title"]["en"] and field["mask"]["zh"] for field in words["fields"]
    )


@pytest.mark.parametrize("dataset", OPENED)
def test_the_files_open_and_have_every_row(city: City, dataset: str) -> None:
    folder, _ = latest(city, dataset)
    suppressed = last_published(city, dataset, "open", "open").suppressed
    name, count = dataset.split(".")[1], len(city.days[3].tables[dataset]) - suppressed
    schema = city.ctx.tables.schema(identifier("open", dataset))
    read = {"csv": csv_of, "jsonl": jsonl_of, "parquet": parquet_of, "xlsx": xlsx_of}
    for kind in ENTRIES[dataset].open.downloads:
        header, rows = read[kind](folder / f"{name}.{kind}")
        assert header == schema.names, kind
        assert len(rows) == count, kind
        if kind == "csv":
            texts = [
                i
                for i, field in enumerate(schema)
                if not pa.types.is_floating(field.type)
                and not pa.types.is_decimal(field.type)
                and not pa.types.is_integer(field.type)
            ]
            assert not any(row[i].startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for i in texts)


Rows = tuple[list[str], list[Any]]


def csv_of(path: Path) -> Rows:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def jsonl_of(path: Path) -> Rows:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return list(rows[0]), rows


def parquet_of(path: Path) -> Rows:
    table = pq.read_table(path)
    return table.schema.names, table.to_pylist()


def xlsx_of(path: Path) -> Rows:
    book = openpyxl.load_workbook(path, read_only=True)
    header, *rows = book.worksheets[0].iter_rows(values_only=True)
    return [str(name) for name in header], rows
