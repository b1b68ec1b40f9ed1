"""The Iceberg REST catalogue: what it says it offers, and what is refused in which form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from httpx import Response

from lake.verify import Copy, verify
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import Exchange

AT = "/iceberg/v1"
TABLE = f"{AT}/namespaces/health/tables/visit__default"


def refused(answer: Response, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == (status, kind)
    assert error["message"]


def test_what_is_offered_answers_and_what_is_not_is_406(exchange: Exchange) -> None:
    exchange.grant()
    config = exchange.get(f"{AT}/config", params={"warehouse": "x"}).json()
    put = {"{prefix}/": "", "{namespace}": "health", "{table}": "visit__default"}
    for each in config["endpoints"]:
        method, path = each.split()
        for word, value in put.items():
            path = path.replace(word, value)
        headers = {"Authorization": f"Bearer {exchange.tokens['asker']}"}
        body = {} if method == "POST" else None
        answer = exchange.client.request(method, f"/iceberg{path}", json=body, headers=headers)
        assert answer.status_code in (200, 204), each
    for method, path in (
        ("POST", f"{AT}/namespaces"),
        ("DELETE", TABLE),
        ("POST", TABLE),
        ("POST", f"{AT}/namespaces/health/tables"),
        ("POST", f"{AT}/tables/rename"),
        ("POST", f"{AT}/transactions/commit"),
        ("GET", f"{AT}/namespaces/health/views"),
    ):
        answer = exchange.client.request(method, path, json={}, headers=headers)
        refused(answer, 406, "UnsupportedOperationException")
        refused(exchange.client.request(method, path, json={}), 401, "NotAuthorizedException")


def test_what_is_made_for_readers_is_told_and_nothing_else_may_lie_there(exchange: Exchange) -> None:
    lake = exchange.city.ctx.settings.lake_root
    before = list(verify(Copy(lake)))  # these batches went no whole way
    exchange.grant()
    assert exchange.get(TABLE).status_code == 200
    copy = Copy(lake)
    assert list(verify(copy)) == before
    assert any("files that the exchange made for readers" in note for note in copy.notes)
    more = next(Path(lake).glob("share/**/shown/*")).with_name("more.parquet")
    more.write_bytes(b"x")
    (found,) = (finding for finding in verify(Copy(lake)) if finding not in before)
    assert found.place == more.relative_to(lake).as_posix()


def test_nothing_without_a_grant(exchange: Exchange) -> None:
    for who in ("asker", "other", "auditor", "bureau", "clerk"):
        refused(exchange.get(TABLE, who), 403, "ForbiddenException")
        refused(exchange.get(f"{TABLE}/credentials", who), 403, "ForbiddenException")
        assert exchange.get(f"{AT}/namespaces", who).json()["namespaces"] == []
    refused(exchange.get(TABLE, None), 401, "NotAuthorizedException")
    assert [each["phase"] for each in exchange.log()] == ["refused"] * 10
    exchange.grant()
    refused(exchange.get(f"{AT}/namespaces/health/tables/visit__statistics"), 403, "ForbiddenException")
    for name in ("visit__open", "visit", "__", "visit__*", "nothing__default"):
        refused(exchange.get(f"{AT}/namespaces/health/tables/{name}"), 404, "NoSuchTableException")
    refused(exchange.get(TABLE, params={"snapshots": "some"}), 400, "BadRequestException")


def test_the_etag_holds_while_credentials_do(exchange: Exchange, clock: Clock) -> None:
    exchange.grant()
    first = exchange.get(TABLE)
    tag = {"If-None-Match": first.headers["etag"]}
    again = exchange.get(TABLE, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert exchange.get(TABLE, params={"snapshots": "refs"}, headers=tag).status_code == 200
    refused(exchange.get(TABLE, "other", headers=tag), 403, "ForbiddenException")
    clock.wait(minutes=30)
    later = exchange.get(TABLE, headers=tag)
    assert later.status_code == 200
    assert later.json()["config"]["s3.session-token"] != first.json()["config"]["s3.session-token"]
    assert later.json()["metadata"] == first.json()["metadata"]


def test_a_report_is_kept_without_its_values(exchange: Exchange) -> None:
    number = exchange.grant()
    headers = {"Authorization": f"Bearer {exchange.tokens['asker']}"}
    snapshot = exchange.get(TABLE).json()["metadata"]["current-snapshot-id"]
    report = {
        "report-type": "scan-report",
        "snapshot-id": snapshot,
        "filter": {"type": "eq", "term": "district", "value": "320102"},
        "projected-field-names": ["visit_no", "; DROP TABLE", 3],
        "metrics": {"result-data-files": {"unit": "count", "value": 2}},
    }
    assert exchange.client.post(f"{TABLE}/metrics", json=report, headers=headers).status_code == 204
    (kept,) = (each for each in exchange.log() if each["phase"] == "reported")
    assert (kept["snapshot"], kept["data_files"]) == (str(snapshot), 2)
    assert (kept["columns"], kept["purpose"]) == (["visit_no"], f"request {number}")
    assert "320102" not in json.dumps(kept)
    assert "DROP" not in json.dumps(kept)
    person = 320102199003070011
    for odd in (
        {"filter": "half a letter \ud800"},
        {"snapshot-id": "x", "metrics": 3, "projected-field-names": {}},
        {"filter": [[]], "projected-field-names": [["visit_no"], {"visit_no": 1}]},
        {"snapshot-id": person, "metrics": {"result-data-files": person}},
        {"snapshot-id": True, "metrics": {"result-data-files": {"value": -1}}},
    ):
        text = json.dumps(odd)
        sent = {**headers, "Content-Type": "application/json"}
        assert exchange.client.post(f"{TABLE}/metrics", content=text, headers=sent).status_code == 204
        kept = exchange.log()[-1]
        assert (kept["snapshot"], kept["data_files"], kept["columns"]) == ("", None, [])


@pytest.mark.parametrize("path", ["/xuanwu/", "/xuanwu/x", "/xuanwu?list-type=2", "/other/x"])
def test_s3_without_credentials(exchange: Exchange, path: str) -> None:
    answer = exchange.client.get(path, headers={"Authorization": f"Bearer {exchange.tokens['asker']}"})
    assert answer.status_code in (403, 404)
    assert b"share/" not in answer.content
