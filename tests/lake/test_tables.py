"""Iceberg tables: one atomic commit, found again, and safe against other processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table import Table
from sqlalchemy.exc import OperationalError

from lake import datafiles, store
from lake.tables import Tables
from lake.zones import TableZone, identifier
from schemas.errors import CommitConflict, LakeError
from schemas.settings import Settings

TABLE = identifier("curated", "dept.data")
SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.string())])


@pytest.fixture
def tables(settings: Settings) -> Tables:
    made = Tables(settings)
    made.ensure(TABLE, SCHEMA)
    return made


def rows(*ids: int, v: str = "x") -> pa.RecordBatchReader:
    return pa.table({"id": ids, "v": [v] * len(ids)}, schema=SCHEMA).to_reader()


def ids(tables: Tables, snapshot: int | None = None) -> list[int]:
    return sorted(tables.scan(TABLE, ["id"], snapshot).read_all()["id"].to_pylist())


def parquet_files(tables: Tables) -> list[str]:
    return [path for path in store.list_files(tables.location(TABLE)) if path.endswith(".parquet")]


def test_names_and_places() -> None:
    assert identifier("share", "civil_affairs.marriage", "default") == (
        "share",
        "civil_affairs__marriage__default",
    )
    with pytest.raises(LakeError, match="not a dataset id"):
        identifier("share", "../x")


def test_nothing_is_there_before_it_is_made(settings: Settings) -> None:
    tables = Tables(settings)
    assert not settings.home.exists()
    assert not tables.exists(TABLE)
    assert tables.current_snapshot(TABLE) is None
    assert tables.identifiers("curated") == []
    assert tables.find_snapshot(TABLE, a="b") is None
    with pytest.raises(LakeError, match=r"no table curated\.dept__data"):
        tables.row_count(TABLE)


def test_a_table_without_a_commit_is_empty(tables: Tables) -> None:
    assert tables.current_snapshot(TABLE) is None
    assert (tables.row_count(TABLE), tables.data_files(TABLE), ids(tables)) == (0, [], [])
    assert tables.identifiers("curated") == [TABLE]


def test_adding_removing_and_replacing(tables: Tables) -> None:
    first = tables.replace(TABLE, rows(1, 2), (), {})
    (file,) = tables.data_files(TABLE)
    second = tables.replace(TABLE, rows(3), (), {})
    assert ids(tables) == [1, 2, 3]
    third = tables.replace(TABLE, rows(2, 4), [file], {})
    assert ids(tables) == [2, 3, 4]
    tables.replace(TABLE, rows(9), "all", {})
    assert (ids(tables), tables.row_count(TABLE)) == ([9], 1)
    assert [ids(tables, s) for s in (first, second, third)] == [[1, 2], [1, 2, 3], [2, 3, 4]]
    assert tables.row_count(TABLE, third) == 3
    tables.replace(TABLE, None, "all", {})
    assert (ids(tables), tables.row_count(TABLE)) == ([], 0)
    assert len(list(tables.snapshots(TABLE))) == 5


def test_a_commit_that_changes_nothing_can_be_found(tables: Tables) -> None:
    made = tables.replace(TABLE, rows(1), (), {"xuanwu.batch": "one"})
    empty = tables.replace(TABLE, None, (), {"xuanwu.batch": "two"})
    no_rows = tables.replace(TABLE, rows(), (), {"xuanwu.batch": "three"})
    assert len({made, empty, no_rows}) == 3
    assert ids(tables) == [1]
    found = tables.find_snapshot(TABLE, **{"xuanwu.batch": "two"})
    assert found is not None
    assert (found[0], found[1]["xuanwu.batch"]) == (empty, "two")
    assert tables.find_snapshot(TABLE, **{"xuanwu.batch": "two", "xuanwu.input": "x"}) is None


def test_a_plan_on_an_old_snapshot_is_a_conflict_and_leaves_no_file(tables: Tables) -> None:
    first = tables.replace(TABLE, rows(1), (), {}, base=None)
    (file,) = tables.data_files(TABLE)
    tables.replace(TABLE, rows(2), [file], {}, base=first)
    files = parquet_files(tables)
    for base in (None, first):
        with pytest.raises(CommitConflict, match="moved on"):
            tables.replace(TABLE, rows(3), (), {}, base=base)
    with pytest.raises(CommitConflict, match="no longer has the files"):
        tables.replace(TABLE, rows(3), [file], {})
    assert (ids(tables), parquet_files(tables)) == ([2], files)


def test_losing_the_race_for_the_commit_itself(tables: Tables, settings: Settings) -> None:
    """Another process commits after our files are written: with a base it is a conflict, without one we follow."""
    base = tables.replace(TABLE, rows(1), (), {})

    def slow(v: int) -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            yield from rows(v)
            Tables(settings).replace(TABLE, rows(v + 1), (), {})

        return pa.RecordBatchReader.from_batches(SCHEMA, batches())

    with pytest.raises(CommitConflict, match="first"):
        tables.replace(TABLE, slow(10), (), {}, base=base)
    assert ids(tables) == [1, 11]
    assert len(parquet_files(tables)) == 2
    tables.replace(TABLE, slow(20), (), {})
    assert ids(tables) == [1, 11, 20, 21]


def test_a_source_that_dies_in_the_middle_leaves_nothing(tables: Tables) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from rows(1)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        tables.replace(TABLE, pa.RecordBatchReader.from_batches(SCHEMA, batches()), (), {})
    assert (ids(tables), parquet_files(tables)) == ([], [])


def test_files_of_a_commit_whose_outcome_is_unknown_stay(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue may have the commit although the answer was lost: deleting its files would destroy the table."""

    def lost(*_: object, **__: object) -> None:
        raise OperationalError("secret statement", {}, ConnectionError())

    monkeypatch.setattr("pyiceberg.table.Table._do_commit", lost)
    with pytest.raises(LakeError, match="cannot be reached") as caught:
        tables.replace(TABLE, rows(1), (), {})
    assert "secret" not in str(caught.value)
    assert len(parquet_files(tables)) == 1


