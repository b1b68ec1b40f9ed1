"""MariaDB: every type lands exactly, in one snapshot; a connection that drops lands nothing."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lake import landing
from pipelines.sources import database_mysql
from pipelines.sources.mysql_wire import BATCH_BYTES
from schemas.errors import SourceError
from schemas.settings import Settings
from tests.pipelines.building import batch_of
from tests.pipelines.sources.collecting import Proxy, collect_table, column
from tests.pipelines.sources.conftest import Department

TEXT = pa.string()
LONG = "12345678901234567890123456789012345678901234567890.1234567890"


@pytest.mark.parametrize(
    ("kind", "values", "arrow", "landed"),
    [
        ("decimal(60,10)", [LONG, "-0.1"], TEXT, [LONG, "-0.1000000000"]),
        ("decimal(5,2) unsigned zerofill", ["1.5"], TEXT, ["001.50"]),
        ("tinyint(1)", ["5", "0", "-128"], pa.int64(), [5, 0, -128]),
        ("boolean", ["true"], pa.int64(), [1]),
        ("bigint", ["-9223372036854775808"], pa.int64(), [-9223372036854775808]),
        ("bigint unsigned", ["18446744073709551615"], pa.uint64(), [18446744073709551615]),
        ("int(6) zerofill", ["42"], TEXT, ["000042"]),
        ("year", ["2026"], pa.int64(), [2026]),
        ("bit(1)", ["b'1'"], pa.uint64(), [1]),
        ("bit(64)", ["b'1" + "1" * 63 + "'"], pa.uint64(), [2**64 - 1]),
        ("float", ["16777215", "0.1"], pa.float32(), [16777215.0, 0.10000000149011612]),
        ("double", ["0.1", "1e300", "9007199254740993"], pa.float64(), [0.1, 1e300, 9007199254740992.0]),
        ("char(6)", ["'ab'"], TEXT, ["ab"]),
        ("varchar(20)", ["'ab  '", "'中文😀𠮷'", "''"], TEXT, ["ab  ", "中文😀𠮷", ""]),
        ("varchar(20) character set gbk", ["'中文'"], TEXT, ["中文"]),
        ("longtext", ["'a\\nb\\\\'"], TEXT, ["a\nb\\"]),
        ("blob", ["x'00ff'", "''"], pa.binary(), [b"\x00\xff", b""]),
        ("binary(3)", ["x'01'"], pa.binary(), [b"\x01\x00\x00"]),
        ("date", ["'2026-01-01'", "'9999-12-31'"], pa.date32(), [date(2026, 1, 1), date.max]),
        ("date", ["'2026-01-01'", "'0000-00-00'", "'2026-02-31'", "'2026-00-01'"], TEXT,
         ["2026-01-01", "0000-00-00", "2026-02-31", "2026-00-01"]),
        ("date", ["'0000-01-01'", "'2026-01-01'"], TEXT, ["0000-01-01", "2026-01-01"]),
        ("datetime", ["'0000-12-31 23:59:59'"], TEXT, ["0000-12-31 23:59:59"]),
        ("datetime(6)", ["'2026-01-01 00:00:00.123456'"], pa.timestamp("us"), [datetime(2026, 1, 1, 0, 0, 0, 123456)]),
        ("timestamp(6) null", ["'2026-01-01 00:00:00.123456'"], pa.timestamp("us", "UTC"),
         [datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)]),
        ("timestamp null", ["'2026-01-01 00:00:00'", "'0000-00-00 00:00:00'"], TEXT,
         ["2026-01-01 00:00:00+00:00", "0000-00-00 00:00:00+00:00"]),
        ("time(3)", ["'-838:59:59.000'"], TEXT, ["-838:59:59.000"]),
        ("json", ["'{\"a\":  1}'"], TEXT, ['{"a":  1}']),
        ("enum('好','b')", ["'好'"], TEXT, ["好"]),
        ("set('a','b')", ["'a,b'"], TEXT, ["a,b"]),
        ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], TEXT, ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("inet6", ["'::1'"], TEXT, ["::1"]),
    ],
)  # fmt: skip
def test_types_land_exactly(
    settings: Settings,
    mariadb: Department,
    kind: str,
    values: list[str],
    arrow: pa.DataType,
    landed: list[object],
) -> None:
    sa.event.listen(
        mariadb.engine,
        "connect",
        lambda raw, _: raw.cursor().execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"),
    )
    found = column(settings, mariadb, kind, *values)
    assert found.type == arrow
    assert found.to_pylist() == [*landed, None]


def test_the_count_and_the_rows_are_of_one_snapshot(
    settings: Settings, mariadb: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb.run("CREATE TABLE t (v integer)", "INSERT INTO t SELECT seq FROM seq_1_to_10")
    real = database_mysql._where

    def then_the_department_writes(*arguments: object) -> object:
        found = real(*arguments)  # type: ignore[arg-type]
        mariadb.run("INSERT INTO t SELECT seq FROM seq_11_to_20", "DELETE FROM t WHERE v < 3")
        return found

    monkeypatch.setattr(database_mysql, "_where", then_the_department_writes)
    landed = collect_table(settings, mariadb.url, "t", ["v"])
    assert landed.rows == landed.counted == 10
    assert mariadb.value("SELECT count(*) FROM t") == 18


def test_a_dropped_connection_lands_nothing_and_the_next_run_works(
    settings: Settings, mariadb: Department
) -> None:
    mariadb.run("CREATE TABLE t AS SELECT seq AS v, repeat('x', 500) AS w FROM seq_1_to_50000")
    proxy = Proxy(3306, limit=5 << 20)
    url = sa.make_url(mariadb.url).set(port=proxy.port).render_as_string(hide_password=False)
    with pytest.raises(SourceError, match="connection was lost; nothing was landed"):
        collect_table(settings, url, "t", ["v", "w"])
    proxy.close()
    assert landing.landed(settings, batch_of("police.t")) is None
    assert collect_table(settings, mariadb.url, "t", ["v", "w"]).rows == 50_000


def test_kill_in_the_middle(settings: Settings, mariadb: Department, monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator ends the connection (KILL) while the rows stream, which takes a second."""
    mariadb.run(
        "CREATE TABLE t AS SELECT seq AS v FROM seq_1_to_2000",
        "CREATE VIEW slow AS SELECT v FROM t WHERE sleep(0.0005) = 0",
    )
    profile, killers = database_mysql._where, []

    def then_the_administrator_ends_it(*arguments: object) -> object:
        killers.append(threading.Thread(target=end_the_stream))
        killers[0].start()
        return profile(*arguments)  # type: ignore[arg-type]

    def end_the_stream() -> None:
        counting = "info LIKE '%%count(%%'"
        others = (
            f"SELECT id FROM information_schema.processlist WHERE info LIKE '%%slow%%' AND NOT {counting}"
        )
        while (process := mariadb.value(f"{others} AND db = database() AND id <> connection_id()")) is None:
            time.sleep(0.02)
        mariadb.run(f"KILL {process}")

    with monkeypatch.context() as patch, pytest.raises(SourceError, match="lost; nothing was landed"):
        patch.setattr(database_mysql, "_where", then_the_administrator_ends_it)
        collect_table(settings, mariadb.url, "slow", ["v"])
    killers[0].join(10)
    assert landing.landed(settings, batch_of("police.t")) is None
    assert collect_table(settings, mariadb.url, "t", ["v"]).rows == 2000


