"""The sources as written, counted again by other means, must be what `faults.json` says."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from sample.city import DAYS, SOURCES, write_city
from tests.sample.recount import BAD, CURSORS, Row, arrived, is_resident, plain, rows_of

ROWS = 2000
DATASETS = sorted(source.dataset for source in SOURCES)
KEYS = {
    "public_security.resident": "GMSFHM",
    "civil_affairs.marriage": "DJZH",
    "human_resources.social_insurance": "GRBH",
    "market_regulation.enterprise": "TYSHXYDM",
    "education.school": "学校标识码",
    "health.institution": "code",
    "natural_resources.land_parcel": "parcel_no",
}


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The city on each day, in a folder of its own."""
    folders = {day: tmp_path_factory.mktemp(f"day{day}") for day in (1, 2, 3)}
    for day, folder in folders.items():
        write_city(folder, day, ROWS)
    return folders


def told(folder: Path, day: int, dataset: str) -> Row:
    return json.loads((folder / "faults.json").read_bytes())["days"][DAYS[day - 1].isoformat()][dataset]


@pytest.mark.parametrize("day", (1, 2, 3))
@pytest.mark.parametrize("dataset", DATASETS)
def test_counted_again(cities: dict[int, Path], dataset: str, day: int) -> None:
    rows = rows_of(cities[day], dataset, DAYS[day - 1].isoformat())
    batch = arrived(rows, dataset, day)
    report = told(cities[day], day, dataset)
    assert (len(rows), len(batch)) == (report["rows"], report["arrives"])
    assert sum(map(BAD[dataset], batch)) == report["set_aside"]
    assert day > 1 or report["set_aside"] > 0


def test_every_planted_fault_is_there(cities: dict[int, Path]) -> None:
    for dataset in DATASETS:
        faults = told(cities[1], 1, dataset)["faults"]
        assert faults and all(faults.values()), dataset


@pytest.mark.parametrize("dataset", sorted(KEYS))
def test_duplicates_are_as_many_as_told(cities: dict[int, Path], dataset: str) -> None:
    rows = rows_of(cities[1], dataset, DAYS[0].isoformat())
    keys = [plain(row[KEYS[dataset]]).upper() for row in rows]
    expected = told(cities[1], 1, dataset)["faults"].get("duplicate_key", 0)
    assert len(keys) - len(set(keys)) == expected
    assert expected > 0 or dataset == "civil_affairs.marriage"


@pytest.mark.parametrize("day", (2, 3))
@pytest.mark.parametrize("dataset", sorted(KEYS))
def test_from_day_to_day(cities: dict[int, Path], dataset: str, day: int) -> None:
    """New, changed and vanished keys, by comparing the two days row by row."""
    before, after = (
        by_key(rows_of(cities[each], dataset, DAYS[each - 1].isoformat()), dataset) for each in (day - 1, day)
    )
    changes = told(cities[day], day, dataset)["changes"]
    assert len(after.keys() - before.keys()) == changes["new"]
    assert len(before.keys() - after.keys()) == changes.get("vanished", 0)
    assert sum(before[key] != after[key] for key in before.keys() & after.keys()) == changes["changed"]
    assert changes["new"] and changes["changed"]
    assert dataset in CURSORS or changes["vanished"] or dataset != "market_regulation.enterprise"


def by_key(rows: list[Row], dataset: str) -> dict[tuple[str, int], tuple[object, ...]]:
    """Key and how many times it was seen before, to the row; without columns that came later."""
    seen: Counter[str] = Counter()
    found = {}
    for row in rows:
        key = str(row[KEYS[dataset]])
        kept = (value for name, value in row.items() if name not in ("BZ", "SFXW", "备注", "cells", "width"))
        found[key, seen[key]] = tuple(kept)
        seen[key] += 1
    return found


@pytest.mark.parametrize("dataset", CURSORS)
def test_late_rows_lie_behind_the_position_but_within_the_overlap(
    cities: dict[int, Path], dataset: str
) -> None:
    first, second = (rows_of(cities[day], dataset, "") for day in (1, 2))
    position = max(row["GXSJ"] for row in first)
    known = {row[KEYS[dataset]] for row in first}
    late = [row for row in second if row[KEYS[dataset]] not in known and row["GXSJ"] < position]
    assert len(late) == told(cities[2], 2, dataset)["changes"]["late"] > 0
    assert all(row["GXSJ"] > f"{DAYS[0]} 16:00:00" for row in late)
    assert sum(row["GXSJ"] == position for row in first) > 1, "several rows share the last cursor value"


