"""Compaction: the same rows in few sorted files, beside merges and kills, and nothing that hangs on a snapshot breaks."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake import quarantine, upkeep
from lake.forgetting import forget_past
from lake.properties import said
from lake.tables import Tables
from pipelines.upkeep import compaction
from pipelines.upkeep.compaction import Compacted, compact, compact_all, order_of
from schemas.errors import Unbalanced
from schemas.settings import Settings
from tests.pipelines.merging.making import DAY, NOW, City, MakeCatalogue, counts
from tests.waiting import ran

TABLE = ("curated", "dept__data")
FIELDS: dict[str, dict[str, Any]] = {
    "id": {"type": "string"},
    "at": {"type": "integer"},
    "made": {"type": "date"},
}


def day(number: int, *ids: str) -> list[dict[str, Any]]:
    return [{"id": each, "at": number, "made": (NOW - DAY * (20 - number)).date()} for each in ids]


@pytest.fixture
def city(settings: Settings, make_catalogue: MakeCatalogue) -> City:
    """Ten days of an upsert, a file for each."""
    here = City(settings, make_catalogue, FIELDS, order_by="at")
    for number in range(10):
        here.merge(number, day(number, f"p{9 - number}", f"q{number}"))
    assert len(here.ctx.tables.parts(TABLE)) >= 8
    return here


def snapshots(city: City) -> list[tuple[int, dict[str, str]]]:
    return list(city.ctx.tables.snapshots(TABLE))


def test_the_rows_stay_and_the_files_become_one_in_the_keys_order(city: City) -> None:
    before, merged = city.rows("id", "at", "made", "_batch"), snapshots(city)[0]
    parts = city.ctx.tables.parts(TABLE)
    done = compact_all(city.ctx)
    assert done == Compacted(len(parts), 1, len(before)) == Compacted(10, 1, 20)
    assert city.rows("id", "at", "made", "_batch") == before
    (file,) = city.files()
    ids = pq.read_table(file)["id"].to_pylist()
    assert ids == sorted(ids)
    snapshot, summary = snapshots(city)[0]
    assert (said(summary, "compacted"), said(summary, "batch")) == (str(merged[0]), None)
    assert said(summary, "newest_end") == said(merged[1], "newest_end")
    assert snapshots(city)[1] == merged
    assert compact_all(city.ctx) == Compacted(), "there is nothing left to do"
    assert snapshots(city)[0][0] == snapshot


def test_a_batch_merged_before_is_found_and_a_new_one_merges(city: City) -> None:
    last = city.merge(9, day(9, "p0", "q9"))
    compact_all(city.ctx)
    assert city.merge(9, day(9, "p0", "q9")) == last
    assert counts(city.merge(10, day(10, "p0", "new"))) == {"inserted": 1, "updated": 1}


def test_expiry_keeps_the_batch_that_a_compaction_was_made_of(city: City) -> None:
    merged = snapshots(city)[0][0]
    compact_all(city.ctx)
    compacted = snapshots(city)[0][0]
    removed = upkeep.clean(city.settings, city.ctx.tables, NOW + timedelta(days=4000))
    assert removed.snapshots == 9
    assert [snapshot for snapshot, _ in snapshots(city)] == [compacted, merged]
    assert city.ctx.tables.row_count(TABLE, merged) == city.ctx.tables.row_count(TABLE) == 20


def test_forgetting_all_keeps_no_batch_either(city: City) -> None:
    """An erasure forgets the past of a table; what a compaction was made of is past."""
    compact_all(city.ctx)
    forget_past(city.ctx.tables, TABLE, lambda _: None)
    (only,) = snapshots(city)
    assert said(only[1], "compacted")
    assert len(list(Path(city.ctx.tables.location(TABLE)).rglob("*.parquet"))) == 1
    assert len(city.rows()) == 20


def test_a_late_snapshot_is_late_after_a_compaction_too(
    settings: Settings, make_catalogue: MakeCatalogue
) -> None:
    city = City(settings, make_catalogue, FIELDS, kind="snapshot")
    for number in range(3):
        city.merge(number, day(number, "a", f"b{number}"))
    compact(city.ctx, TABLE, ("id",))
    assert counts(city.merge(1, day(1, "z"))) == {"superseded": 1}


def test_a_merge_that_commits_first_makes_compaction_wait(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = compaction._rows

    def overtaken(*arguments: Any) -> Any:
        yield from real(*arguments)
        city.merge(10, day(10, "overtaking"))

    monkeypatch.setattr(compaction, "_rows", overtaken)
    assert compact_all(city.ctx) == Compacted()
    assert "overtaking" in {row["id"] for row in city.rows()}
    data = Path(city.ctx.tables.location(TABLE), "data")
    assert {str(path) for path in data.iterdir()} >= set(city.files()), "and it leaves no file of its own"
    monkeypatch.undo()
    assert compact_all(city.ctx).files == 11


def test_a_compaction_that_commits_first_makes_a_merge_plan_again(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, once = Tables.replace, []

    def replaced(tables: Tables, table: Any, *arguments: Any, **named: Any) -> int:
        if not once and table == TABLE:
            once.append(compact(city.ctx, TABLE, ("id",)) if once.append(None) is None else None)
        return real(tables, table, *arguments, **named)

    before = {row["id"] for row in city.rows()}
    monkeypatch.setattr(Tables, "replace", replaced)
    assert counts(city.merge(10, day(10, "later"))) == {"inserted": 1}
    assert once[1].files == 10
    assert {row["id"] for row in city.rows()} == before | {"later"}


def test_rows_that_would_be_lost_stop_it(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    standing, files = snapshots(city)[0], set(city.files())
    monkeypatch.setattr(compaction.sql, "stored_rows", lambda parts: f"{_stored(parts)} LIMIT 5")
    with pytest.raises(Unbalanced, match="rows written 5 ≠ rows read 20"):
        compact_all(city.ctx)
    assert snapshots(city)[0] == standing
    data = Path(city.ctx.tables.location(TABLE), "data")
    assert {str(path) for path in data.glob("*.parquet")} >= files


_stored = compaction.sql.stored_rows

KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.upkeep import compaction
from pipelines.context import Context
from lake import commits
from lake.ledger import Ledger
from schemas.load import load_catalogue
from schemas.settings import Settings

settings = Settings(home=Path(sys.argv[1]))
commits.commit = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
ctx = Context(settings, load_catalogue(Path(sys.argv[2])), Ledger(settings.database_url), str, None)
compaction.compact_all(ctx)
"""


