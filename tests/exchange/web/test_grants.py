"""A part of a table, and notices, over HTTP: asked for, granted, read, told."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq

from exchange.notices import gather
from pipelines.publishing.granting import refresh, taking_away
from tests.exchange.web.conftest import Exchange
from tests.exchange.web.test_tables import problem
from tests.pipelines.publishing.making import ID, people

ASKED = {
    "dataset": ID,
    "basis": "职责",
    "scenario": "核验",
    "method": "api",
    "until": "2027-01-01T00:00:00+08:00",
}


def approved(exchange: Exchange, **scope: object) -> int:
    number = int(exchange.post("/api/v1/requests", "asker", ASKED | scope).json()["number"])
    step(exchange, number, "head", "approve", {})
    return number


def granted(exchange: Exchange, **scope: object) -> int:
    return answered(exchange, approved(exchange, **scope))


def answered(exchange: Exchange, number: int) -> int:
    step(exchange, number, "clerk", "propose", {"consent": True, "reason": "可"})
    step(exchange, number, "chief", "confirm", {})
    return number


def step(exchange: Exchange, number: int, who: str, name: str, said: dict[str, object]) -> None:
    assert exchange.post(f"/api/v1/requests/{number}/{name}", who, said).status_code == 200


def made(exchange: Exchange) -> None:
    """As the way makes it, of what the city of these tests has curated."""
    from pipelines.publish import publish
    from pipelines.publishing.granting import with_grants

    merged = exchange.city.curate(3, people(60))
    ctx = with_grants(exchange.city.ctx, ID)
    entry = ctx.catalogue.entry(ID)
    for policy in entry.share.policies:
        publish(ctx, entry, merged, "share", policy)


def test_a_request_for_some_columns_gives_those_and_its_own_tokens(exchange: Exchange) -> None:
    number = granted(exchange, columns=["fee", "id_no"])
    own = f"default__grant_{number}"
    told = exchange.get(f"/api/v1/requests/{number}").json()
    assert (told["columns"], told["table"]) == (["id_no", "fee"], own)
    waiting = problem(exchange.rows(policy=own), 404)  # granted, and not made yet
    assert "grant refresh" in waiting["next_step"] and "provider" not in waiting["next_step"]
    made(exchange)
    body = exchange.rows(limit=1000).json()
    assert body["rows"] == exchange.rows(policy=own, limit=1000).json()["rows"]
    assert len(body["rows"]) == 60
    assert set(body["rows"][0]) == {"id_no", "fee"}
    whole = {
        row["id_no"]
        for row in exchange.city.ctx.tables.scan(("share", "health__visit__default")).read_all().to_pylist()
    }
    assert whole.isdisjoint(row["id_no"] for row in body["rows"])
    problem(exchange.rows(columns="name"), 422)
    for who in ("other", "clerk", "auditor"):
        problem(exchange.rows(who, policy=own), 403)
    _is_listed(exchange, own)
    _is_at_the_other_doors(exchange, own)


def _is_at_the_other_doors(exchange: Exchange, own: str) -> None:
    """Delta Sharing and Iceberg REST give the grant's own table, by its name, and to nobody else."""
    tables = exchange.get("/delta-sharing/shares/health/all-tables").json()["items"]
    assert [each["name"] for each in tables] == [own]
    path = f"/delta-sharing/shares/health/schemas/visit/tables/{own}/metadata"
    assert '"name":"fee"' in exchange.get(path).text.replace("\\", "").replace(" ", "")
    assert exchange.get(path, "other").status_code == 403
    table = f"/iceberg/v1/namespaces/health/tables/visit__{own}"
    fields = exchange.get(table).json()["metadata"]["schemas"][0]["fields"]
    assert [each["name"] for each in fields] == ["id_no", "fee"]
    assert exchange.get(table, "other").status_code == 403


def _is_listed(exchange: Exchange, own: str) -> None:
    listed = {each["policy"]: each for each in exchange.get("/api/v1/tables").json()}
    assert {name: each["readable"] for name, each in listed.items()} == {
        "default": False,
        "statistics": False,
        own: True,
    }
    assert [field["name"] for field in listed[own]["fields"]] == ["id_no", "fee"]
    assert own not in {each["policy"] for each in exchange.get("/api/v1/tables", "other").json()}
    assert exchange.get(f"/api/v1/tables/{ID}/default").json()["policy"] == own
    problem(exchange.get(f"/api/v1/tables/{ID}/{own}", "other"), 403)


