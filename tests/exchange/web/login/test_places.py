"""A login leads to the page that was asked for, and to nothing else, whoever asks and whatever they put in its place."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from exchange.web.attempts import HOME, LONGEST
from tests.exchange.provider import Provider
from tests.exchange.web.login.conftest import PASSWORD, Browser

PLACES = [
    "/account",
    "/tables",
    "/requests/new",
    "/requests/new?table=share/health.visit/default",
    "/objections/new?table=open%2Fhealth.visit%2Fopen",
    "/requests/12",
]
COOKIE = "xuanwu_attempt"
NOT_OURS = [
    "//evil.example",
    "//evil.example/requests/1",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/requests//evil.example",
    "/requests/..//evil.example",
    "/requests/../../evil",
    "/%2f%2fevil.example",
    "/requests/%2e%2e/login",
    "/%5cevil.example",
    "https://evil.example/requests/1",
    "https:evil.example",
    "javascript:alert(1)",
    "requests/1",
    "@evil.example",
    ".evil.example",
    " /requests/1",
    "/\t/evil.example",
    "/requests/1\r\nX-Evil: 1",
    "/requests/1\n",
    "/requests/1\0",
    "/requests/1#//evil.example",
    "/requests/1?x=\r\nSet-Cookie: a=b",
    "/requests/1?x=<script>",
    "/requests/１",
    "/api/v1/me",
    "/files/x",
    "/login",
    "/login/start",
    "/login/callback?code=x",
    "/logout",
    "/",
    "",
    f"/requests/new?table={'x' * LONGEST}",
]


def asked(browser: Browser, place: str) -> None:
    answer = browser.here.get(place, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def planted(browser: Browser, place: str, secret: str = "s" * 43) -> None:
    """An attempt in the browser that somebody else has written."""
    browser.here.cookies.delete(COOKIE)
    browser.here.cookies.set(COOKIE, f"{secret}.{place.encode().hex()}")


def held(browser: Browser) -> str:
    (found,) = {each.value for each in browser.here.cookies.jar if each.name == COOKIE}
    assert found is not None
    return found


# ── where it leads ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", PLACES)
def test_a_password_leads_to_the_page_that_was_asked_for(wang: Browser, place: str) -> None:
    asked(wang, place)
    assert wang.by_password("wang", "wrong").status_code == 401
    assert wang.by_password("wang").headers["location"] == place
    assert wang.by_password("wang").headers["location"] == HOME, "once"


@pytest.mark.parametrize("place", PLACES)
def test_the_provider_leads_to_the_page_that_was_asked_for(browser: Browser, place: str) -> None:
    asked(browser, place)
    browser.here.get("/login")
    assert browser.log_in().headers["location"] == place
    assert browser.log_in().headers["location"] == HOME, "once"


def test_a_login_that_failed_at_the_provider_leads_there_the_next_time(
    browser: Browser, provider: Provider
) -> None:
    asked(browser, "/requests/12")
    back = browser.consent(browser.begin(), "asker-sub")
    assert browser.here.get(back.replace("code=", "code=x")).status_code == 401
    provider.down()
    try:
        browser.exchange.house.issuer.provider._known = None  # type: ignore[union-attr]
        assert browser.here.get("/login/start").status_code == 503
    finally:
        provider.up()
        browser.exchange.house.issuer.provider._tried = None  # type: ignore[union-attr]
    assert browser.log_in().headers["location"] == "/requests/12"


def test_the_last_page_that_was_asked_for_counts(wang: Browser) -> None:
    asked(wang, "/requests/12")
    asked(wang, "/workspace")
    assert wang.by_password("wang").headers["location"] == HOME


def test_what_a_form_would_have_done_is_not_come_back_to(wang: Browser) -> None:
    for path in ("/requests/12/withdraw", "/requests", "/notices/1/read", "/account/tokens"):
        assert wang.here.post(path, data={"note": "x"}).status_code == 401
    assert wang.by_password("wang").headers["location"] == HOME


def test_what_was_asked_for_is_not_told_to_the_provider(browser: Browser) -> None:
    asked(browser, "/requests/12")
    url = browser.begin()
    assert "requests" not in url and b"/requests/12".hex() not in url
    assert set(parse_qs(urlsplit(url).query)) >= {"state", "nonce"}


# ── what others try ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", NOT_OURS)
def test_a_login_leads_to_no_place_but_a_page_of_ours(wang: Browser, place: str) -> None:
    planted(wang, place)
    assert wang.by_password("wang").headers["location"] == HOME
    planted(wang, place)
    form = wang.here.get("/login")
    assert "evil" not in form.text and "evil" not in repr(form.headers)


@pytest.mark.parametrize(
    "cookie", ["", ".", "x.y", f"s.{'00' * 9}", "s.ff", "s.2f2", "." * 99, f"s.{'2f' * 9000}"]
)
def test_what_is_no_attempt_leads_to_the_workspace(wang: Browser, cookie: str) -> None:
    wang.here.cookies.set(COOKIE, cookie)
    assert wang.by_password("wang").headers["location"] == HOME


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/requests/1?next=//evil.example",
        "/requests/new?table=" + "x" * 3000,
        "/requests/new?table=%0d%0aX-Evil:1",
        "/workspace?\\evil.example",
    ],
)
def test_odd_pages_that_are_asked_for_lead_to_no_other_host(wang: Browser, path: str) -> None:
    wang.here.get(path, follow_redirects=False)
    answer = wang.by_password("wang")
    to = urlsplit(answer.headers["location"])
    assert not to.scheme and not to.netloc and to.path in ("/requests/1", "/requests/new", HOME)
    assert "x-evil" not in answer.headers


def test_another_page_put_in_its_place_is_another_attempt(wang: Browser) -> None:
    """The form belongs to the cookie as a whole."""
    asked(wang, "/requests/12")
    csrf = wang.csrf("/login")
    planted(wang, "/account", held(wang).partition(".")[0])
    form = {"name": "wang", "password": PASSWORD, "csrf": csrf}
    assert wang.here.post("/login", data=form).status_code == 403
    assert wang.me().status_code == 401


def test_so_does_the_provider_s_answer(browser: Browser) -> None:
    asked(browser, "/requests/12")
    back = browser.consent(browser.begin(), "asker-sub")
    planted(browser, "/account", held(browser).partition(".")[0])
    assert browser.here.get(back).status_code == 401
    assert browser.me().status_code == 401


def test_an_address_of_the_login_plants_nothing(wang: Browser) -> None:
    for name in ("next", "to", "return", "redirect_uri", "place"):
        wang.here.get("/login", params={name: "/account"})
        form = {"name": "wang", "password": PASSWORD, "csrf": wang.csrf("/login"), name: "/account"}
        answer = wang.here.post("/login", params={name: "/account"}, data=form, follow_redirects=False)
        assert answer.headers["location"] == HOME


def test_the_page_is_kept_where_scripts_and_other_hosts_do_not_reach(wang: Browser) -> None:
    wang.exchange.house.url = "https://testserver"
    with TestClient(wang.here.app, base_url="https://testserver") as client:
        answer = client.get("/requests/12", follow_redirects=False)
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert answer.headers["cache-control"] == "no-store"