def test_a_task_stopped_just_after_its_commit_keeps_its_files(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler's timeout is raised anywhere, also between the commit and its answer."""
    commit = Table._do_commit

    def stopped(self: Table, *args: Any, **kwargs: Any) -> None:
        commit(self, *args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(Table, "_do_commit", stopped)
    with pytest.raises(KeyboardInterrupt):
        tables.replace(TABLE, rows(1), (), {"xuanwu.batch": "one"})
    assert ids(tables) == [1]
    assert tables.find_snapshot(TABLE, **{"xuanwu.batch": "one"}) is not None


def test_big_streams_roll_over_into_files(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(datafiles, "FILE_ROWS", 40)
    batches = [pa.record_batch([[i] * 7, ["x"] * 7], schema=SCHEMA) for i in range(20)]
    tables.replace(TABLE, pa.RecordBatchReader.from_batches(SCHEMA, iter(batches)), (), {})
    sizes = [pq.ParquetFile(path).metadata.num_rows for path in tables.data_files(TABLE)]
    assert (sum(sizes), max(sizes)) == (140, 42)
    assert ids(tables) == [i for i in range(20) for _ in range(7)]


# ── columns ───────────────────────────────────────────────────────────────────────────────────────────────

EVERY = pa.schema(
    [
        ("select", pa.string()),
        ("n", pa.int64()),
        ("d", pa.decimal128(38, 10)),
        ("f", pa.float64()),
        ("b", pa.bool_()),
        ("day", pa.date32()),
        ("t", pa.timestamp("us", "UTC")),
        ("raw", pa.binary()),
        ("many", pa.list_(pa.struct([("x", pa.string())]))),
    ]
)
VALUES = {
    "select": "玄武 \x00 '\"",
    "n": -(2**63),
    "d": Decimal("-1234567890123456789012345678.0123456789"),
    "f": float("inf"),
    "b": False,
    "day": date(1, 1, 1),
    "t": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "raw": b"\x00\xff",
    "many": [{"x": "a"}, {"x": None}],
}


def test_every_type_comes_back_as_it_went(settings: Settings) -> None:
    tables, table = Tables(settings), identifier("curated", "dept.data")
    tables.ensure(table, EVERY)
    given = pa.Table.from_pylist([VALUES, dict.fromkeys(VALUES)], schema=EVERY)
    tables.replace(table, given.to_reader(), (), {})
    assert tables.schema(table).equals(EVERY)
    assert tables.scan(table).read_all().equals(given)
    assert tables.scan(table, ["raw", "select"]).read_all().equals(given.select(["raw", "select"]))


def test_columns_are_added_and_widened(tables: Tables) -> None:
    tables.ensure(TABLE, pa.schema([("id", pa.int64()), ("v", pa.string()), ("d", pa.decimal128(5, 2))]))
    tables.replace(TABLE, rows(1), (), {})
    wide = pa.schema([("d", pa.decimal128(9, 2)), ("w", pa.bool_()), ("id", pa.int64())])
    tables.ensure(TABLE, wide)
    tables.ensure(TABLE, pa.schema([("d", pa.decimal128(3, 2))]))
    tables.replace(TABLE, pa.table({"d": [Decimal("7.25")], "w": [True]}).to_reader(), (), {})
    found = sorted(tables.scan(TABLE).read_all().to_pylist(), key=lambda row: row["id"] is None)
    assert found == [
        {"id": 1, "v": "x", "d": None, "w": None},
        {"id": None, "v": None, "d": Decimal("7.25"), "w": True},
    ]


def test_duckdb_reads_old_and_new_files_by_field_id(tables: Tables) -> None:
    tables.replace(TABLE, rows(1), (), {})
    tables.ensure(TABLE, pa.schema([("w", pa.bool_())]))
    tables.replace(TABLE, pa.table({"id": [2], "w": [True]}).to_reader(), (), {})
    fields = "{1: {name: 'id', type: 'BIGINT', default_value: NULL}, 3: {name: 'w', type: 'BOOL', default_value: NULL}}"
    query = f"SELECT id, w FROM read_parquet({tables.data_files(TABLE)}, schema = MAP {fields}) ORDER BY id"
    assert duckdb.sql(query).fetchall() == [(1, None), (2, True)]


def test_a_table_that_never_held_a_row_takes_any_type(tables: Tables) -> None:
    tables.replace(TABLE, rows(), (), {})
    tables.ensure(TABLE, pa.schema([("id", pa.int64()), ("v", pa.decimal128(9, 2))]))
    tables.replace(TABLE, pa.table({"id": [1], "v": [Decimal("7.25")]}).to_reader(), (), {})
    assert tables.scan(TABLE).read_all().to_pylist() == [{"id": 1, "v": Decimal("7.25")}]
    tables.replace(TABLE, pa.table({"id": [], "v": []}, schema=tables.scan(TABLE).schema).to_reader(), (), {})
    with pytest.raises(LakeError, match="cannot change v from decimal"):
        tables.ensure(TABLE, SCHEMA)


def test_a_column_that_was_taken_away_to_be_made_anew_is_made_by_the_next_run(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(*_: object) -> None:
        raise KeyboardInterrupt

    tables.replace(TABLE, rows(), (), {})
    wanted = pa.schema([("id", pa.int64()), ("v", pa.decimal128(9, 2))])
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("pyiceberg.table.update.schema.UpdateSchema.union_by_name", broken_off)
        tables.ensure(TABLE, wanted)
    assert tables.schema(TABLE).names == ["id"]
    tables.ensure(TABLE, wanted)
    assert tables.schema(TABLE).field("v").type == pa.decimal128(9, 2)


@pytest.mark.parametrize("kind", [pa.int64(), pa.binary(), pa.decimal128(9, 2), pa.date32()])
def test_no_type_is_changed_that_would_lose_values(tables: Tables, kind: pa.DataType) -> None:
    with pytest.raises(LakeError, match=r"cannot change v from string to .* and keep its rows"):
        tables.ensure(TABLE, pa.schema([("id", pa.int64()), ("v", kind), ("w", pa.string())]))
    assert tables.schema(TABLE).names == ["id", "v"]


def test_rows_that_do_not_fit_are_told_by_field_and_not_by_value(tables: Tables) -> None:
    with pytest.raises(LakeError, match="no column nobody"):
        tables.replace(TABLE, pa.table({"id": [1], "nobody": [1]}).to_reader(), (), {})
    with pytest.raises(LakeError, match="does not fit") as caught:
        tables.replace(TABLE, pa.table({"id": ["320102199001011234x"]}).to_reader(), (), {})
    assert caught.value.place["field"] == "id"
    assert "3201" not in str(caught.value)
    with pytest.raises(LakeError, match="no column nobody"):
        tables.scan(TABLE, ["nobody"])
    with pytest.raises(LakeError, match="no snapshot 5"):
        tables.replace(TABLE, rows(1), (), {})
        tables.scan(TABLE, snapshot=5)


def test_a_dropped_table_leaves_no_byte(tables: Tables) -> None:
    tables.replace(TABLE, rows(1), (), {})
    tables.drop(TABLE)
    tables.drop(TABLE)
    assert not Path(tables.location(TABLE)).exists()
    assert not tables.exists(TABLE)
    tables.ensure(TABLE, SCHEMA)
    assert ids(tables) == []


def test_a_copy_of_a_lake_touches_nothing_of_the_original(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    """Its tables name files by their whole path: those of the original, while that is there."""
    tables.replace(TABLE, rows(1), [], {})
    shutil.copytree(settings.home, tmp_path / "copy")
    before = sorted(Path(settings.lake_root).rglob("*"))
    copy = Tables(Settings(home=tmp_path / "copy"))
    for touched in (
        lambda: copy.ensure(TABLE, SCHEMA),
        lambda: copy.replace(TABLE, rows(2), [], {}),
        lambda: copy.current_snapshot(TABLE),
    ):
        with pytest.raises(
            LakeError, match=f"lies at {settings.lake_root}, outside its folder in this lake"
        ) as caught:
            touched()
        assert "XUANWU_LAKE" in str(caught.value.next_step)
    assert sorted(Path(settings.lake_root).rglob("*")) == before


def test_a_lake_that_was_moved_is_read_where_a_link_stands_in_its_old_place(
    tables: Tables, settings: Settings, tmp_path: Path
) -> None:
    tables.replace(TABLE, rows(1), [], {})
    old = Path(settings.lake_root)
    old.rename(tmp_path / "moved")
    old.symlink_to(tmp_path / "moved")
    moved = Tables(Settings(home=settings.home, lake=str(tmp_path / "moved")))
    moved.replace(TABLE, rows(2), [], {})
    assert ids(moved) == ids(Tables(Settings(home=settings.home, lake=str(old)))) == [1, 2]


def test_old_metadata_is_bounded(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(25):
        tables.replace(TABLE, None, (), {})
    metadata = [p for p in store.list_files(tables.location(TABLE)) if p.endswith(".metadata.json")]
    assert len(metadata) <= 22


def test_a_lake_is_for_its_owner_only(tables: Tables, settings: Settings) -> None:
    tables.replace(TABLE, rows(1), (), {})
    for path in (Path(settings.lake_root), settings.home, settings.home / "iceberg.db"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_nothing_is_said_of_nested_columns_without_statistics(
    tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    table, schema = identifier("curated", "dept.nested"), pa.schema([("why", pa.list_(pa.string()))])
    tables.ensure(table, schema)
    tables.replace(table, pa.table({"why": [["x"]]}, schema=schema).to_reader(), (), {})
    assert tables.row_count(table) == 1
    assert [record.msg for record in caplog.records if record.levelname == "WARNING"] == []


# ── other processes ───────────────────────────────────────────────────────────────────────────────────────

APPENDER = """
import sys
from pathlib import Path
import pyarrow as pa
from lake.tables import Tables
from lake.zones import identifier
from schemas.settings import Settings
tables, table = Tables(Settings(home=Path(sys.argv[1]))), identifier("curated", "dept.data")
schema = pa.schema([("id", pa.int64()), ("v", pa.string()), (f"own{sys.argv[2]}", pa.string())])
tables.ensure(table, schema)
for i in range(5):
    row = pa.table({"id": [int(sys.argv[2]) * 10 + i], "v": ["x"]})
    tables.replace(table, row.to_reader(), (), {"writer": sys.argv[2]})
"""


def test_processes_make_one_table_and_lose_no_row(settings: Settings) -> None:
    """Three processes open a lake that does not exist, each makes the table with a column of its own and appends."""
    commands = [[sys.executable, "-c", APPENDER, str(settings.home), str(i)] for i in range(3)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, errors
    tables = Tables(settings)
    assert ids(tables) == [i * 10 + n for i in range(3) for n in range(5)]
    assert sorted(tables.schema(TABLE).names) == ["id", "own0", "own1", "own2", "v"]
    assert len(list(tables.snapshots(TABLE))) == 15


@pytest.mark.parametrize("zone", ["share", "open"])
def test_no_snapshot_of_a_published_table_without_a_certificate(tables: Tables, zone: TableZone) -> None:
    table = identifier(zone, "a.b", "default")
    tables.ensure(table, SCHEMA)
    with pytest.raises(LakeError, match="certificate"):
        tables.replace(table, rows(1), (), {})
    assert tables.current_snapshot(table) is None


def test_pages_of_a_table_are_the_whole_wherever_they_begin(tables: Tables) -> None:
    """Row groups and files before the place are not read, deleted rows are not counted, and the order stays."""
    many = pa.table({"id": np.arange(300_000), "v": ["x"] * 300_000}, schema=SCHEMA)
    tables.replace(TABLE, many.to_reader(10_000), (), {})
    tables.replace(TABLE, rows(*range(300_000, 300_010)), (), {})
    path = max(tables.parts(TABLE), key=lambda part: part.rows).path
    assert len(datafiles.row_groups(path)) > 1
    gone = np.array([0, 1, 131_071, 131_072, 131_073, 262_144, 299_999])
    tables.replace(TABLE, None, (), {}, deleted={path: gone})
    whole = tables.scan(TABLE).read_all()["id"].to_pylist()
    assert len(whole) == 300_010 - len(gone)
    opened = tables.open(TABLE)
    assert opened is not None
    for skip in (0, 1, 9, 10, 11, 131_060, 131_069, 131_070, 131_080, 262_100, 299_990, len(whole)):
        for most in (1, 7, 32_768):
            read = opened.scan(["id"], skip=skip, rows=most)
            found = [value for batch in islice(read, 9) for value in batch["id"].to_pylist()]
            assert found == whole[skip : skip + len(found)]
            assert found or skip == len(whole)


def test_a_table_that_has_not_moved_is_not_read_again_and_one_that_has_is(
    tables: Tables, settings: Settings
) -> None:
    first = tables.replace(TABLE, rows(1), (), {})
    opened = tables.open(TABLE)
    assert opened is not None and tables.open(TABLE) is opened
    second = Tables(settings).replace(TABLE, rows(2), (), {})
    moved = tables.open(TABLE)
    assert moved is not None and (opened.current_snapshot, moved.current_snapshot) == (first, second)
    assert (ids(tables), [part.rows for part in opened.parts()]) == ([1, 2], [1])
    Tables(settings).drop(TABLE)
    assert tables.open(TABLE) is None