def test_a_full_disk_or_a_crash_of_ours_does_not_drain_the_table(
    settings: Settings, mariadb: Department
) -> None:
    """An unbuffered cursor that is closed reads the rest of the table: the connection is dropped instead."""
    mariadb.run("CREATE TABLE t AS SELECT seq AS v FROM seq_1_to_2000")
    from pipelines.sources.database_mysql import read_mysql
    from pipelines.sources.database_request import Request

    request = Request("police.t", "here", "t", None, ("v",))
    with pytest.raises(RuntimeError), read_mysql(sa.make_url(mariadb.url), request) as rows:
        rows.reader.read_next_batch()
        raise RuntimeError


def test_wide_rows_come_in_small_batches(settings: Settings, mariadb: Department) -> None:
    mariadb.run("CREATE TABLE t AS SELECT seq AS v, repeat('x', 200000) AS w FROM seq_1_to_600")
    from pipelines.sources.database_mysql import read_mysql
    from pipelines.sources.database_request import Request

    request = Request("police.t", "here", "t", None, ("v", "w"))
    with read_mysql(sa.make_url(mariadb.url), request) as rows:
        sizes = [batch.nbytes for batch in rows.reader]
    assert sum(sizes) > 600 * 200_000
    assert max(sizes) < 2 * BATCH_BYTES


def test_names_ignore_case_as_the_server_does(settings: Settings, mariadb: Department) -> None:
    mariadb.run("CREATE TABLE t (Reg_No integer)", "INSERT INTO t VALUES (1)")
    landed = collect_table(settings, mariadb.url, "t", ["REG_NO"], cursor="f0")
    assert pq.read_table(landed.files[0].path).to_pylist() == [{"REG_NO": 1}]
    assert landed.position == "1"


def test_a_wrong_database_and_one_that_may_not_be_used_are_told_alike(
    settings: Settings, mariadb: Department
) -> None:
    """The server tells a user who may see few databases no more than that."""
    found = sa.make_url(mariadb.url)
    user = f"u_{abs(hash(mariadb.url)) % 10**8}"
    mariadb.run(f"CREATE USER {user}@'%%'", f"GRANT SELECT ON {found.database}.* TO {user}@'%%'")
    try:
        url = found.set(username=user, database="no_such_database").render_as_string(hide_password=False)
        with pytest.raises(SourceError, match="no such database, or the user may not use it") as error:
            collect_table(settings, url, "t", ["v"])
        assert "correct the database's name" in str(error.value.next_step)
    finally:
        mariadb.run(f"DROP USER {user}@'%%'")
