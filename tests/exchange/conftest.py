"""A desk on an empty home, and the people of two departments and the authority."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
import sqlalchemy as sa

from exchange.desk import Desk
from exchange.people import Principal, Role
from exchange.state import State
from lake.auditlog import AuditLog
from lake.signing import load_signer
from pipelines.connections import from_environment
from schemas.settings import Settings
from tests.conftest import the_catalogue
from tests.exchange.clock import START, Clock
from tests.exchange.database import emptied, laid, migrated
from tests.exchange.provider.fixtures import issuer, make_issuer, provider, today

__all__ = ["START", "Clock", "issuer", "make_issuer", "provider", "today"]


def person(name: str, department: str, *roles: Role) -> Principal:
    return Principal(name, department, frozenset(roles))


ASKER = person("asker", "health", "requester")
HEAD = person("head", "health", "requester", "approver")
CLERK = person("clerk", "civil_affairs", "provider")
CHIEF = person("chief", "civil_affairs", "provider", "approver")
BUREAU = person("bureau", "", "authority")
AUDITOR = person("auditor", "", "auditor")
STRANGER = person("stranger", "education", "requester", "provider", "approver")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A database of today's form on the server that is there, dropped at the end."""
    server = os.environ.get("XUANWU_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"exchange_{secrets.token_hex(6)}"
    try:
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers on 127.0.0.1:5432")
    url = str(sa.make_url(server).set(database=name).render_as_string(hide_password=False))
    migrated(url)
    yield url
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def exchange_url(request: pytest.FixtureRequest, settings: Settings) -> Iterator[str]:
    """Both databases; that of PostgreSQL is empty again afterwards."""
    if request.param == "sqlite":
        yield settings.exchange_url
        return
    url: str = request.getfixturevalue("postgresql")
    yield url
    emptied(url)


@pytest.fixture
def state(settings: Settings, exchange_url: str) -> State:
    if sa.make_url(exchange_url).get_backend_name() == "sqlite":
        laid(exchange_url)
    return State(settings.model_copy(update={"exchange": exchange_url}))


@pytest.fixture
def desk(settings: Settings, state: State, clock: Callable[[], datetime]) -> Desk:
    log = AuditLog(settings, load_signer(settings, from_environment), clock)
    return Desk(state, the_catalogue(), log, clock)


def asked(**other: object) -> dict[str, object]:
    """What a request for the marriages says."""
    return {
        "dataset": "civil_affairs.marriage",
        "policy": "default",
        "basis": "条例第三条",
        "scenario": "生育登记核验",
        "method": "api",
        "until": "2027-03-01T00:00:00+08:00",
        **other,
    }
