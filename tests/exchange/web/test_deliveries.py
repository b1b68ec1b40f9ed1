"""Deliveries over HTTP: declared with a request and shown to its provider, looked at, stopped; never a secret among them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from exchange import receipts
from exchange.receipts import Counts, write
from exchange.subscriptions import of_request
from pipelines.cli import app
from tests.exchange.web.conftest import Exchange
from tests.exchange.web.test_app import ASKED


def test_the_provider_sees_what_it_consents_to(exchange: Exchange) -> None:
    delivery = {"place": "inbox.residents", "connection": "store", "mode": "swap"}
    made = exchange.post("/api/v1/requests", "asker", ASKED | {"method": "batch", "delivery": delivery})
    assert made.status_code == 201
    number = made.json()["number"]
    seen = exchange.get(f"/api/v1/requests/{number}", "clerk").json()["delivery"]
    assert seen == {"number": 1, "format": "parquet", "keep": 3} | delivery
    plain = exchange.post("/api/v1/requests", "asker", ASKED)
    assert plain.json()["delivery"] is None


def test_a_delivery_that_is_malformed_makes_no_request(exchange: Exchange) -> None:
    for delivery in (
        {"place": "a;drop"},
        {"place": "inbox", "connection": "../x"},
        {"place": "inbox", "password": "x"},
        {"place": "inbox", "mode": "append"},
        {"place": "x" * 201},
    ):
        answer = exchange.post("/api/v1/requests", "asker", ASKED | {"method": "batch", "delivery": delivery})
        assert answer.status_code == 422
    assert exchange.get("/api/v1/requests", "asker").json() == []
    assert exchange.get("/api/v1/deliveries", "asker").json() == []


def test_receipts_are_shown_to_both_sides_and_nobody_else(exchange: Exchange) -> None:
    made = exchange.post(
        "/api/v1/requests", "asker", ASKED | {"method": "batch", "delivery": {"place": "residents"}}
    )
    found = of_request(exchange.desk, made.json()["number"])
    assert found is not None
    write(exchange.desk, found, 7, exchange.desk.clock(), Counts(rows=3, sent=3, found=3), digest="d" * 64)
    for who in ("asker", "clerk", "auditor", "bureau"):
        [listed] = exchange.get("/api/v1/deliveries", who).json()
        assert (listed["place"], listed["receipt"]["state"]) == ("residents", "done")
        shown = exchange.get(f"/api/v1/deliveries/{found.number}", who).json()
        assert [(each["snapshot"], each["found"]) for each in shown["receipts"]] == [("7", 3)]
    assert exchange.get("/api/v1/deliveries", "other").json() == []
    assert exchange.get(f"/api/v1/deliveries/{found.number}", "other").status_code == 404
    assert exchange.get("/api/v1/deliveries", None).status_code == 401


def test_receipts_go_on_where_the_list_is_cut(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP and by command, in text and as JSON."""
    asked = ASKED | {"method": "batch", "delivery": {"place": "residents"}}
    found = of_request(exchange.desk, exchange.post("/api/v1/requests", "asker", asked).json()["number"])
    assert found is not None
    for snapshot in (7, 8, 9):
        write(exchange.desk, found, snapshot, exchange.desk.clock(), Counts(rows=snapshot))
    monkeypatch.setattr(receipts, "MOST", 2)
    monkeypatch.setenv("XUANWU_HOME", str(exchange.city.settings.home))
    monkeypatch.setenv("XUANWU_CATALOGUE", str(exchange.city.settings.catalogue))
    for before, numbers in ((None, [3, 2]), (2, [1]), (1, [])):
        params = {} if before is None else {"before": before}
        shown = exchange.get(f"/api/v1/deliveries/{found.number}", "asker", params=params).json()
        assert [each["number"] for each in shown["receipts"]] == numbers
        assert shown["receipt"]["snapshot"] == "9", "the newest, wherever the list goes on"
        options = [] if before is None else ["--before", str(before)]
        show = ["deliveries", "show", str(found.number), *options]
        told = CliRunner().invoke(app, [*show, "--json"])
        assert [each["number"] for each in json.loads(told.stdout)] == numbers
        text = CliRunner().invoke(app, show, env={"COLUMNS": "200"})
        for where in (told.stderr, text.stdout):
            assert ("there may be more: --before 2" in where) == (before is None)
            assert ("there may be more" in where) == (before is None)


def test_the_recipient_stops_it_and_nobody_else(exchange: Exchange) -> None:
    exchange.post("/api/v1/requests", "asker", ASKED | {"method": "file", "delivery": {"place": "residents"}})

    def stop(who: str) -> int:
        headers = {"Authorization": f"Bearer {exchange.tokens[who]}"}
        return exchange.client.delete("/api/v1/deliveries/1", headers=headers).status_code

    assert [stop(who) for who in ("other", "clerk", "auditor")] == [404, 403, 403]
    assert stop("asker") == 200
    assert exchange.get("/api/v1/deliveries", "asker").json()[0]["stopped"]


def test_what_is_shared_by_request_is_declared_in_one(exchange: Exchange) -> None:
    answer = exchange.post("/api/v1/deliveries", "asker", {"dataset": ASKED["dataset"], "place": "residents"})
    assert answer.status_code == 422
    assert "shared by request" in answer.json()["detail"]
