"""SQLite, whose columns hold what they like: nothing is lost and nothing crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lake.records import Landed
from pipelines.sources import database_sqlite
from pipelines.sources.database_request import Request
from schemas.errors import SourceError
from schemas.settings import Settings
from tests.pipelines.sources.collecting import collect_table, column
from tests.pipelines.sources.conftest import Department
from tests.waiting import line

TEXT = pa.string()
WIDE = 2**53 + 1


@pytest.mark.parametrize(
    ("kind", "values", "arrow", "landed"),
    [
        ("INTEGER", ["9223372036854775807", "-9223372036854775808"], pa.int64(), [2**63 - 1, -(2**63)]),
        ("INTEGER", ["1", "'N/A'", "2.5"], TEXT, ["1", "N/A", "2.5"]),
        ("REAL", ["0.1", "9e999"], pa.float64(), [0.1, float("inf")]),
        ("NUMERIC(10,2)", ["1", "0.99"], pa.float64(), [1.0, 0.99]),
        ("NUMERIC", [str(WIDE), "0.5"], TEXT, [str(WIDE), "0.5"]),
        ("", ["0.1", "0.1 + 0.2", "1e300", "'x'"], TEXT, ["0.1", "0.30000000000000004", "1.0e+300", "x"]),
        ("TEXT", ["'中文𠮷😀'", "''", "'ab  '"], TEXT, ["中文𠮷😀", "", "ab  "]),
        ("TEXT", ["'a'", "x'00ff'"], TEXT, ["a", "X'00FF'"]),
        ("BLOB", ["x'00ff'", "x''"], pa.binary(), [b"\x00\xff", b""]),
        ("DATETIME", ["'2026-01-01 00:00:00'", "1767225600"], TEXT, ["2026-01-01 00:00:00", "1767225600"]),
        ("BOOLEAN", ["1", "0"], pa.int64(), [1, 0]),
        ("INTEGER", [], TEXT, []),
    ],
)  # fmt: skip
def test_values_land_exactly(
    settings: Settings,
    sqlite: Department,
    kind: str,
    values: list[str],
    arrow: pa.DataType,
    landed: list[object],
) -> None:
    found = column(settings, sqlite, kind, *values)
    assert found.type == arrow
    assert found.to_pylist() == [*landed, None]


def land(settings: Settings, sqlite: Department, **source: object) -> Landed:
    return collect_table(settings, sqlite.url, "t", ["v"], **source)


def test_a_class_that_first_comes_after_many_nulls(settings: Settings, sqlite: Department) -> None:
    """ADBC takes the type of a column from its first thousand rows."""
    sqlite.run(
        "CREATE TABLE t (v)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO t SELECT iif(i > 4000, 'late', NULL) FROM n",
    )
    landed = land(settings, sqlite)
    assert pq.read_table(landed.files[0].path)["v"].null_count == 4000
    assert landed.rows == 5000


def test_mixed_classes_are_noted(settings: Settings, sqlite: Department) -> None:
    sqlite.run("CREATE TABLE t (v INTEGER)", "INSERT INTO t VALUES (1), ('13900000000x')")
    assert land(settings, sqlite).notes == ("`v` holds integer and text values, landed as text",)


def test_a_nul_in_a_text_survives(settings: Settings, sqlite: Department) -> None:
    sqlite.run("CREATE TABLE t (v TEXT)", "INSERT INTO t VALUES ('x' || char(0) || 'y')")
    assert pq.read_table(land(settings, sqlite).files[0].path)["v"].to_pylist() == ["x\0y"]


def test_text_that_is_not_utf8_is_told_by_place(settings: Settings, sqlite: Department) -> None:
    sqlite.run("CREATE TABLE t (v TEXT)", "INSERT INTO t VALUES ('a'), (CAST(x'ff41' AS TEXT))")
    with pytest.raises(SourceError, match=r"not UTF-8 among the .* rows after row 0.*field v"):
        land(settings, sqlite)


def test_a_cursor_of_mixed_classes_loses_no_row(settings: Settings, sqlite: Department) -> None:
    from tests.pipelines.building import batch_of, context_of, entry_of

    sqlite.run("CREATE TABLE t (id INTEGER, v)", "INSERT INTO t VALUES (1, 10), (2, 20)")
    entry = entry_of(
        "police.t",
        {"kind": "database", "connection": "c", "table": "t", "cursor": "v"},
        {"id": "integer", "v": "string"},
    )
    ctx = context_of(settings, [entry], {"c": sqlite.url})
    from pipelines.collect import collect

    def ids(day: int) -> list[int]:
        landed = collect(ctx, entry, batch_of(entry.id, day))
        return sorted(pq.read_table(landed.files[0].path)["id"].to_pylist())

    assert ids(1) == [1, 2]
    sqlite.run("INSERT INTO t VALUES (3, 'text')")
    assert ids(2) == [2, 3], "text is above every number"
    sqlite.run("INSERT INTO t VALUES (4, 30)")
    assert 4 in ids(3), "a number that comes after a text is read too"


def test_the_count_and_the_rows_are_of_one_snapshot(
    settings: Settings, sqlite: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.run("PRAGMA journal_mode = WAL")
    sqlite.run("CREATE TABLE t (v INTEGER)", "INSERT INTO t VALUES (1), (2)")
    real = database_sqlite._profile

    def then_the_department_writes(*arguments: object) -> object:
        found = real(*arguments)  # type: ignore[arg-type]
        sqlite.run("INSERT INTO t VALUES (3)")
        return found

    monkeypatch.setattr(database_sqlite, "_profile", then_the_department_writes)
    assert land(settings, sqlite).rows == 2
    assert sqlite.value("SELECT count(*) FROM t") == 3


def test_a_locked_database_is_told(
    settings: Settings, sqlite: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The department is another process: locks are between processes."""
    monkeypatch.setattr(database_sqlite, "BUSY_MILLISECONDS", 300)
    sqlite.run("CREATE TABLE t (v INTEGER)")
    lock = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute('BEGIN EXCLUSIVE');"
    )
    path = str(sa.make_url(sqlite.url).database)
    command = [sys.executable, "-c", f"{lock} print('locked', flush=True); input()", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert line(writer) == "locked\n"
        with pytest.raises(SourceError, match="locked"):
            land(settings, sqlite)
        writer.communicate("\n", timeout=60)
    assert land(settings, sqlite).rows == 0


def test_a_truncated_database_is_told(settings: Settings, sqlite: Department, tmp_path: Path) -> None:
    sqlite.run("CREATE TABLE t (v TEXT)", *["INSERT INTO t VALUES (hex(randomblob(2000)))"] * 20)
    path = Path(str(sa.make_url(sqlite.url).database))
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(SourceError):
        land(settings, sqlite)


def test_generated_columns_and_without_rowid(settings: Settings, sqlite: Department) -> None:
    sqlite.run(
        "CREATE TABLE t (k TEXT PRIMARY KEY, v AS (k || '!')) WITHOUT ROWID", "INSERT INTO t VALUES ('a')"
    )
    assert pq.read_table(land(settings, sqlite).files[0].path)["v"].to_pylist() == ["a!"]


def test_wide_rows_come_in_small_batches(sqlite: Department) -> None:
    sqlite.run(
        "CREATE TABLE t (v)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
        " INSERT INTO t SELECT zeroblob(500000) FROM n",
    )
    request = Request("police.t", "here", "t", None, ("v",))
    with database_sqlite.read_sqlite(sa.make_url(sqlite.url), request) as rows:
        sizes = [batch.nbytes for batch in rows.reader]
    assert sum(sizes) > 200 * 500_000
    assert max(sizes) < 2 * database_sqlite.BATCH_BYTES
