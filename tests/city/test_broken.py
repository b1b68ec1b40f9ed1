"""The small sample city with something broken in it: a clear stop, no value in any message, and the next good batch."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lake.zones import identifier
from schemas.errors import CatalogueError, CheckFailed, MaskError, SourceError, XuanwuError
from schemas.load import load_catalogue
from schemas.settings import HERE, Settings
from tests.city.running import KEY, City, listening
from tests.leaks import bytes_below

CANARY = "KNRY7Q"
RESIDENT, MARRIAGE, SCHOOL = "public_security.resident", "civil_affairs.marriage", "education.school"


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> City:
    """Sixty residents, nothing run yet, and a catalogue of its own."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    shutil.copytree(HERE / "catalogue", tmp_path / "catalogue")
    made = City(tmp_path / "sources", Settings(home=tmp_path / "home", catalogue=tmp_path / "catalogue"), 60)
    made.write(1)
    return made


def edit(city: City, dataset: str, old: str, new: str) -> None:
    """Change the dataset's entry, where `old` stands once."""
    path = city.settings.catalogue / f"{dataset.replace('.', '/')}.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def source(city: City, department: str, *statements: str) -> None:
    with closing(sqlite3.connect(city.folder / f"{department}.db")) as database, database:
        for statement in statements:
            database.execute(statement)


# ── law 1: one source ─────────────────────────────────────────────────────────────────────────────────────


def test_a_second_source_of_a_name_is_an_error_that_names_both_files(city: City) -> None:
    edit(
        city,
        MARRIAGE,
        "{element: person_name, from: public_security.resident, on: id_no,",
        "{element: person_name, source: NFXM,",
    )
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(city.settings.catalogue)
    problems = [str(problem) for problem in caught.value.problems]
    assert any("civil_affairs/marriage.yaml" in p and "public_security/resident.yaml" in p for p in problems)


# ── law 7: a clear error ──────────────────────────────────────────────────────────────────────────────────


def test_a_stop_check_stops_before_the_curated_table_and_the_next_good_batch_works(city: City) -> None:
    table = identifier("curated", SCHOOL)
    city.run(SCHOOL, 1)
    standing, rows = city.ctx.tables.current_snapshot(table), city.ctx.tables.row_count(table)
    published = bytes_below(city.lake / "share")
    good = (city.settings.catalogue / "education/school.yaml").read_text(encoding="utf-8")

    city.write(2)
    sent = (city.folder / "education/学校名录.csv").read_bytes()
    edit(
        city,
        SCHOOL,
        "max_drop: 0.1, on_fail: stop}",
        "max_drop: 0.1, on_fail: stop}\n  - {expect: expect_table_row_count_to_be_between, min_value: 100000, on_fail: stop}",
    )
    with pytest.raises(CheckFailed) as caught:
        city.run(SCHOOL, 2)
    message = str(caught.value)
    assert all(
        word in message for word in (SCHOOL, "expect_table_row_count_to_be_between", "100000", "next: ")
    )
    assert "\n" not in message
    assert "Traceback" not in message
    assert (city.ctx.tables.current_snapshot(table), city.ctx.tables.row_count(table)) == (standing, rows)
    assert bytes_below(city.lake / "share") == published
    landed = {
        hashlib.sha256(p.read_bytes()).digest() for p in (city.lake / "landing").rglob("*") if p.is_file()
    }
    assert hashlib.sha256(sent).digest() in landed
    assert any(a.state == "failed" and message in a.message for a in city.ctx.ledger.runs(SCHOOL))

    city.write(3)
    (city.settings.catalogue / "education/school.yaml").write_text(good, encoding="utf-8")
    merged = next(record for (stage, _), record in city.run(SCHOOL, 3).items() if stage == "merge")
    assert merged.inserted and merged.snapshot != standing  # type: ignore[attr-defined]
    assert not [item for item in city.ctx.ledger.sums() if not item.sum.holds]


# ── law 3: no value in a message ──────────────────────────────────────────────────────────────────────────


def stop_on_names(city: City) -> None:
    edit(
        city,
        RESIDENT,
        "checks:\n",
        "checks:\n  - {expect: expect_column_values_to_match_regex, column: name, regex: '^[0-9]+$', on_fail: stop}\n",
    )


def lose_a_column(city: City) -> None:
    source(city, "public_security", "ALTER TABLE RK_JBXX RENAME COLUMN CSRQ TO SR")


def damage_the_database(city: City) -> None:
    """The file's end is overwritten with values: SQLite says that it is malformed."""
    path = city.folder / "public_security.db"
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(whole[:half] + (CANARY * len(whole)).encode()[: len(whole) - half])


def values_for_dates(city: City) -> None:
    """Every row is set aside, and then there are too few."""
    source(city, "public_security", f"UPDATE RK_JBXX SET CSRQ = '{CANARY}' || rowid")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (stop_on_names, CheckFailed),
        (lose_a_column, SourceError),
        (damage_the_database, SourceError),
        (values_for_dates, CheckFailed),
    ],
)
def test_no_value_of_a_person_in_an_error(
    city: City, spoil: Callable[[City], None], error: type[XuanwuError]
) -> None:
    source(
        city,
        "public_security",
        *(f"UPDATE RK_JBXX SET {name} = '{CANARY}' || rowid" for name in ("XM", "JZDZ", "LXDH")),
    )
    spoil(city)
    with listening(city.said), pytest.raises(error) as caught:
        city.run(RESIDENT, 1)
    told = "".join(traceback.format_exception(caught.value)) + city.said.getvalue()
    told += "".join(attempt.message for attempt in city.ctx.ledger.runs())
    assert RESIDENT in told
    assert CANARY not in told
    written = [bytes_below(city.lake / zone) for zone in ("records", "verdicts", "share", "open")]
    written += [path.read_bytes() for path in city.settings.home.iterdir() if path.is_file()]
    assert CANARY.encode() not in b"".join(written)
    assert CANARY.encode() in bytes_below(city.folder), "the scan must be able to find what it looks for"


def test_no_value_of_a_person_where_the_key_is_missing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    source(city, "public_security", f"UPDATE RK_JBXX SET XM = '{CANARY}' || rowid")
    monkeypatch.delenv("XUANWU_KEY_1")
    with listening(city.said), pytest.raises(MaskError) as caught:
        city.run(RESIDENT, 1)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + city.said.getvalue()
    assert "XUANWU_KEY_1" in str(caught.value)
    assert not city.ctx.tables.identifiers("share")
