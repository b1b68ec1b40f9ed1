"""Databases of the exchange that are of today's form already: migrated once, then used by each test anew."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from exchange.schema import METADATA
from exchange.state import migrate
from lake.database import connected_engine


def migrated(url: str) -> None:
    """Bring the database at `url` to today's form, and leave no connection to it."""
    engine = connected_engine(url)
    migrate(engine)
    engine.dispose()


def laid(url: str) -> None:
    """A SQLite database of today's form, where `url` says and nothing is yet."""
    path = Path(sa.make_url(url).database or "")
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "exchange.db")
        migrated(f"sqlite:///{path}")
        return path.read_bytes()


OTHERS = """\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"""
ANEW = (
    "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences"
)


def emptied(url: str) -> None:
    """The tables of a PostgreSQL database as the migrations left them, whoever is connected to it still. Rows are deleted:
    to truncate every table takes its server longer than most tests."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(OTHERS)
        for table in reversed(METADATA.sorted_tables):
            connection.execute(sa.delete(table))
        connection.execute(sa.text(ANEW))