def test_every_door_gives_a_grants_own_table_and_no_more(exchange: Exchange) -> None:
    own = f"default__grant_{granted(exchange, columns=['fee', 'id_no'])}"
    made(exchange)
    tables = "/iceberg/v1/namespaces/health/tables"
    listed = exchange.get(tables).json()["identifiers"]
    assert listed == [{"namespace": ["health"], "name": f"visit__{own}"}]
    for policy in (own, "default"):
        metadata = exchange.get(f"{tables}/visit__{policy}").json()["metadata"]
        assert [field["name"] for field in metadata["schemas"][-1]["fields"]] == ["id_no", "fee"]
        at = f"/delta-sharing/shares/health/schemas/visit/tables/{policy}/query"
        *_, file = exchange.post(at, "asker", {}).text.splitlines()
        body = exchange.client.get(json.loads(file)["file"]["url"]).content
        assert pq.read_table(io.BytesIO(body)).column_names == ["id_no", "fee"]
        for who in ("other", "clerk", "auditor"):
            assert exchange.get(f"{tables}/visit__{policy}", who).status_code == 403
            assert exchange.post(at, who, {}).status_code == 403


def test_a_certificate_is_for_who_may_read_the_table(exchange: Exchange) -> None:
    path = f"/api/v1/tables/{ID}/default/certificate"
    problem(exchange.get(path), 403)
    granted(exchange)
    certificate = exchange.get(path).json()["certificate"]
    assert (certificate["rows"], certificate["snapshot"]) == (200, exchange.published.snapshot)
    key = exchange.get(f"/api/v1/keys/{certificate['key']}", None)
    assert key.text.startswith("-----BEGIN PUBLIC KEY-----")
    for wrong in ("0" * 16, "../../signing", "%2e%2e", "0" * 15):
        assert exchange.get(f"/api/v1/keys/{wrong}", None).status_code in (404, 422)
    problem(exchange.get(f"{path}?snapshot=1"), 404)
    problem(exchange.get(f"{path}?snapshot=../1"), 422)


def test_a_scope_that_is_not_given_is_refused(exchange: Exchange) -> None:
    for scope in (
        {"columns": ["secret"]},
        {"rows": "own"},
        {"rows": "none"},
        {"columns": "fee"},
        {"grant": 1},
    ):
        problem(exchange.post("/api/v1/requests", "asker", ASKED | scope), 422)


def test_the_inbox(exchange: Exchange) -> None:
    number = approved(exchange)
    gather(exchange.desk)
    answered(exchange, number)
    gather(exchange.desk)
    (mine,) = exchange.get("/api/v1/notices").json()
    assert (mine["kind"], mine["state"], mine["read"]) == ("outcome", "granted", None)
    assert mine["subject"].startswith("共享申请1：结果：已授权 Share request 1:")
    problem(exchange.post(f"/api/v1/notices/{mine['number']}/read", "other", {}), 404)
    assert exchange.post(f"/api/v1/notices/{mine['number']}/read", "head", {}).status_code == 204
    assert exchange.get("/api/v1/notices?unread=true").json() == []
    assert [each["kind"] for each in exchange.get("/api/v1/notices", "clerk").json()] == ["turn"]
    problem(exchange.get("/api/v1/notices", "auditor"), 403)
    problem(exchange.get("/api/v1/notices", None), 401)


def test_where_the_lake_does_not_answer_a_grant_ends_all_the_same(exchange: Exchange, caplog: object) -> None:
    from dataclasses import replace

    from exchange.requests import take
    from schemas.errors import LakeError
    from tests.exchange.web.conftest import PEOPLE

    number = granted(exchange, columns=["fee"])

    class Away:
        def identifiers(self, _: str) -> None:
            raise LakeError("the store does not answer")

    ctx = replace(exchange.city.ctx)
    vars(ctx)["tables"] = Away()  # as if it had been opened
    desk = replace(exchange.desk, ended=taking_away(ctx))
    assert take(desk, PEOPLE["chief"], number, "revoke", {"reason": "用途不符"}).state == "ended"
    problem(exchange.rows(), 403)
    assert "is not taken away yet" in caplog.text  # type: ignore[attr-defined]
    assert list(refresh(exchange.city.ctx)) == []
