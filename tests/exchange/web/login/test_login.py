"""People log in by a real identity provider, and nobody else does."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from exchange.accounts import close_account, open_account
from tests.exchange.clock import Clock
from tests.exchange.provider import PEOPLE, Provider
from tests.exchange.provider.fixtures import MakeIssuer
from tests.exchange.web.conftest import Exchange
from tests.exchange.web.login.conftest import PASSWORD, Browser, reasons
from tests.exchange.web.test_tables import problem

# ── by the identity provider ──────────────────────────────────────────────────────────────────────────────


def test_the_whole_way(browser: Browser, provider: Provider) -> None:
    assert browser.here.get("/account", follow_redirects=False).headers["location"] == "/login"
    assert "/login/start" in browser.here.get("/login").text
    url = browser.begin()
    asked = parse_qs(urlsplit(url).query)
    assert asked["code_challenge_method"] == ["S256"] and len(asked["code_challenge"][0]) == 43
    assert asked["response_type"] == ["code"] and len(asked["state"][0]) == len(asked["nonce"][0]) == 43
    answer = browser.here.get(browser.consent(url, "asker-sub"), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    (cookie,) = (each for each in answer.headers.get_list("set-cookie") if each.startswith("xuanwu="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
    page = browser.here.get("/account")
    assert "oidc:asker-sub" in page.text and "需求方 requester" in page.text
    assert browser.me().json() == {
        "name": "oidc:asker-sub",
        "department": "education",
        "roles": ["requester"],
        "scopes": ["read", "request"],
    }
    logged = browser.exchange.log("login")
    assert [(each["by"], each["how"]) for each in logged] == [("oidc:asker-sub", "issuer")]
    assert not [each for each in PEOPLE if each in repr(reasons(browser.exchange))]


def test_what_the_id_token_lacks_is_asked_of_userinfo(
    browser: Browser, make_issuer: MakeIssuer, provider: Provider, clock: Clock
) -> None:
    provider.seen()
    assert browser.log_in().headers["location"] == "/workspace"
    told = provider.seen()
    assert told["/token"] == 1 and "/me" not in told
    bare = Provider(conform=True)
    try:
        browser.exchange.house.issuer = make_issuer(clock=clock, oidc_issuer=bare.issuer)
        assert browser.log_in("head-sub").headers["location"] == "/workspace"
        assert browser.me().json()["roles"] == ["approver", "requester"]
        assert bare.seen()["/me"] == 1
    finally:
        bare.stop()


def test_userinfo_of_somebody_else_is_not_taken(
    browser: Browser, make_issuer: MakeIssuer, clock: Clock
) -> None:
    bare = Provider(conform=True)

    class Mixed(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/me":
                return httpx.Response(200, json={"sub": "head-sub", **PEOPLE["head-sub"]})
            return super().handle_request(request)

    try:
        issuer = make_issuer(clock=clock, oidc_issuer=bare.issuer)
        issuer.provider.http = httpx.Client(transport=Mixed())
        browser.exchange.house.issuer = issuer
        assert browser.log_in("asker-sub").status_code == 401
        assert browser.me().status_code == 401
    finally:
        bare.stop()


def test_https_makes_cookies_of_this_host_alone(browser: Browser) -> None:
    browser.exchange.house.url = "https://testserver"
    browser.here.base_url = "https://testserver"
    answer = browser.log_in()
    (cookie,) = (each for each in answer.headers.get_list("set-cookie") if each.startswith("__Host-xuanwu="))
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert browser.me().status_code == 200


def test_an_answer_counts_for_the_browser_that_asked_once(browser: Browser, exchange: Exchange) -> None:
    back = browser.consent(browser.begin(), "asker-sub")
    with TestClient(browser.here.app) as stranger:
        assert stranger.get(back).status_code == 401
        stranger.get("/login/start", follow_redirects=False)
        assert stranger.get(back).status_code == 401
        assert stranger.get("/api/v1/me").status_code == 401
    assert browser.here.get(back, follow_redirects=False).status_code == 303
    assert browser.here.get(back).status_code == 401  # the attempt is over
    assert reasons(exchange) == {"login": 3, "missing": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"state": "x"},
        {"state": None},
        {"iss": "https://idp.city.example"},
        {"iss": None},
        {"code": "x"},
        {"code": None},
        {"code": None, "error": "access_denied", "error_description": "<script>7*7</script>"},
    ],
)
def test_a_changed_answer_logs_nobody_in(browser: Browser, change: dict[str, str | None]) -> None:
    back = urlsplit(browser.consent(browser.begin(), "asker-sub"))
    said = {name: each[0] for name, each in parse_qs(back.query).items()} | change
    query = {name: each for name, each in said.items() if each is not None}
    answer = browser.here.get(back.path, params=query)
    assert answer.status_code == 401
    assert "登录未完成" in answer.text and "7*7" not in answer.text
    assert browser.me().status_code == 401


def test_the_provider_gives_no_code_without_our_challenge(browser: Browser) -> None:
    """PKCE: another's code is worth nothing in this browser's attempt."""
    stolen = browser.consent(browser.begin(), "head-sub")
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    other = Browser(browser.exchange, TestClient(browser.here.app))
    own = parse_qs(urlsplit(other.begin()).query)["state"][0]
    issuer = browser.exchange.house.issuer
    assert issuer is not None
    said = {"code": code, "state": own, "iss": issuer.provider.issuer}
    assert other.here.get("/login/callback", params=said).status_code == 401
    assert other.me().status_code == 401


def test_an_id_token_opens_no_door(
    browser: Browser, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = browser.exchange.house.issuer
    assert issuer is not None
    seen: list[str] = []
    real = type(issuer).claims_of_id
    monkeypatch.setattr(
        type(issuer), "claims_of_id", lambda self, text, nonce: seen.append(text) or real(self, text, nonce)
    )
    browser.log_in()
    with TestClient(browser.here.app) as client:
        problem(client.get("/api/v1/me", headers={"Authorization": f"Bearer {seen[0]}"}), 401)
        access = provider.forge()
        assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {access}"}).status_code == 200


def test_another_s_id_token_is_no_login(browser: Browser, provider: Provider) -> None:
    from exchange.errors import Unauthenticated

    issuer = browser.exchange.house.issuer
    assert issuer is not None
    good = {"aud": "exchange", "nonce": "n", "header": {"typ": None}}
    assert issuer.claims_of_id(provider.forge(**good), "n")["sub"] == "asker-sub"
    for change in (
        {"nonce": "m"},
        {"nonce": None},
        {"aud": "elsewhere"},
        {"aud": ["exchange", "elsewhere"], "azp": "elsewhere"},
        {"iss": "https://idp.city.example"},
        {"exp": 1},
        {"header": {"typ": "at+jwt"}},
    ):
        with pytest.raises(Unauthenticated):
            issuer.claims_of_id(provider.forge(**(good | change)), "n")


@pytest.mark.parametrize("login", ["lost-sub", "idle-sub", "nobody-sub"])
def test_who_has_no_department_or_role_is_told_whom_to_ask(browser: Browser, login: str) -> None:
    answer = browser.log_in(login)
    assert answer.status_code == 403
    assert "idp@city.example" in answer.text
    assert browser.me().status_code == 401
    assert "unplaced" in reasons(browser.exchange)


def test_who_was_shut_out_here_does_not_come_back(browser: Browser, clock: Clock) -> None:
    browser.log_in()
    close_account(browser.exchange.desk.state, "oidc:asker-sub", clock())
    assert browser.me().status_code == 401
    assert browser.log_in().status_code == 401
    assert browser.me().status_code == 401
    assert reasons(browser.exchange)["closed"] == 1


def test_roles_are_those_of_the_last_login(
    browser: Browser, provider: Provider, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    browser.log_in("head-sub")
    assert browser.me().json()["roles"] == ["approver", "requester"]
    clock.wait(seconds=5)
    lower = provider.forge(sub="head-sub", roles=["requester"], now=int(clock.now.timestamp()))
    with TestClient(browser.here.app) as client:
        client.get("/api/v1/me", headers={"Authorization": f"Bearer {lower}"})
    assert browser.me().json()["roles"] == ["requester"]


def test_the_provider_is_down_and_accounts_of_our_own_go_on(browser: Browser, provider: Provider) -> None:
    open_account(browser.exchange.desk.state, "wang", "education", ["requester"], PASSWORD)
    try:
        provider.down()
        answer = browser.here.get("/login/start")
        assert answer.status_code == 503 and "暂无响应" in answer.text
        assert browser.by_password("wang").status_code == 303
        assert browser.me().json()["name"] == "wang"
        assert browser.exchange.get("/api/v1/me").status_code == 200
        with TestClient(browser.here.app) as client:
            access = provider.forge()
            problem(client.get("/api/v1/me", headers={"Authorization": f"Bearer {access}"}), 503)
    finally:
        provider.up()


def test_logging_out_ends_it_here_and_there(browser: Browser) -> None:
    browser.log_in()
    cookie = browser.here.cookies["xuanwu"]
    answer = browser.here.post("/logout", data={"csrf": browser.csrf()}, follow_redirects=False)
    there = urlsplit(answer.headers["location"])
    assert there.path == "/session/end"
    assert parse_qs(there.query)["post_logout_redirect_uri"] == ["http://testserver/login"]
    assert "xuanwu" not in browser.here.cookies
    assert browser.there.get(answer.headers["location"]).status_code == 200
    browser.here.cookies.set("xuanwu", cookie)
    assert browser.me().status_code == 401
