"""Connections to the lake's own databases, the ledger and Iceberg's catalogue: SQLite, or PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.schema import CreateTable

from schemas.errors import LakeError

BUSY_SECONDS = 60
"""How long a writer waits for another one's transaction on SQLite."""
MAKING_TRIES = 20


def database_url(url: str) -> URL:
    """The parsed URL. LakeError if it is none, without quoting it: it may hold a password."""
    try:
        return make_url(url)
    except ArgumentError:
        raise LakeError(
            "a database URL is malformed", expected="a SQLAlchemy URL, as sqlite:///path"
        ) from None


def prepare_sqlite(url: URL) -> None:
    """Make the file, for its owner only, with a write-ahead log, where readers do not block writers.

    The switch needs the file for itself for a moment, and SQLite's busy timeout does not wait for that."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    path = Path(url.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.DatabaseError as error:
            _wait_if_locked(error, path, deadline)
        finally:
            connection.close()


def _wait_if_locked(error: sqlite3.DatabaseError, path: Path, deadline: float) -> None:
    """A moment's wait for another process; LakeError after the deadline, and at once for anything but a lock."""
    if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        raise LakeError(
            f"the database cannot be used ({error.sqlite_errorname})",
            file=str(path),
            next_step="see whether its disk is full, who may write to it and whether it is SQLite's, then run again",
        ) from None
    if time.monotonic() > deadline:
        raise LakeError(
            f"the database has been locked for {BUSY_SECONDS} seconds",
            file=str(path),
            next_step="see which process holds it, then run again",
        ) from None
    time.sleep(0.05)


def connected_engine(url: str, *, kept: bool = False) -> sa.Engine:
    """An engine whose connections are never kept: nothing is shared across a fork of a task runner. A server, which
    does not fork, keeps some: `kept`."""
    parsed = database_url(url)
    prepare_sqlite(parsed)
    waits: dict[str, Any] = {"timeout": BUSY_SECONDS} if parsed.get_backend_name() == "sqlite" else {}
    pool: dict[str, Any] = _KEPT if kept else {"poolclass": NullPool}
    return sa.create_engine(parsed, connect_args=waits, hide_parameters=True, **pool)


_KEPT: Final = {"poolclass": QueuePool, "pool_size": 10, "max_overflow": 50, "pool_pre_ping": True}
"""More than the threads that a server has at one time (anyio's 40): none waits for a connection."""


def made_tables(
    engine: sa.Engine, tables: sa.MetaData, changes: Callable[[sa.Connection], None] = lambda _: None
) -> sa.Engine:
    """The engine, whose database has the tables and the changes made to them since, whoever makes them.

    Of processes that make a table at the same moment PostgreSQL lets one through and tells the others, despite `IF NOT
    EXISTS`, that a key is there twice: they look again. DBAPIError after `MAKING_TRIES`."""
    for tries_left in range(MAKING_TRIES, 0, -1):
        try:
            with engine.begin() as connection:
                for table in tables.sorted_tables:
                    connection.execute(CreateTable(table, if_not_exists=True))
                changes(connection)
            break
        except DBAPIError:
            if tries_left == 1:
                raise
            time.sleep(0.05)
    return engine
