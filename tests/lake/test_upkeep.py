"""Upkeep: what nobody needs goes once it is old, and nothing else, whatever is at work beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from lake import renewal, store, zones
from lake.tables import Tables
from lake.upkeep import Removed, clean, expire, remove_orphans
from lake.zones import Identifier, identifier
from schemas.errors import LakeError
from schemas.numbers import default_numbers
from schemas.settings import Settings
from tests.waiting import line

TABLE = identifier("quarantine", "dept.data")
CURATED = identifier("curated", "dept.data")
SCHEMA = pa.schema([("id", pa.int64())])
DAY = timedelta(days=1)
NOTHING = Removed(scratch=0, unfinished=0, snapshots=0, files=0)

WRITER = """
import sys
import time
from pathlib import Path
import pyarrow as pa
from lake import datafiles, store
from lake.tables import Tables
from schemas.numbers import default_numbers
from schemas.settings import Settings

datafiles.FILE_ROWS, store.ROW_GROUP_ROWS = 1, 1
SCHEMA = pa.schema([("id", pa.int64())])

def files():
    return len(list(Path(sys.argv[1]).rglob("*.parquet")))

def rows():
    before = files()
    for number in (101, 102, 103):
        yield pa.record_batch([pa.array([number])], schema=SCHEMA)
    while files() < before + 2:  # they are written in another thread
        time.sleep(0.01)
    print("written", flush=True)
    sys.stdin.readline()

