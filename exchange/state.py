"""What the exchange remembers: accounts, tokens, requests and objections with their events, deliveries and their
receipts, what was counted of reads. SQLite, or PostgreSQL in production.

The form is Alembic's (`exchange/migrations`), brought up to date at the first use; a test holds the two against each
other. Events are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
MOMENT = sa.String(32)
"""Aware UTC, ISO 8601 with microseconds: the same text, and the same order, in every database. See `moment_text`."""

ACCOUNTS = sa.Table(
    "accounts",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("password", sa.String(200)),
    sa.Column("closed", MOMENT),
    sa.Column("said", MOMENT),
)
"""`said`: of a person or system of the identity provider, when it said what department and roles are theirs."""
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("note", sa.String(200), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("made", MOMENT, nullable=False),
    sa.Column("expires", MOMENT, nullable=False),
    sa.Column("revoked", MOMENT),
    sa.Column("kind", sa.String(8), nullable=False),
)
REQUESTS = sa.Table(
    "requests",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("department", sa.String(64), nullable=False, index=True),
    sa.Column("provider", sa.String(64), nullable=False, index=True),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("scenario", sa.Text, nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("until", MOMENT, nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("division", sa.String(6), nullable=False),
    sa.Column("territory", sa.String(63), nullable=False),
)
EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("request", sa.ForeignKey("requests.number"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.String(32), nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("side", sa.String(16), nullable=False),
    sa.Column("at", MOMENT, nullable=False),
    sa.Column("said", sa.JSON, nullable=False),
)
"""The primary key makes two people who act on one request at one time take turns: the second is told so."""
OBJECTIONS = sa.Table(
    "objections",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("zone", sa.String(8), nullable=False),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("department", sa.String(64), nullable=False, index=True),
    sa.Column("provider", sa.String(64), nullable=False, index=True),
    sa.Column("snapshot", sa.String(20), nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("rows", sa.JSON, nullable=False),
    sa.Column("wrong", sa.Text, nullable=False),
    sa.Column("proposed", sa.Text, nullable=False),
)
OBJECTION_EVENTS = sa.Table(
    "objection_events",
    METADATA,
    sa.Column("objection", sa.ForeignKey("objections.number"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.String(32), nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("side", sa.String(16), nullable=False),
    sa.Column("at", MOMENT, nullable=False),
    sa.Column("said", sa.JSON, nullable=False),
)
CONTACTS = sa.Table(
    "contacts",
    METADATA,
    sa.Column("department", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("address", sa.String(500), primary_key=True),
)
"""Where notices to a department are sent; of the authority the department is empty."""
NOTICES = sa.Table(
    "notices",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(200), nullable=False, unique=True),
    sa.Column("department", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("request", sa.ForeignKey("requests.number")),
    sa.Column("objection", sa.ForeignKey("objections.number")),
    sa.Column("said", sa.JSON, nullable=False),
    sa.Column("made", MOMENT, nullable=False),
    sa.Column("read", MOMENT),
)
"""What a department is told, once: `key` says what it is about. It is of no request where a delivery of what is shared
without conditions failed."""
DELIVERIES = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("notice", sa.ForeignKey("notices.id"), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("address", sa.String(500), primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("after", MOMENT, nullable=False, index=True),
    sa.Column("why", sa.String(200), nullable=False),
)
"""The outbox: a notice on its way to one address, tried again from `after` on until it is `sent`, or `given up`."""
SUBSCRIPTIONS = sa.Table(
    "subscriptions",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("request", sa.ForeignKey("requests.number"), index=True),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("dataset", sa.String(100), nullable=False, index=True),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("method", sa.String(8), nullable=False),
    sa.Column("connection", sa.String(64), nullable=False),
    sa.Column("place", sa.String(200), nullable=False),
    sa.Column("mode", sa.String(8), nullable=False),
    sa.Column("format", sa.String(8), nullable=False),
    sa.Column("keep", sa.Integer, nullable=False),
    sa.Column("by", sa.String(100), nullable=False),
    sa.Column("at", MOMENT, nullable=False),
    sa.Column("ended", MOMENT),
    sa.Column("holder", sa.String(200)),
    sa.Column("until", MOMENT),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("after", MOMENT, nullable=False),
)
"""What is to be delivered where, with every new snapshot (`exchange.subscriptions`); who is at it, and from when on it
is tried again. No secret is among it: the connection is a name."""
RECEIPTS = sa.Table(
    "receipts",
    METADATA,
    sa.Column("subscription", sa.ForeignKey("subscriptions.number"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("snapshot", sa.String(20), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("found", sa.BigInteger, nullable=False),
    sa.Column("inserted", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.BigInteger, nullable=False),
    sa.Column("altered", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("began", MOMENT, nullable=False),
    sa.Column("at", MOMENT, nullable=False),
)
"""What became of each delivery, failed ones too; only ever added."""

USAGE = sa.Table(
    "usage",
    METADATA,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("department", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(100), primary_key=True),
    sa.Column("dataset", sa.String(100), primary_key=True, index=True),
    sa.Column("policy", sa.String(64), primary_key=True),
    sa.Column("door", sa.String(16), primary_key=True),
    sa.Column("purpose", sa.String(64), primary_key=True),
    sa.Column("reads", sa.Integer, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
)
"""Counted from the audit log, which is what holds (`exchange.usage`)."""
COUNTED = sa.Table(
    "counted",
    METADATA,
    sa.Column("log", sa.String(16), primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False),
)
LOOKS = sa.Table(
    "looks",
    METADATA,
    sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(32), primary_key=True, index=True),
)
"""By which read (the index of its entry in the audit log) a record was seen, as a keyed digest (`exchange.looks`)."""

MIGRATIONS = Path(__file__).with_name("migrations")
MOST_TOGETHER: Final = 50
"""Threads whose rows are written in one transaction at most."""
_INSERT: Final[dict[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
Rows = list[dict[str, Any]]


def moment_text(moment: datetime) -> str:
    """An aware moment as columns of `MOMENT` hold it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def keeps(text: str) -> bool:
    """Whether every database and the audit log can keep a text: U+0000 PostgreSQL cannot, and nothing half a surrogate
    pair, which JSON may hold."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


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
        with _told(), self._engine.begin() as connection:
            yield connection

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
