"""Login by password, personal tokens, what other sites try, and what the log says of it."""

from __future__ import annotations

import re
from datetime import timedelta

from fastapi.testclient import TestClient

from exchange.accounts import close_account, make_token, revoke_token, tokens
from exchange.web import pages
from exchange.web.cookies import LASTS
from exchange.web.pages import TRIES
from exchange.web.tokens import MOST_LIVE
from tests.exchange.clock import Clock
from tests.exchange.provider import Provider
from tests.exchange.web.login.conftest import PASSWORD, Browser, reasons
from tests.exchange.web.test_tables import problem

# ── by password ───────────────────────────────────────────────────────────────────────────────────────────


def test_by_password(wang: Browser) -> None:
    assert "/login/start" not in wang.here.get("/login").text
    assert wang.by_password("wang", "wrong").status_code == 401
    assert wang.by_password("nobody").status_code == 401
    assert wang.by_password("wang").headers["location"] == "/workspace"
    assert wang.me().json()["name"] == "wang"
    answer = wang.here.post("/logout", data={"csrf": wang.csrf()}, follow_redirects=False)
    assert answer.headers["location"] == "/login"
    assert wang.me().status_code == 401
    assert reasons(wang.exchange) == {"password": 2, "missing": 1}
    assert PASSWORD not in repr(wang.exchange.log("login"))


def test_passwords_cannot_be_tried_for_ever(wang: Browser) -> None:
    csrf = wang.csrf("/login")
    form = {"name": "wang", "password": "wrong", "csrf": csrf}
    codes = []
    for _ in range(TRIES + 1):
        form["csrf"] = wang.csrf("/login")
        codes.append(wang.here.post("/login", data=form).status_code)
    assert codes == [401] * TRIES + [429]


def test_a_login_ends(wang: Browser, clock: Clock) -> None:
    state = wang.exchange.desk.state
    wang.by_password("wang")
    clock.now += LASTS
    assert wang.me().status_code == 401
    wang.by_password("wang")
    first = wang.here.cookies["xuanwu"]
    wang.by_password("wang")
    assert wang.here.cookies["xuanwu"] != first
    assert sorted(each.revoked is not None for each in tokens(state, "wang")) == [False, False, True]
    clock.wait(days=8)
    wang.by_password("wang")
    assert len(tokens(state, "wang")) == 1  # what ended a week ago is not kept
    close_account(state, "wang", clock())
    assert wang.me().status_code == 401


def test_a_cookie_is_no_token_and_a_token_no_cookie(wang: Browser) -> None:
    wang.by_password("wang")
    cookie = wang.here.cookies["xuanwu"]
    with TestClient(wang.here.app) as client:
        problem(client.get("/api/v1/me", headers={"Authorization": f"Bearer {cookie}"}), 401)
        client.cookies.set("xuanwu", wang.exchange.tokens["asker"])
        assert client.get("/api/v1/me").status_code == 401


# ── what other sites try ──────────────────────────────────────────────────────────────────────────────────


def test_forms_of_other_sites_change_nothing(wang: Browser) -> None:
    answer = wang.here.post("/login", data={"name": "wang", "password": PASSWORD})
    assert answer.status_code == 403 and pages.STALE in answer.text
    wang.by_password("wang")
    stale = "0" * 64
    for path in ("/logout", "/account/tokens", "/account/tokens/0123456789abcdef/end"):
        for csrf in ({}, {"csrf": ""}, {"csrf": stale}, {"csrf": "🚪"}):
            said = {"note": "x", "days": "1", "scopes": ["read"], **csrf}
            answer = wang.here.post(path, data=said)
            assert answer.status_code == 403 and pages.STALE in answer.text
            assert answer.headers["content-type"].startswith("text/html")
            assert f'name="csrf" value="{wang.csrf()}"' in answer.text, "the form again, for this login"
    assert tokens(wang.exchange.desk.state, "wang")[-1].kind == "login"
    said = {"days": 1}
    problem(wang.here.post("/api/v1/tokens", json=said), 403)
    problem(wang.here.post("/api/v1/requests", json={}, headers={"X-CSRF-Token": stale}), 403)
    right = {"X-CSRF-Token": wang.csrf()}
    assert wang.here.post("/api/v1/tokens", json=said, headers=right).status_code == 201


def test_a_form_of_a_login_that_has_ended_leads_to_the_login(wang: Browser, clock: Clock) -> None:
    wang.by_password("wang")
    said = {"csrf": wang.csrf(), "note": "x", "days": "1", "scopes": ["read"]}
    clock.now += LASTS
    for path in ("/account/tokens", "/account/tokens/0123456789abcdef/end"):
        answer = wang.here.post(path, data=said)
        assert answer.status_code == 401 and pages.ENDED in answer.text
        assert 'action="/login"' in answer.text
    assert wang.here.post("/logout", data=said, follow_redirects=False).headers["location"] == "/login"
    assert [each.kind for each in tokens(wang.exchange.desk.state, "wang")] == ["login"]


