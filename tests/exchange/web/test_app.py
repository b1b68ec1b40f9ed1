"""Tokens, bounds, requests over HTTP, health, metrics, and the OpenAPI description."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from exchange.accounts import make_token, revoke_token
from exchange.web.app import make_app
from exchange.web.bounds import LARGEST_BODY
from exchange.web.house import House
from tests.exchange.conftest import START, Clock
from tests.exchange.web.conftest import Exchange
from tests.exchange.web.test_tables import problem
from tests.pipelines.publishing.making import ID

ASKED = {
    "dataset": ID,
    "policy": "default",
    "basis": "职责",
    "scenario": "核验",
    "method": "api",
    "until": "2027-01-01T00:00:00+08:00",
}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        "Bearer xw_0000000000000000_" + "A" * 43,
        "Basic YTpi",
        "Bearer null",
        "bearer\tx",
    ],
)
def test_whoever_is_not_known_is_told_the_same(exchange: Exchange, header: str) -> None:
    answer = exchange.client.get("/api/v1/me", headers={"Authorization": header})
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == 'Bearer realm="xuanwu"'


def test_expired_and_revoked_tokens(exchange: Exchange, clock: Clock) -> None:
    assert exchange.get("/api/v1/me").json()["department"] == "education"
    revoke_token(exchange.desk.state, exchange.tokens["asker"].split("_")[1], clock())
    problem(exchange.get("/api/v1/me"), 401)
    clock.wait(days=366)
    problem(exchange.get("/api/v1/me", "head"), 401)


def test_scopes(exchange: Exchange) -> None:
    exchange.grant()
    state = exchange.desk.state
    for scope in ("read", "request"):
        exchange.tokens[scope] = make_token(state, "asker", "", [scope], now=START, lasts=timedelta(days=9))[
            0
        ]
    assert exchange.rows("read").status_code == 200
    problem(exchange.rows("request"), 403)
    assert exchange.get("/api/v1/requests", "request").status_code == 200
    problem(exchange.get("/api/v1/requests", "read"), 403)


def test_a_request_from_its_draft_to_the_grant(exchange: Exchange) -> None:
    made = exchange.post("/api/v1/requests", "asker", ASKED)
    assert made.status_code == 201, made.text
    number = made.json()["number"]
    path = f"/api/v1/requests/{number}"
    assert made.json()["possible"] == ["approve", "withdraw"]
    problem(exchange.post(f"{path}/approve", "asker", {}), 403)
    assert exchange.post(f"{path}/approve", "head", {}).json()["state"] == "submitted"
    assert exchange.get(path, "clerk").json()["clocks"] == [
        {"name": "reply", "of": "provider", "due": "2026-03-16", "done": None, "late": False}
    ]
    problem(exchange.post(f"{path}/propose", "clerk", {"consent": True}), 422)
    assert (
        exchange.post(f"{path}/propose", "clerk", {"consent": True, "reason": "可"}).json()["state"]
        == "proposed"
    )
    problem(exchange.rows(), 403)
    assert exchange.post(f"{path}/confirm", "chief", {}).json()["state"] == "granted"
    assert exchange.rows().status_code == 200
    problem(exchange.get(path, "other"), 404)
    assert exchange.get("/api/v1/requests", "other").json() == []
    assert [each["number"] for each in exchange.get("/api/v1/requests", "auditor").json()] == [number]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/requests", {**ASKED, "extra": 1}),
        ("/api/v1/requests", {**ASKED, "basis": ["x"]}),
        ("/api/v1/requests", {key: text for key, text in ASKED.items() if key != "until"}),
        ("/api/v1/requests", []),
        ("/api/v1/requests/1/explode", {}),
        ("/api/v1/requests/x/approve", {}),
        ("/api/v1/requests/1/approve", "text"),
    ],
)
def test_malformed_bodies(exchange: Exchange, path: str, body: object) -> None:
    said = problem(exchange.post(path, "asker", body), 422)
    assert said["detail"].startswith("malformed: ")


def test_a_body_beyond_the_bound_is_not_read(exchange: Exchange) -> None:
    big = {**ASKED, "basis": "x" * LARGEST_BODY}
    assert problem(exchange.post("/api/v1/requests", "asker", big), 413)["detail"] == "65536 bytes at most"

    def endless():  # type: ignore[no-untyped-def]
        while True:
            yield b"x" * 1000

    answer = exchange.client.post(
        "/api/v1/requests", content=endless(), headers={"Authorization": f"Bearer {exchange.tokens['asker']}"}
    )
    problem(answer, 411)


def test_a_callers_rate_is_bounded_and_others_go_on(exchange: Exchange) -> None:
    app = make_app(House(exchange.desk, exchange.city.ctx.tables, per_minute=3))
    with TestClient(app) as client:
        exchange.client = client
        left = [exchange.get("/api/v1/me").headers["ratelimit"].split(";")[1] for _ in range(3)]
        assert left == ["r=2", "r=1", "r=0"]
        answer = exchange.get("/api/v1/me")
        problem(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert exchange.get("/api/v1/me", "head").status_code == 200
        for _ in range(3):
            problem(client.get("/api/v1/me"), 401)
        problem(client.get("/api/v1/me"), 429)
    told = [(each["reason"], each["names"]) for each in exchange.log("authenticate")]
    assert told == [("rate", ["asker"]), ("missing", []), ("missing", []), ("rate", [])]


def test_health_and_metrics_need_nobody(exchange: Exchange) -> None:
    assert exchange.get("/health", None).json()["status"] == "ok"
    exchange.rows()
    metrics = exchange.get("/metrics", None).text
    assert (
        'xuanwu_exchange_answers_total{door="/api/v1/tables/{dataset}/{policy}/rows",status="403"} 1.0'
        in metrics
    )
    assert ID not in metrics


def test_nothing_is_loaded_from_another_host(exchange: Exchange) -> None:
    for path in ("/docs", "/redoc", "/"):
        problem(exchange.get(path, None), 404)
    described = exchange.get("/openapi.json", None).json()
    operations = [each for path in described["paths"].values() for each in path.values()]
    assert len(operations) >= 9
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in each["summary"]) for each in operations)


def test_a_token_for_reading_opens_no_request_objection_notice_or_delivery(exchange: Exchange) -> None:
    week = timedelta(days=7)
    exchange.tokens["reader"] = make_token(
        exchange.desk.state, "asker", "", ["read"], now=exchange.desk.clock(), lasts=week
    )[0]
    headers = {"Authorization": f"Bearer {exchange.tokens['reader']}"}
    doors = tuple(
        f"/api/v1/{name}" for name in ("requests", "objections", "applications", "notices", "deliveries")
    )
    found = [
        (method, path)
        for path, methods in exchange.get("/openapi.json").json()["paths"].items()
        for method in methods
        if path.startswith(doors) and "/releases" not in path
    ]
    assert len(found) == 18
    for method, path in found:
        place = path.format(number=1, step="withdraw")
        answer = exchange.client.request(method, place, headers=headers)
        assert answer.status_code == 403 and "not for requests" in answer.json()["detail"], (method, path)
