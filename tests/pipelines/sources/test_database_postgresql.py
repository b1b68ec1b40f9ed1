"""PostgreSQL: every type lands exactly, in one snapshot; a server that dies lands nothing."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lake import landing
from pipelines.sources import database_postgresql
from pipelines.sources.database_request import Request
from schemas.errors import SourceError
from schemas.settings import Settings
from tests.pipelines.building import batch_of
from tests.pipelines.sources.collecting import Proxy, collect_table, column
from tests.pipelines.sources.conftest import Department

TEXT = pa.string()


@pytest.mark.parametrize("table", ["t", "v"], ids=["by blocks", "by rows"])
@pytest.mark.parametrize(
    ("kind", "values", "arrow", "landed"),
    [
        ("numeric", ["123456789012345678901234567890.123456789012", "'NaN'", "-0.10"], TEXT,
         ["123456789012345678901234567890.123456789012", "NaN", "-0.10"]),
        ("numeric(20,4)", ["1.5"], TEXT, ["1.5000"]),
        ("smallint", ["-32768"], pa.int16(), [-32768]),
        ("bigint", ["-9223372036854775808"], pa.int64(), [-9223372036854775808]),
        ("oid", ["4294967295"], TEXT, ["4294967295"]),
        ("double precision", ["0.1", "'-Infinity'"], pa.float64(), [0.1, float("-inf")]),
        ("real", ["16777217"], pa.float32(), [16777216.0]),
        ("money", ["-1.5"], TEXT, ["-$1.50"]),
        ("bigint", ["-1", "9223372036854775807"], pa.int64(), [-1, 2**63 - 1]),
        ("boolean", ["true", "false"], pa.bool_(), [True, False]),
        ("char(6)", ["'ab'", "'中'"], TEXT, ["ab    ", "中     "]),
        ("varchar", ["''", "E'a\\tb\\n中文𠮷😀'"], TEXT, ["", "a\tb\n中文𠮷😀"]),
        ("bytea", ["'\\x00ff'"], pa.binary(), [b"\x00\xff"]),
        ("date", ["'2026-01-01'", "'0001-01-01'", "'9999-12-31'"], pa.date32(),
         [date(2026, 1, 1), date.min, date.max]),
        ("date", ["'2026-01-01'", "'infinity'", "'0044-03-15 BC'"], TEXT,
         ["2026-01-01", "infinity", "0044-03-15 BC"]),
        ("timestamp", ["'2026-01-01 00:00:00.123456'"], pa.timestamp("us"), [datetime(2026, 1, 1, 0, 0, 0, 123456)]),
        ("timestamptz", ["'2026-01-01 08:00:00.123456+08'"], pa.timestamp("us", "UTC"),
         [datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)]),
        ("timestamptz", ["'2026-01-01 08:00:00+08'", "'-infinity'"], TEXT, ["2026-01-01 00:00:00+00:00", "-infinity"]),
        ("time", ["'24:00:00'"], TEXT, ["24:00:00"]),
        ("timetz", ["'12:00:01+08'"], TEXT, ["12:00:01+08"]),
        ("interval", ["'1 mon -2 days 03:00'"], TEXT, ["1 mon -2 days +03:00:00"]),
        ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], TEXT, ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("json", ["'{\"a\":  1}'"], TEXT, ['{"a":  1}']),
        ("text[]", ["'{a,\"b c\"}'"], TEXT, ['{a,"b c"}']),
        ("inet", ["'10.0.0.1'"], TEXT, ["10.0.0.1/32"]),
        ("bit(4)", ["B'0101'"], TEXT, ["0101"]),
        ("int4range", ["'[1,3)'"], TEXT, ["[1,3)"]),
        ('"char"', ["'q'"], TEXT, ["q"]),
    ],
)  # fmt: skip
def test_types_land_exactly(
    settings: Settings,
    postgresql: Department,
    kind: str,
    values: list[str],
    arrow: pa.DataType,
    landed: list[object],
    table: str,
) -> None:
    found = column(settings, postgresql, kind, *values, table=table)
    assert found.type == arrow
    assert found.to_pylist() == [*landed, None]


@pytest.mark.parametrize("table", ["t", "v"], ids=["by blocks", "by rows"])
@pytest.mark.parametrize("kind", ["real", "double precision"])
def test_what_is_no_number_stays(settings: Settings, postgresql: Department, kind: str, table: str) -> None:
    found = column(settings, postgresql, kind, "'NaN'", "'-0'", "'Infinity'", table=table)
    assert repr(found.to_pylist()) == "[nan, -0.0, inf, None]"


def test_domains_and_enums(settings: Settings, postgresql: Department) -> None:
    postgresql.run(
        "CREATE DOMAIN code AS char(4)",
        "CREATE DOMAIN small AS integer CHECK (VALUE < 10)",
        "CREATE TYPE mood AS ENUM ('好', 'bad')",
        "CREATE TABLE d (a code, b small, c mood)",
        "INSERT INTO d VALUES ('ab', 7, '好')",
    )
    landed = collect_table(settings, postgresql.url, "d", ["a", "b", "c"])
    assert pq.read_table(landed.files[0].path).to_pylist() == [{"a": "ab  ", "b": 7, "c": "好"}]


def test_odd_dates_are_noted_by_count(settings: Settings, postgresql: Department) -> None:
    postgresql.run(
        "CREATE TABLE d (v date)", "INSERT INTO d VALUES ('infinity'), ('-infinity'), ('2026-01-01')"
    )
    landed = collect_table(settings, postgresql.url, "d", ["v"])
    assert landed.notes == ("`v`: 2 values beyond the years 1 to 9999, landed as text",)


def test_blanks_of_a_password_and_of_an_option_arrive(settings: Settings, postgresql: Department) -> None:
    """A password is compared by no server that trusts; one that libpq cannot read stops before it is asked."""
    postgresql.run("CREATE VIEW s AS SELECT current_setting('application_name') AS v")
    url = sa.make_url(postgresql.url).set(drivername="postgresql", password="p@ss w+rd")
    written = url.render_as_string(hide_password=False).replace(" ", "%20")
    landed = collect_table(settings, f"{written}?application_name=the%20lake%2Bone", "s", ["v"])
    assert pq.read_table(landed.files[0].path)["v"].to_pylist() == ["the lake+one"]


def test_a_schema_is_named(settings: Settings, postgresql: Department) -> None:
    postgresql.run('CREATE SCHEMA "户 籍"', 'CREATE TABLE "户 籍"."T" (v text)', "CREATE TABLE t2 (v text)")
    assert collect_table(settings, postgresql.url, "T", ["v"], schema="户 籍").files[0].origin == "户 籍.T"


def test_a_table_is_looked_for_in_its_schema(settings: Settings, postgresql: Department) -> None:
    postgresql.run("CREATE SCHEMA a", "CREATE TABLE a.cases (v text)", "CREATE TABLE case2 (v text)")
    with pytest.raises(SourceError, match=r"a\.case2 .* did you mean `cases`"):
        collect_table(settings, postgresql.url, "case2", ["v"], schema="a")


def test_the_count_and_the_rows_are_of_one_snapshot(
    settings: Settings, postgresql: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql.run("CREATE TABLE t (v integer)", "INSERT INTO t SELECT generate_series(1, 10)")
    real = database_postgresql._declared

    def then_the_department_writes(*arguments: object) -> object:
        found = real(*arguments)  # type: ignore[arg-type]
        postgresql.run("INSERT INTO t SELECT generate_series(11, 20)", "DELETE FROM t WHERE v < 3")
        return found

    monkeypatch.setattr(database_postgresql, "_declared", then_the_department_writes)
    landed = collect_table(settings, postgresql.url, "t", ["v"])
    assert landed.rows == landed.counted == 10
    assert postgresql.value("SELECT count(*) FROM t") == 18


def test_the_transaction_cannot_write(settings: Settings, postgresql: Department) -> None:
    postgresql.run(
        "CREATE TABLE t (v integer)",
        "CREATE FUNCTION write() RETURNS integer LANGUAGE sql VOLATILE AS 'INSERT INTO t VALUES (1) RETURNING 1'",
        "CREATE VIEW w AS SELECT write() AS v",
    )
    with pytest.raises(SourceError, match="SQLSTATE 25006"):
        collect_table(settings, postgresql.url, "w", ["v"])
    assert postgresql.value("SELECT count(*) FROM t") == 0


def test_a_killed_backend_lands_nothing_and_the_next_run_works(
    settings: Settings, postgresql: Department
) -> None:
    postgresql.run("CREATE TABLE t AS SELECT i AS v, repeat('x', 500) AS w FROM generate_series(1, 200000) i")
    proxy = Proxy(5432, limit=5 << 20)
    slow = sa.make_url(postgresql.url).set(port=proxy.port).render_as_string(hide_password=False)
    with pytest.raises(SourceError, match="connection was lost; nothing was landed") as error:
        collect_table(settings, slow, "t", ["v", "w"])
    proxy.close()
    assert error.value.next_step == "run the batch again when the source is back"
    assert landing.landed(settings, batch_of("police.t")) is None
    assert collect_table(settings, postgresql.url, "t", ["v", "w"]).rows == 200_000


def test_pg_terminate_backend_in_the_middle(settings: Settings, postgresql: Department) -> None:
    """A view that takes long to read is ended by the administrator."""
    postgresql.run(
        "CREATE VIEW v AS SELECT i AS v FROM generate_series(1, 50) i WHERE pg_sleep(i * 0 + 0.02) IS NOT NULL"
    )
    stopped = threading.Event()

    def end() -> None:
        while not stopped.wait(0.1):
            postgresql.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'xuanwu'"
                " AND datname = current_database() AND query LIKE 'COPY (SELECT CAST%%'"
            )

    killer = threading.Thread(target=end, daemon=True)
    killer.start()
    try:
        with pytest.raises(SourceError, match="connection was lost"):
            collect_table(settings, postgresql.url, "v", ["v"])
    finally:
        stopped.set()
        killer.join(60)


@pytest.mark.parametrize(
    ("view", "state"),
    [
        ("SELECT 1 / (i - 5) AS v FROM t", "22012"),
        ("SELECT CASE WHEN i > 90000 THEN ('KNRY7Q' || i)::integer ELSE i END AS v FROM t", "22P02"),
        ("SELECT (SELECT a.i FROM t a WHERE a.i <> t.i * 0 LIMIT 2) AS v FROM t", "21000"),
        ("SELECT raised(i) AS v FROM t", "P0001"),
    ],
)
def test_a_view_that_fails_on_the_server_is_not_a_lost_connection(
    settings: Settings, postgresql: Department, view: str, state: str
) -> None:
    """In the middle of the rows, which the count before had no need to work out."""
    postgresql.run(
        "CREATE TABLE t AS SELECT i FROM generate_series(1, 100000) i",
        "CREATE FUNCTION raised(i integer) RETURNS integer LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'KNRY7Q'; END $$",
        f"CREATE VIEW w AS {view}",
    )
    with pytest.raises(
        SourceError, match=f"failed on the server .SQLSTATE {state}.; nothing was landed"
    ) as error:
        collect_table(settings, postgresql.url, "w", ["v"])
    assert "KNRY7Q" not in str(error.value) and "the department" in str(error.value.next_step)
    assert landing.landed(settings, batch_of("police.t")) is None


def test_what_may_not_be_read(settings: Settings, postgresql: Department) -> None:
    role = f"reader_{abs(hash(postgresql.url)) % 10**8}"
    postgresql.run("CREATE TABLE t (v integer)", f"CREATE ROLE {role} LOGIN")
    try:
        url = sa.make_url(postgresql.url).set(username=role).render_as_string(hide_password=False)
        with pytest.raises(SourceError, match="may not read it"):
            collect_table(settings, url, "t", ["v"])
    finally:
        postgresql.run(f"DROP ROLE {role}")


def test_a_servers_error_quotes_no_value(settings: Settings, postgresql: Department) -> None:
    postgresql.run(
        "CREATE TABLE t (v text)",
        "INSERT INTO t VALUES ('13900000000')",
        "CREATE VIEW w AS SELECT v::date AS v FROM t",
    )
    with pytest.raises(SourceError) as error:
        collect_table(settings, postgresql.url, "w", ["v"])
    assert "139" not in str(error.value)
    assert error.value.__cause__ is None


def test_memory_does_not_grow_with_the_table(postgresql: Department) -> None:
    """What Arrow holds at any time while a table of 200 MB streams by (law 6)."""
    postgresql.run("CREATE VIEW v AS SELECT i AS v, repeat('x', 1000) AS w FROM generate_series(1, 200000) i")
    request = Request("police.v", "here", "v", None, ("v", "w"))
    before, most, passed = pa.total_allocated_bytes(), 0, 0
    with database_postgresql.read_postgresql(sa.make_url(postgresql.url), request) as rows:
        for batch in rows.reader:
            passed += batch.nbytes
            most = max(most, pa.total_allocated_bytes() - before, batch.nbytes)
    assert passed > 190 << 20 > 4 * most