tables = Tables(Settings(home=Path(sys.argv[1])))
reader = pa.RecordBatchReader.from_batches(SCHEMA, rows())
tables.replace(("quarantine", "dept__data"), reader, (), {"xuanwu.batch": "killed"})
"""


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def tables(settings: Settings) -> Tables:
    made = Tables(settings)
    for table in (TABLE, CURATED):
        made.ensure(table, SCHEMA)
        for number in (1, 2, 3):
            made.replace(table, rows(number), "all", {"xuanwu.batch": str(number)})
    return made


def rows(*ids: int) -> pa.RecordBatchReader:
    return pa.table({"id": ids}, schema=SCHEMA).to_reader()


def ids(tables: Tables, table: Identifier = TABLE, snapshot: int | None = None) -> list[int]:
    return sorted(tables.scan(table, snapshot=snapshot).read_all()["id"].to_pylist())


def parquet(tables: Tables, table: Identifier = TABLE) -> list[Path]:
    return sorted(Path(tables.location(table)).rglob("*.parquet"))


def writer(settings: Settings) -> subprocess.Popen[str]:
    """A process that has written files of a table, and commits once it is given a line."""
    command = [sys.executable, "-c", WRITER, str(settings.home)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert line(process) == "written\n"
    return process


def test_a_young_lake_is_left_alone(settings: Settings, tables: Tables) -> None:
    before = store.list_files(settings.lake_root)
    assert clean(settings, tables, now()) == NOTHING
    assert store.list_files(settings.lake_root) == before


def test_old_snapshots_go_with_their_files_and_the_current_one_stays(
    settings: Settings, tables: Tables
) -> None:
    kept = tables.current_snapshot(TABLE)
    removed = clean(settings, tables, now() + 31 * DAY)
    assert removed.snapshots == 2
    assert [snapshot for snapshot, _ in tables.snapshots(TABLE)] == [kept]
    assert (ids(tables), len(parquet(tables))) == ([3], 1)
    assert clean(settings, tables, now() + 31 * DAY) == NOTHING
    tables.replace(TABLE, rows(4), (), {"xuanwu.batch": "4"})
    assert ids(tables) == [3, 4]


def test_curated_snapshots_stay_for_ninety_days(settings: Settings, tables: Tables) -> None:
    clean(settings, tables, now() + 89 * DAY)
    assert tables.find_snapshot(CURATED, **{"xuanwu.batch": "1"}) is not None
    assert len(parquet(tables, CURATED)) == 3
    assert clean(settings, tables, now() + 91 * DAY).snapshots == 2
    assert (ids(tables, CURATED), len(parquet(tables, CURATED))) == ([3], 1)


def test_each_zone_s_snapshots_stay_as_long_as_the_policy_says(tables: Tables, settings: Settings) -> None:
    longer = default_numbers().retention.model_copy(update={"curated": 120 * DAY, "quarantine": 100 * DAY})
    assert clean(settings, tables, now() + 99 * DAY, keep=longer).snapshots == 0
    assert clean(settings, tables, now() + 101 * DAY, keep=longer).snapshots == 2
    assert clean(settings, tables, now() + 119 * DAY, keep=longer).snapshots == 0
    assert clean(settings, tables, now() + 121 * DAY, keep=longer).snapshots == 2


def test_a_newer_snapshot_keeps_all_that_led_to_it_since(tables: Tables) -> None:
    made = [snapshot for snapshot, _ in tables.snapshots(TABLE)]
    moment = tables._load(TABLE).snapshot_by_id(made[1]).timestamp_ms / 1000  # type: ignore[union-attr]
    assert expire(tables, TABLE, datetime.fromtimestamp(moment, UTC)) == 1
    assert [snapshot for snapshot, _ in tables.snapshots(TABLE)] == made[:2]
    assert ids(tables, snapshot=made[1]) == [2]


def test_files_of_a_killed_writer_are_removed_and_those_of_one_at_work_are_not(
    settings: Settings, tables: Tables
) -> None:
    at_work, killed = writer(settings), writer(settings)
    killed.kill()
    killed.communicate(timeout=60)
    orphans = [path for path in parquet(tables) if str(path) not in _named(tables)]
    assert len(orphans) >= 4, "each of them has written files that no snapshot names"
    assert clean(settings, tables, now()) == NOTHING
    at_work.communicate("go\n", timeout=60)
    assert at_work.returncode == 0
    assert remove_orphans(tables, TABLE, now() + 2 * DAY) >= 2
    assert {str(path) for path in parquet(tables)} == _named(tables)
    assert ids(tables) == [3, 101, 102, 103]
    assert not list(Path(settings.lake_root).rglob("*.tmp"))


def _named(tables: Tables) -> set[str]:
    return {path for snapshot, _ in tables.snapshots(TABLE) for path in tables.data_files(TABLE, snapshot)}


def test_a_commit_between_listing_and_reading_loses_no_file(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = store.files_unchanged_since

    def meanwhile(uri: str, moment: datetime) -> list[str]:
        found = listed(uri, moment)
        tables.replace(TABLE, rows(4), "all", {"xuanwu.batch": "4"})
        return found

    monkeypatch.setattr(store, "files_unchanged_since", meanwhile)
    assert remove_orphans(tables, TABLE, now() + DAY) == 0
    assert [ids(tables, snapshot=each) for each, _ in tables.snapshots(TABLE)] == [[4], [3], [2], [1]]


def test_a_renewed_table_keeps_its_new_life_and_a_killed_renewal_goes(tables: Tables) -> None:
    base = tables.current_snapshot(TABLE)
    renewal.renew(tables, TABLE, SCHEMA, rows(7, 8), properties={"xuanwu.batch": "7"}, base=base)
    dead = Path(tables.location(TABLE)) / "0123456789ab" / "data" / "x.parquet"
    dead.parent.mkdir(parents=True)
    dead.write_bytes(b"masked under masks that never came to be")
    assert remove_orphans(tables, TABLE, now() + DAY) >= 1
    assert ids(tables) == [7, 8]
    assert not dead.exists()


def test_half_written_files_of_the_file_zones_go(settings: Settings, tables: Tables) -> None:
    folder = Path(zones.folder(settings, "landing", "dept.data", "20260303T180000Z-1f0c9a2e"))
    folder.mkdir(parents=True)
    half, whole = folder / ".00001-a.csv.0123abcd.tmp", folder / "00001-a.csv"
    for path in (half, whole):
        path.write_bytes(b"x")
        os.utime(path, times=((now() - 2 * DAY).timestamp(),) * 2)
    young = folder / ".00002-b.csv.0123abcd.tmp"
    young.write_bytes(b"x")
    assert clean(settings, tables, now()) == Removed(scratch=0, unfinished=1, snapshots=0, files=0)
    assert (half.exists(), whole.exists(), young.exists()) == (False, True, True)


def test_a_table_that_names_files_elsewhere_is_not_touched(settings: Settings, tables: Tables) -> None:
    """The lake was moved: every name in the metadata is of another place, and nothing here would seem needed."""
    moved = Path(settings.home) / "moved"
    Path(settings.lake_root).rename(moved)
    (Path(settings.home) / "lake").symlink_to(moved)
    elsewhere = Tables(Settings(home=settings.home, lake=str(moved)))
    with pytest.raises(LakeError, match="outside its folder"):
        remove_orphans(elsewhere, TABLE, now() + 2 * DAY)
    assert len(parquet(tables)) == 3
