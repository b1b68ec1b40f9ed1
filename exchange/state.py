"""What the exchange remembers: accounts, tokens, cases with their events, deliveries and their
receipts, what was counted of reads. SQLite, or PostgreSQL in production; its form (`exchange.schema`) is brought up to
date at the first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from exchange.errors import Busy, Unfit
from lake.database import BUSY_SECONDS, connected_engine
from lake.together import Together
from schemas.settings import Settings

MIGRATIONS = Path(__file__).with_name("migrations")
MOST_TOGETHER: Final = 50
"""Threads whose rows are written in one transaction at most."""
_INSERT: Final[dict[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
Rows = list[dict[str, Any]]
_UNLESS_KEPT: Final = "xuanwu.unless_kept"


def moment_text(moment: datetime) -> str:
    """An aware moment as columns of `MOMENT` hold it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def keeps(text: str) -> bool:
    """Whether every database and the audit log can keep a text: U+0000 PostgreSQL cannot, and nothing half a surrogate
    pair, which JSON may hold."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def unless_kept(connection: sa.Connection, undo: Callable[[], object]) -> None:
    """Have this done should the transaction not be kept, and the database be there to say so."""
    connection.info[_UNLESS_KEPT].append(undo)


class State:
    """The database at `settings.exchange_url`. A server keeps its connections (`kept`)."""

    def __init__(self, settings: Settings, *, kept: bool = False) -> None:
        self._url, self._kept = settings.exchange_url, kept
        self._together: Together[tuple[sa.Table, Rows], None] = Together(MOST_TOGETHER)

    @property
    def begun(self) -> bool:
        """Whether there may be anything in it: asking makes no database."""
        url = sa.make_url(self._url)
        return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()

    @cached_property
    def _engine(self) -> sa.Engine:
        engine = connected_engine(self._url, kept=self._kept)
        migrate(engine)
        return engine

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction. IntegrityError passes; Unfit for a value that the database cannot hold, such as a text with
        NUL in PostgreSQL; all else is Busy. None has the driver's message: it quotes values."""
        with _told(), self._engine.connect() as connection:
            connection.info[_UNLESS_KEPT] = []
            try:
                with connection.begin():
                    yield connection
            except BaseException:
                for each in () if connection.invalidated else connection.info[_UNLESS_KEPT]:
                    each()
                raise

    @contextmanager
    def begin_alone(self, name: str) -> Iterator[sa.Connection]:
        """A transaction that takes turns with all others of the name: what it counts stays so until it ends. Others
        wait for it, on SQLite whoever writes."""
        with self.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                key = sa.func.pg_advisory_xact_lock(sa.func.hashtext("xuanwu"), sa.func.hashtext(name))
                connection.execute(sa.select(key))
            yield connection

    def scrub(self, tables: Sequence[sa.Table]) -> None:
        """Take the bytes of rows that were changed or removed out of the database's files: they are written anew. Busy
        where somebody else holds a table for longer than a minute."""
        sqlite = self._engine.dialect.name == "sqlite"
        automatic = {"isolation_level": "AUTOCOMMIT"}
        with _told(), self._engine.connect().execution_options(**automatic) as connection:
            if not sqlite:
                connection.exec_driver_sql(f"SET lock_timeout = '{BUSY_SECONDS}s'")
            if sqlite:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            for table in () if sqlite else tables:
                connection.exec_driver_sql(f"VACUUM (FULL) {table.name}")

    def put(self, table: sa.Table, rows: Rows) -> None:
        """Add rows, where they are not there yet, in one transaction with what other threads put at the time."""
        self._together.do((table, rows), self._put)

    def _put(self, brought: list[tuple[sa.Table, Rows]]) -> list[None]:
        with self.begin() as connection:
            insert = _INSERT[connection.dialect.name]
            for table, rows in brought:
                connection.execute(insert(table).on_conflict_do_nothing(), rows)
        return [None] * len(brought)


@contextmanager
def _told() -> Iterator[None]:
    """What the database refuses, in words of ours."""
    try:
        yield
    except IntegrityError:
        raise
    except DataError:
        raise Unfit(
            "a value is none that the exchange can keep", expected="texts without control characters"
        ) from None
    except SQLAlchemyError as error:
        raise Busy(
            f"the exchange's database cannot be reached or written ({type(error).__name__})",
            next_step="see XUANWU_EXCHANGE, whether its disk is full, and who holds its tables",
        ) from None


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the form of this code; safe where several processes start at once."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(809329)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
