"""A published share table, an exchange over it, and its callers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from exchange.accounts import make_token, open_account
from exchange.people import Principal
from exchange.requests import Desk, draft, take
from exchange.state import State
from exchange.web.app import make_app
from exchange.web.house import House
from lake import store
from lake.auditlog import AuditLog, read_line, segment_name
from lake.records import Published
from lake.signing import load_signer
from pipelines.connections import from_environment
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.exchange.conftest import START, Clock, person
from tests.pipelines.publishing import ID, KEY, SECRET, City, people

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
    published: Published

    def get(self, path: str, who: str | None = "asker", **more: object) -> Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return self.client.get(path, headers=headers | more.pop("headers", {}), **more)  # type: ignore[arg-type, operator]

    def post(self, path: str, who: str, body: object) -> Response:
        return self.client.post(path, json=body, headers={"Authorization": f"Bearer {self.tokens[who]}"})

    def rows(self, who: str | None = "asker", policy: str = "default", **params: object) -> Response:
        return self.get(f"/api/v1/tables/{ID}/{policy}/rows", who, params=params)

    def grant(self, policy: str = "default") -> int:
        said = {"dataset": ID, "policy": policy, "basis": "职责", "scenario": "核验", "method": "api"}
        number = draft(self.desk, PEOPLE["asker"], said | {"until": "2027-01-01T00:00:00+08:00"}).number
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
    log = AuditLog(settings, load_signer(settings, from_environment), clock)
    desk = Desk(State(settings), city.ctx.catalogue, log, clock)
    tokens = {name: _account(desk.state, principal) for name, principal in PEOPLE.items()}
    with TestClient(make_app(House(desk, city.ctx.tables)), raise_server_exceptions=False) as client:
        yield Exchange(city, desk, client, tokens, published)
