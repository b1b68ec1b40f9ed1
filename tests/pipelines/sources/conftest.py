"""Real database servers on the loopback; each test gets a database of its own, which is dropped afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
MARIADB = "mysql+pymysql://root@127.0.0.1:3306/mysql"


class Department:
    """A department's database: `url` is the connection, `run` changes it as the department would."""

    def __init__(self, url: str, admin: str) -> None:
        self.url = url
        self.engine = sa.create_engine(admin, poolclass=sa.NullPool)

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def value(self, statement: str) -> object:
        with self.engine.begin() as connection:
            return connection.exec_driver_sql(statement).scalar()


NO_DIGITS: Final = str.maketrans("0123456789", "ghijklmnop")
"""A database's name in an error is never taken for a part of a number."""


@contextmanager
def _database(server: str, drop: str) -> Iterator[sa.URL]:
    engine = sa.create_engine(server, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    name = f"xuanwu_test_{uuid.uuid4().hex[:12].translate(NO_DIGITS)}"
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except sa.exc.OperationalError:
        message = f"no server answers at {engine.url.host}:{engine.url.port}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    try:
        yield engine.url.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{drop}")


@pytest.fixture
def postgresql() -> Iterator[Department]:
    with _database(POSTGRESQL, " WITH (FORCE)") as url:
        yield Department(str(url.set(drivername="postgresql")), str(url))


@pytest.fixture
def mariadb() -> Iterator[Department]:
    with _database(MARIADB, "") as url:
        yield Department(str(url.set(drivername="mysql")), f"{url}?charset=utf8mb4")


@pytest.fixture
def sqlite(tmp_path: Path) -> Department:
    return _sqlite(tmp_path, "sqlite")


def _sqlite(folder: Path, driver: str) -> Department:
    path = folder / "部门 a%20b.db"
    department = Department(f"{driver}:///{path}", f"sqlite:///{path}")
    department.run("CREATE TABLE made (id INTEGER)")
    return department


@pytest.fixture(params=["postgresql", "mariadb", "sqlite", "postgresql+psycopg", "sqlite+pysqlite"])
def department(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Department]:
    """A database of every kind, and two of them by way of SQLAlchemy's streamed cursor."""
    kind: str = request.param
    if kind.startswith("sqlite"):
        yield _sqlite(tmp_path, kind)
    else:
        found: Department = request.getfixturevalue(kind.partition("+")[0])
        found.url = found.url.replace("postgresql:", f"{kind}:") if "+" in kind else found.url
        yield found
