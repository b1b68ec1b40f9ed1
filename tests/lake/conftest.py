"""Databases for what the lake keeps in one: SQLite, and PostgreSQL where there is a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from schemas.settings import Settings

SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432/"


@pytest.fixture
def sqlite(settings: Settings) -> str:
    return settings.database_url


@pytest.fixture
def postgresql() -> Iterator[str]:
    server = sa.create_engine(
        SERVER + "postgres", isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3}
    )
    name = f"ledger_{uuid.uuid4().hex[:8]}"
    try:
        with server.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.OperationalError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("no PostgreSQL at 127.0.0.1:5432")
    yield SERVER + name
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()
