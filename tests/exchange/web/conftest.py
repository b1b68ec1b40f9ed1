"""A published share table, an exchange over it, and its callers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from httpx import Response

from exchange.accounts import make_token, open_account
from exchange.desk import Desk
from exchange.people import Principal
from exchange.requests import draft, take
from exchange.state import State
from exchange.web.app import make_app
from exchange.web.house import House
from lake import store
from lake.auditlog import AuditLog, read_line, segment_name
from lake.commits import Staged
from lake.records import Published
from lake.signing import load_signer
from pipelines.connections import from_environment
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.exchange.conftest import START, Clock, person
from tests.exchange.database import laid
from tests.pipelines.publishing.making import ID, KEY, SECRET, City, people
from tests.waiting import until


@pytest.fixture
def clients() -> Path:
    """Python of the environment in which Delta Sharing's own client is."""
    python = Path(__file__).parents[3] / ".venv-clients" / "bin" / "python"
    if not python.exists():
        reason = "`make setup-dev` makes .venv-clients, where Delta Sharing's client is"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return python


CONDITIONAL = {
    "type": "conditional",
    "conditions": {"zh": "限履职需要"},
    "policies": {"default": {}, "statistics": {"fields": ["born", "district"]}},
}
PEOPLE = {
    "asker": person("asker", "education", "requester"),
    "head": person("head", "education", "requester", "approver"),
    "clerk": person("clerk", "health", "provider"),
    "chief": person("chief", "health", "provider", "approver"),
    "other": person("other", "transport", "requester"),
    "auditor": person("auditor", "", "auditor"),
    "bureau": person("bureau", "", "authority"),
}


@dataclass
class Exchange:
    city: City
    desk: Desk
    client: TestClient
    tokens: dict[str, str]
    published: Published | None = None

    @property
    def house(self) -> House:
        app: Any = self.client.app
        return app.state.house

    def get(self, path: str, who: str | None = "asker", **more: object) -> Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return self.client.get(path, headers=headers | more.pop("headers", {}), **more)  # type: ignore[arg-type, operator]

    def post(self, path: str, who: str, body: object) -> Response:
        return self.client.post(path, json=body, headers={"Authorization": f"Bearer {self.tokens[who]}"})

    def rows(self, who: str | None = "asker", policy: str = "default", **params: object) -> Response:
        return self.get(f"/api/v1/tables/{ID}/{policy}/rows", who, params=params)

    def grant(self, policy: str = "default", until: str = "2027-01-01T00:00:00+08:00") -> int:
        said = {"dataset": ID, "policy": policy, "basis": "职责", "scenario": "核验", "method": "api"}
        number = draft(self.desk, PEOPLE["asker"], said | {"until": until}).number
        for who, step, more in (
            ("head", "approve", {}),
            ("clerk", "propose", {"consent": True, "reason": "可"}),
            ("chief", "confirm", {}),
        ):
            take(self.desk, PEOPLE[who], number, step, more)  # type: ignore[arg-type]
        return number

    def log(self, action: str = "read") -> list[dict]:
        uri = store.join(self.desk.log.folder, segment_name(0))
        entries = [read_line(line)[0] for line in store.read_bytes(uri).splitlines(keepends=True)]
        return [entry for entry in entries if entry["action"] == action]


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Sealed:
    """The certificate of a snapshot that a test makes by itself."""

    def properties(self, snapshot: int) -> Mapping[str, str]:
        return {}

    def issue(self, staged: Staged) -> None:
        pass


@dataclass
class Served:
    """An exchange on the loopback, with the clock of today, that readers come to by themselves."""

    exchange: Exchange
    url: str

    def token(self, who: str = "asker") -> str:
        return self.exchange.tokens[who]

    def grant(self, policy: str = "default") -> int:
        until = self.exchange.desk.clock() + timedelta(days=30)
        return self.exchange.grant(policy, until.isoformat())

    def delete_rows(self, *places: int) -> None:
        """Mark rows of the published table as deleted, as a later publication does."""
        tables, table = self.exchange.city.ctx.tables, ("share", "health__visit__default")
        path = tables.parts(table)[0].path
        deleted = {path: np.array(places)}
        tables.replace(table, None, (), {}, deleted=deleted, seal=Sealed())

    def ids(self) -> list[str]:
        """What the published table holds, by its numbers."""
        tables = self.exchange.city.ctx.tables
        read = tables.scan(("share", "health__visit__default"), ["visit_no"]).read_all()
        return sorted(read["visit_no"].to_pylist())


@pytest.fixture
def served(exchange: Exchange, clock: Clock) -> Iterator[Served]:
    clock.now = datetime.now(UTC)
    for name in PEOPLE:
        week = timedelta(days=7)
        made = make_token(exchange.desk.state, name, "", ["read", "request"], now=clock.now, lasts=week)
        exchange.tokens[name] = made[0]
    config = uvicorn.Config(exchange.client.app, port=0, log_level="error", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    assert until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(exchange, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(20)


def _account(state: State, principal: Principal) -> str:
    open_account(state, principal.name, principal.department, principal.roles)
    year = timedelta(days=366)
    return make_token(state, principal.name, "", ["read", "request"], now=START, lasts=year)[0]


@pytest.fixture
def exchange(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Exchange]:
    monkeypatch.setenv(KEY, SECRET)
    city = City(settings, make_catalogue, share=CONDITIONAL)
    published = city.publish(city.curate(1, people(200)))
    city.publish(city.curate(1, people(200)), policy="statistics")
    with opened(city, clock) as made:
        yield replace(made, published=published)


@contextmanager
def opened(city: City, clock: Clock) -> Iterator[Exchange]:
    """An exchange of the city's, with an account and a token of everybody's."""
    laid(city.settings.exchange_url)
    log = AuditLog(city.settings, load_signer(city.settings, from_environment), clock)
    desk = Desk(State(city.settings), city.ctx.catalogue, log, clock)
    tokens = {name: _account(desk.state, principal) for name, principal in PEOPLE.items()}
    with TestClient(make_app(House(desk, city.ctx.tables)), raise_server_exceptions=False) as client:
        yield Exchange(city, desk, client, tokens)
