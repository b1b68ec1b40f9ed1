"""What the exchange remembers: accounts, tokens, requests and their events. SQLite, or PostgreSQL in production.

The form is Alembic's (`exchange/migrations`), brought up to date at the first use; a test holds the two against each
other. Events are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from exchange.errors import Busy
from lake.database import connected_engine
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
"""Aware UTC, ISO 8601 with microseconds: the same text, and the same order, in every database."""

ACCOUNTS = sa.Table(
    "accounts",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("department", sa.String(64), nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("password", sa.String(200)),
    sa.Column("closed", MOMENT),
)
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

MIGRATIONS = Path(__file__).with_name("migrations")


class State:
    """The database at `settings.exchange_url`."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.exchange_url

    @cached_property
    def _engine(self) -> sa.Engine:
        engine = connected_engine(self._url)
        migrate(engine)
        return engine

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction. IntegrityError passes; all else is Busy, without the driver's message: it quotes values."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise Busy(
                f"the exchange's database cannot be reached or written ({type(error).__name__})",
                next_step="see XUANWU_EXCHANGE, and whether its disk is full",
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
