"""Real databases, every table and column of them: Chinook and Employees in SQLite, Northwind in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from schemas.settings import Settings
from tests.pipelines.sources.collecting import collect_table
from tests.pipelines.sources.conftest import Department


def land_all(tmp_path: Path, url: str, engine: sa.Engine) -> int:
    """Land every table whole, against a count taken by another driver; returns the tables landed."""
    inspector = sa.inspect(engine)
    tables = inspector.get_table_names()
    for table in tables:
        columns = [column["name"] for column in inspector.get_columns(table)]
        with engine.connect() as connection:
            expected = connection.exec_driver_sql(f'SELECT count(*) FROM "{table}"').scalar()
        landed = collect_table(Settings(home=tmp_path / table), url, table, columns)
        file = pq.ParquetFile(landed.files[0].path)
        assert (landed.rows, file.metadata.num_rows, file.schema_arrow.names) == (expected, expected, columns)
    return len(tables)


@pytest.mark.parametrize(
    ("name", "tables"), [("db-chinook/Chinook_Sqlite.sqlite", 11), ("db-employees-small/sqlite", None)]
)
def test_sqlite(shared: Path, tmp_path: Path, name: str, tables: int | None) -> None:
    path = shared / name
    found = [path] if path.is_file() else sorted(path.rglob("*.db"))
    if not found:
        pytest.skip(f"no SQLite file under {path}")
    for file in found:
        url = f"sqlite:///{file}"
        landed = land_all(tmp_path / file.stem, url, sa.create_engine(url))
        assert landed == tables if tables else landed > 0


def test_northwind(shared: Path, tmp_path: Path, postgresql: Department) -> None:
    url = sa.make_url(postgresql.url).render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((shared / "db-northwind-pg/northwind.sql").read_bytes())
    assert land_all(tmp_path, postgresql.url, postgresql.engine) == 14