def test_killed_before_its_commit_it_has_changed_nothing(city: City) -> None:
    standing, rows = snapshots(city)[0], city.rows()
    command = [sys.executable, "-c", KILLED, str(city.settings.home), str(city.ctx.catalogue.root)]
    assert ran(command, check=False).returncode == -9
    assert (snapshots(city)[0], city.rows()) == (standing, rows)
    assert compact_all(replace(city.ctx)).files == 10
    assert city.rows() == rows


def test_deleted_rows_go_and_a_large_file_stays(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.deletes.SMALL_ROWS", 1)
    monkeypatch.setattr("lake.deletes.DEAD", 1.0)
    city.merge(10, day(10, *(f"q{number}" for number in range(10))))
    assert any(part.deletes for part in city.ctx.tables.parts(TABLE))
    before = city.rows("id", "at", "_batch")
    assert compact_all(city.ctx).rows == len(before)
    assert not any(part.deletes for part in city.ctx.tables.parts(TABLE))
    assert city.rows("id", "at", "_batch") == before
    monkeypatch.setattr(compaction.datafiles, "FILE_ROWS", 20)
    monkeypatch.setattr(compaction, "LEAST", 1)
    assert compact_all(city.ctx) == Compacted(), "a file of half the size or more is none to be compacted"


def test_one_upkeep_rewrites_only_so_much(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MOST_ROWS", 17)
    before = city.rows()
    done = compact_all(city.ctx)
    assert done.rows <= 17 and 8 <= done.files < 10
    assert city.rows() == before


def test_what_grows_is_sorted_by_time_and_a_register_by_its_key(
    settings: Settings, make_catalogue: MakeCatalogue
) -> None:
    assert order_of(City(settings, make_catalogue, FIELDS, order_by="at").entry) == ("id",)
    assert order_of(City(settings, make_catalogue, FIELDS, kind="append").entry) == ("made", "id")


def test_a_quarantine_is_compacted_and_a_batch_in_it_is_still_replaced(
    settings: Settings, make_catalogue: MakeCatalogue
) -> None:
    city = City(settings, make_catalogue, FIELDS, kind="append")
    for number in range(10):
        city.merge(number, day(number, "taken"))
    table = quarantine.table_of("dept.data")
    before = quarantine.summary(city.ctx.tables, "dept.data")
    assert len(city.ctx.tables.parts(table)) == len(before) == 9
    assert compact_all(city.ctx).files >= 9
    assert len(city.ctx.tables.parts(table)) == 1
    assert quarantine.summary(city.ctx.tables, "dept.data") == before
    city.merge(5, [*day(6, "taken"), *day(7, "taken", "more")])
    after = {each.batch: each.rows for each in quarantine.summary(city.ctx.tables, "dept.data")}
    assert sorted(after.values()) == [1] * 9


def test_the_end_of_the_newest_interval_outlives_what_said_it(city: City) -> None:
    compact_all(city.ctx)
    upkeep.clean(city.settings, city.ctx.tables, NOW + timedelta(days=4000))
    assert said(snapshots(city)[0][1], "newest_end") == (NOW + 9 * DAY).isoformat()