def test_a_token_that_is_not_there_is_told_on_the_page(wang: Browser) -> None:
    wang.by_password("wang")
    answer = wang.here.post("/account/tokens/0123456789abcdef/end", data={"csrf": wang.csrf()})
    assert answer.status_code == 404 and "没有这个令牌" in answer.text and 'name="csrf"' in answer.text


def test_pages_hold_no_script_and_are_framed_by_nobody(browser: Browser) -> None:
    browser.log_in()
    for page in ("/login", "/account"):
        answer = browser.here.get(page)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text and " src=" not in answer.text


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_person_makes_and_ends_a_token(browser: Browser) -> None:
    browser.log_in()
    csrf = browser.csrf()
    said = {"csrf": csrf, "note": "<b>笔记本</b>", "days": "7", "scopes": ["read"]}
    page = browser.here.post("/account/tokens", data=said)
    text = re.search(r"xw_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", page.text)
    assert text and "<b>" not in page.text
    browser.exchange.tokens["new"] = text[0]
    assert browser.exchange.get("/api/v1/me", "new").json()["scopes"] == ["read"]
    assert text[0] not in browser.here.get("/account").text
    ident = text[0].split("_")[1]
    answer = browser.here.post(f"/account/tokens/{ident}/end", data={"csrf": csrf}, follow_redirects=False)
    assert answer.status_code == 303
    problem(browser.exchange.get("/api/v1/me", "new"), 401)
    assert [each["phase"] for each in browser.exchange.log("token")] == ["made", "revoked"]
    for wrong in ({"days": "31"}, {"days": "x"}, {"days": "0"}, {"scopes": []}, {"scopes": ["write"]}):
        assert browser.here.post("/account/tokens", data=said | wrong).status_code == 422
    assert len(tokens(browser.exchange.desk.state, "oidc:asker-sub")) == 2


def test_one_has_so_many_tokens_and_no_more(wang: Browser, clock: Clock) -> None:
    state, day = wang.exchange.desk.state, timedelta(days=1)
    made = [make_token(state, "wang", "", ["read"], now=clock(), lasts=day)[1] for _ in range(MOST_LIVE)]
    wang.by_password("wang")
    said = {"csrf": wang.csrf(), "note": "", "days": "1", "scopes": ["read"]}
    assert wang.here.post("/account/tokens", data=said).status_code == 403
    revoke_token(state, made[0].id, clock())
    assert "xw_" in wang.here.post("/account/tokens", data=said).text


def test_a_token_makes_no_token(browser: Browser, provider: Provider) -> None:
    headers = {"X-CSRF-Token": (browser.log_in(), browser.csrf())[1]}
    made = browser.here.post("/api/v1/tokens", json={"days": 30}, headers=headers).json()
    with TestClient(browser.here.app) as client:
        for token in (made["token"], provider.token(), provider.forge()):
            own = {"Authorization": f"Bearer {token}"}
            problem(client.post("/api/v1/tokens", json={"days": 1}, headers=own), 403)
        assert client.get("/api/v1/me", headers=own).json()["name"] == "oidc:asker-sub"
        listed = client.get("/api/v1/tokens", headers=own).json()
        assert [each["id"] for each in listed] == [made["id"]] and "token" not in listed[0]
        problem(client.delete(f"/api/v1/tokens/{made['id']}", headers=_bearer(browser, "asker")), 404)
        assert client.delete(f"/api/v1/tokens/{made['id']}", headers=own).status_code == 204
        own = {"Authorization": f"Bearer {made['token']}"}
        problem(client.get("/api/v1/me", headers=own), 401)


def _bearer(browser: Browser, who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {browser.exchange.tokens[who]}"}


def test_the_log_says_who_was_refused(browser: Browser, clock: Clock) -> None:
    state = browser.exchange.desk.state
    text, kept = make_token(state, "asker", "", ["read"], now=clock(), lasts=timedelta(days=1))
    revoke_token(state, kept.id, clock())
    for header in (f"Bearer {text}", f"Bearer {text[:-1]}x", "Bearer 秘密".encode()):
        problem(browser.here.get("/api/v1/me", headers={"Authorization": header}), 401)
    browser.exchange.house.refusals.flush(all_of_it=True)
    told = browser.exchange.log("authenticate")
    assert [(each["reason"], each["names"]) for each in told] == [
        ("revoked", ["asker"]),
        ("unknown", []),
        ("unknown", []),
    ]
    assert text not in repr(told)
