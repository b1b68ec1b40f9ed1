"""A browser at the exchange and at a real identity provider."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi.testclient import TestClient

from exchange.accounts import open_account
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.exchange.clock import Clock
from tests.exchange.provider.fixtures import MakeIssuer
from tests.exchange.web.conftest import CONDITIONAL, Exchange, opened
from tests.pipelines.publishing.making import City

PASSWORD = "correct horse battery"


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