def test_a_new_column_on_the_third_day(cities: dict[int, Path]) -> None:
    for dataset in ("public_security.resident", "market_regulation.enterprise", "education.school"):
        columns = [set(rows_of(cities[day], dataset, "")[0]) for day in (1, 2, 3)]
        assert columns[0] == columns[1] < columns[2]
    orders = [rows_of(cities[3], "government_services.work_order", day.isoformat())[0] for day in DAYS]
    assert ["channel" in order for order in orders] == [False, False, True]


def test_the_faults_of_residents_one_by_one(cities: dict[int, Path]) -> None:
    rows = rows_of(cities[1], "public_security.resident", "")
    faults = told(cities[1], 1, "public_security.resident")["faults"]
    ids = [row["GMSFHM"] for row in rows]
    assert sum(i.endswith("x") for i in ids) == faults["lower_case"]
    assert sum(not i.isascii() for i in ids) == faults["full_width"]
    assert sum(not is_resident(plain(i).upper()) for i in ids) == faults["wrong_check_digit"]
    assert sum(row["XM"] is None for row in rows) == faults["missing_name"]
    assert sum(row["XM"] is not None and "\u3000" in row["XM"] for row in rows) == faults["spaces"]
    assert sum(row["CSRQ"] == "1990-02-30" for row in rows) == faults["impossible_date"]
    assert sum(row["XZQHDM"].endswith("区") for row in rows) == faults["label_not_code"]
    assert {len(row["CSRQ"]) for row in rows} == {8, 10, 11}, "dates are written in several forms"


def test_phones_are_of_a_prefix_that_nobody_has(cities: dict[int, Path]) -> None:
    phones = [
        plain(row["LXDH"]).replace("-", "") for row in rows_of(cities[1], "public_security.resident", "")
    ]
    assert {phone[:3] for phone in phones} == {"154"}


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "connections.env"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def test_the_same_seed_gives_the_same_bytes(cities: dict[int, Path], tmp_path: Path) -> None:
    for day in (1, 2, 1, 2):
        write_city(tmp_path, day, ROWS)
    again = digests(tmp_path)
    assert {name: d for name, d in digests(cities[2]).items() if name != "faults.json"} == {
        name: d for name, d in again.items() if name != "faults.json"
    }
    write_city(tmp_path, 2, ROWS, seed=7)
    assert digests(tmp_path)["public_security.db"] != again["public_security.db"]


def test_going_back_to_day_one(cities: dict[int, Path], tmp_path: Path) -> None:
    write_city(tmp_path, 3, ROWS)
    write_city(tmp_path, 1, ROWS)
    assert digests(tmp_path) == digests(cities[1])


def test_a_longer_city_begins_as_a_shorter_one(cities: dict[int, Path], tmp_path: Path) -> None:
    write_city(tmp_path, 1, 20_000)
    short, long = (rows_of(folder, "public_security.resident", "") for folder in (cities[1], tmp_path))
    assert [row["GMSFHM"] for row in short] == [row["GMSFHM"] for row in long[: len(short)]]
    with closing(sqlite3.connect(tmp_path / "public_security.db")) as database:
        (distinct,) = database.execute("SELECT count(DISTINCT GMSFHM) FROM RK_JBXX").fetchone()
    assert distinct == 20_000 - told(tmp_path, 1, "public_security.resident")["faults"]["duplicate_key"]


def test_the_smallest_city_and_a_wrong_day(tmp_path: Path) -> None:
    connections = write_city(tmp_path, 3, 50)
    env = dict(line.split("=", 1) for line in (tmp_path / "connections.env").read_text().splitlines())
    assert env == {f"XUANWU_CONN_{name.upper()}": url for name, url in connections.items()}
    for day, rows in ((0, 50), (4, 50), (1, 49)):
        with pytest.raises(ValueError, match="day from 1 to 3"):
            write_city(tmp_path, day, rows)
