"""The road for any SQLAlchemy URL, with PostgreSQL by psycopg and SQLite by its own driver."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lake import landing
from schemas.errors import SourceError
from schemas.settings import Settings
from tests.pipelines.building import batch_of
from tests.pipelines.sources.collecting import Proxy, collect_table, column
from tests.pipelines.sources.conftest import Department

TEXT = pa.string()


@pytest.fixture
def psycopg(postgresql: Department) -> Department:
    postgresql.url = postgresql.url.replace("postgresql:", "postgresql+psycopg:")
    return postgresql


@pytest.mark.parametrize(
    ("kind", "values", "arrow", "landed"),
    [
        ("numeric", ["123456789012345678901234567890.10", "'NaN'", "1e-10"], TEXT,
         ["123456789012345678901234567890.10", "NaN", "0.0000000001"]),
        ("bigint", ["-9223372036854775808"], pa.int64(), [-9223372036854775808]),
        ("double precision", ["0.1"], pa.float64(), [0.1]),
        ("boolean", ["true"], pa.bool_(), [True]),
        ("char(4)", ["'中'"], TEXT, ["中   "]),
        ("bytea", ["'\\x00ff'"], pa.binary(), [b"\x00\xff"]),
        ("date", ["'2026-01-01'"], pa.date32(), [date(2026, 1, 1)]),
        ("timestamp", ["'2026-01-01 00:00:00.123456'"], pa.timestamp("us"), [datetime(2026, 1, 1, 0, 0, 0, 123456)]),
        ("timestamptz", ["'2026-01-01 08:00:00+08'"], pa.timestamp("us", "UTC"), [datetime(2026, 1, 1, tzinfo=UTC)]),
        ("time", ["'12:00:01'"], TEXT, ["12:00:01"]),
        ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], TEXT, ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("jsonb", ["'{\"a\": \"中\"}'"], TEXT, ['{"a": "中"}']),
        ("integer[]", ["'{1,2}'"], TEXT, ["[1, 2]"]),
        ("inet", ["'10.0.0.1'"], TEXT, ["10.0.0.1"]),
    ],
)  # fmt: skip
def test_types_land_exactly(
    settings: Settings,
    psycopg: Department,
    kind: str,
    values: list[str],
    arrow: pa.DataType,
    landed: list[object],
) -> None:
    found = column(settings, psycopg, kind, *values)
    assert found.type == arrow
    assert found.to_pylist() == [*landed, None]


def test_a_value_that_its_column_does_not_promise_stops(settings: Settings, sqlite: Department) -> None:
    sqlite.run("CREATE TABLE t (v INTEGER)", "INSERT INTO t VALUES (1), ('13900000000x')")
    with pytest.raises(SourceError, match="does not fit its column's type") as error:
        collect_table(settings, sqlite.url.replace("sqlite:", "sqlite+pysqlite:"), "t", ["v"])
    assert "139" not in str(error.value)
    assert error.value.place["field"] == "v"


def test_dates_and_decimals_of_sqlite_are_its_own_text(settings: Settings, sqlite: Department) -> None:
    sqlite.run(
        "CREATE TABLE t (d DATETIME, n NUMERIC(30,15), x DATE)",
        "INSERT INTO t VALUES ('2026-01-01T08:00', 0.123456789012345, 'no date')",
    )
    landed = collect_table(settings, sqlite.url.replace("sqlite:", "sqlite+pysqlite:"), "t", ["d", "n", "x"])
    assert pq.read_table(landed.files[0].path).to_pylist() == [
        {"d": "2026-01-01T08:00", "n": "0.123456789012345", "x": "no date"}
    ]


def test_a_dropped_connection_lands_nothing(settings: Settings, psycopg: Department) -> None:
    psycopg.run("CREATE TABLE t AS SELECT i AS v, repeat('x', 500) AS w FROM generate_series(1, 50000) i")
    proxy = Proxy(5432, limit=5 << 20)
    url = sa.make_url(psycopg.url).set(port=proxy.port).render_as_string(hide_password=False)
    with pytest.raises(SourceError, match="connection was lost"):
        collect_table(settings, url, "t", ["v", "w"])
    proxy.close()
    assert landing.landed(settings, batch_of("police.t")) is None
    assert collect_table(settings, psycopg.url, "t", ["v", "w"]).rows == 50_000
