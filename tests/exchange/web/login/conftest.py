"""A browser at the exchange and at a real identity provider."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape

import httpx
import pytest
from fastapi.testclient import TestClient

from exchange.accounts import open_account
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.exchange.clock import Clock
from tests.exchange.provider.fixtures import MakeIssuer
from tests.exchange.web.conftest import CONDITIONAL, PEOPLE, Exchange, opened
from tests.pipelines.publishing.making import ID, City

PASSWORD = "correct horse battery"
TABLE = f"share/{ID}/default"
ASKED = {
    "table": TABLE,
    "basis": "条例第三条",
    "scenario": "<b>核验</b>",
    "method": "api",
    "columns": ["fee"],
}


@dataclass
class Browser:
    """One person's browser, at the exchange and at the provider."""

    exchange: Exchange
    here: TestClient
    there: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def begin(self) -> str:
        """To the provider; the address."""
        answer = self.here.get("/login/start", follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def consent(self, url: str, login: str) -> str:
        """Through the provider's own pages; the address back."""
        answer = self.there.get(url)
        while not answer.headers.get("location", "").startswith(("http://testserver", "https://testserver")):
            if answer.has_redirect_location:
                answer = self.there.get(answer.next_request.url)  # type: ignore[union-attr]
                continue
            action = re.search(r'action="([^"]+)"', answer.text)
            assert action, answer.text[:500]
            form = dict(re.findall(r'name="(\w+)" value="(\w+)"', answer.text))
            answer = self.there.post(
                httpx.URL(url).join(action[1]), data={**form, "login": login, "password": "x"}
            )
        return answer.headers["location"]

    def log_in(self, login: str = "asker-sub") -> httpx.Response:
        back = self.consent(self.begin(), login)
        return self.here.get(back, follow_redirects=False)

    def by_password(self, name: str, password: str = PASSWORD) -> httpx.Response:
        form = {"name": name, "password": password, "csrf": self.csrf("/login")}
        return self.here.post("/login", data=form, follow_redirects=False)

    def csrf(self, page: str = "/account") -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.here.get(page).text)
        assert found
        return found[1]

    def me(self) -> httpx.Response:
        return self.here.get("/api/v1/me")


@pytest.fixture
def exchange(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], clock: Clock
) -> Iterator[Exchange]:
    """Without a published table: what is behind the login is looked at elsewhere."""
    with opened(City(settings, make_catalogue, share=CONDITIONAL), clock) as made:
        yield made


@pytest.fixture
def clock(today: Clock) -> Clock:
    return today


@pytest.fixture
def browser(exchange: Exchange, make_issuer: MakeIssuer, clock: Clock) -> Browser:
    exchange.house.issuer = make_issuer(clock=clock)
    return Browser(exchange, exchange.client)


def reasons(exchange: Exchange) -> Counter[str]:
    """What the audit log counts of callers whom nobody knows."""
    exchange.house.refusals.flush(all_of_it=True)
    found: Counter[str] = Counter()
    for each in exchange.log("authenticate"):
        found[each["reason"]] += each["count"]
    return found


@pytest.fixture
def wang(browser: Browser) -> Browser:
    """A browser with an account of the exchange's own, and no provider."""
    browser.exchange.house.issuer = None
    open_account(browser.exchange.desk.state, "wang", "education", ["requester"], PASSWORD)
    return browser


class Workplace:
    """A browser for each person, logged in by password."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self.exchange, self.clock = exchange, clock
        self.browsers: dict[str, Browser] = {}

    def __getitem__(self, name: str) -> Browser:
        if name not in self.browsers:
            person = PEOPLE.get(name)
            department, roles = (person.department, sorted(person.roles)) if person else ("", ["public"])
            open_account(self.exchange.desk.state, f"{name}-1", department, roles, PASSWORD)
            browser = Browser(self.exchange, TestClient(self.exchange.client.app))
            assert browser.by_password(f"{name}-1").headers["location"] == "/workspace"
            self.browsers[name] = browser
        return self.browsers[name]

    def page(self, who: str, path: str) -> str:
        answer = self[who].here.get(path)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    def send(self, who: str, path: str, **said: object) -> str:
        """Send a form; where it leads."""
        answer = self.sent(who, path, **said)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def sent(self, who: str, path: str, **said: object) -> object:
        browser = self[who]
        return browser.here.post(path, data={"csrf": browser.csrf(), **said}, follow_redirects=False)

    def steps(self, who: str, path: str) -> set[str]:
        return set(re.findall(rf'action="{path}/(\w+)"', self.page(who, path)))

    def ask(self) -> str:
        last = (self.clock.now + timedelta(days=60)).date().isoformat()
        return self.send("asker", "/requests", until=last, **ASKED)


@pytest.fixture
def people(exchange: Exchange, clock: Clock) -> Workplace:
    exchange.house.per_minute = 100_000
    return Workplace(exchange, clock)
