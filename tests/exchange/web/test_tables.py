"""The data API: nothing without a grant, exactly the published rows with one, pages of a pinned snapshot, all logged."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from exchange.reading import Page
from exchange.requests import take
from exchange.web.formats import as_csv
from lake.signing import canonical
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import PEOPLE, Exchange
from tests.pipelines.publishing.making import ID, people


def problem(answer: object, status: int) -> dict:
    assert answer.status_code == status, answer.text  # type: ignore[attr-defined]
    assert answer.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    body = answer.json()  # type: ignore[attr-defined]
    assert body["title"]
    assert body["title_zh"]
    return body


def test_nothing_without_a_grant(exchange: Exchange) -> None:
    for who in ("asker", "other", "auditor", "bureau", "clerk"):
        problem(exchange.rows(who), 403)
    problem(exchange.rows(None), 401)
    refusals = exchange.log()
    assert {entry["phase"] for entry in refusals} == {"refused"}
    assert [entry["by"] for entry in refusals] == ["asker", "other", "auditor", "bureau", "clerk"]


def test_a_grant_opens_one_policy_to_one_department(exchange: Exchange) -> None:
    exchange.grant()
    assert exchange.rows().status_code == 200
    assert exchange.rows("head").status_code == 200
    problem(exchange.rows(policy="statistics"), 403)
    problem(exchange.rows("other"), 403)


def test_the_rows_are_the_published_ones(exchange: Exchange) -> None:
    exchange.grant()
    body = exchange.rows(limit=1000).json()
    expected = [
        json.loads(json.dumps(row, default=lambda v: v.isoformat() if hasattr(v, "isoformat") else str(v)))
        for row in exchange.city.rows(exchange.published)
    ]
    assert body["rows"] == expected
    assert len(expected) == 200
    text = json.dumps(body, ensure_ascii=False)
    assert not any(str(row["id_no"]) in text or row["name"] in text for row in people(200))


def test_pages_of_a_pinned_snapshot_make_the_whole_while_new_ones_are_published(exchange: Exchange) -> None:
    exchange.grant()
    first = exchange.rows(limit=70)
    snapshot, body = first.headers["x-snapshot"], first.json()
    whole = exchange.rows(limit=1000).json()["rows"]
    exchange.city.publish(exchange.city.curate(2, people(150, day=2)))
    got = body["rows"]
    while body["next"] is not None:
        body = exchange.rows(limit=70, after=body["next"], snapshot=snapshot).json()
        got += body["rows"]
    assert got == whole
    assert len(exchange.rows(limit=1000).json()["rows"]) == 150


def test_conditions_and_columns(exchange: Exchange) -> None:
    exchange.grant()
    whole = exchange.rows(limit=1000).json()["rows"]
    body = exchange.rows(
        columns="visit_no,balance", where=["balance:ge:-50", "district:eq:320102"], limit=1000
    ).json()
    expected = [row for row in whole if row["balance"] >= -50 and row["district"] == "320102"]
    assert body["rows"] == [{"visit_no": row["visit_no"], "balance": row["balance"]} for row in expected]
    assert 0 < len(expected) < 50
    pages, after = [], 0
    while after is not None:
        page = exchange.rows(where="district:ne:320102", limit=9, after=after).json()
        pages += page["rows"]
        after = page["next"]
    assert pages == [row for row in whole if row["district"] not in ("320102", None)]


@pytest.mark.parametrize(
    "params",
    [
        {"columns": "secret"},
        {"columns": "visit_no,visit_no"},
        {"columns": "_batch"},
        {"where": "id:eq:1"},
        {"where": "balance:like:1"},
        {"where": "balance:eq:one"},
        {"where": "balance"},
        {"where": ["balance:eq:1"] * 21},
        {"limit": 0},
        {"limit": 100001},
        {"after": -1},
        {"snapshot": "x"},
        {"format": "exe"},
        {"sql": "DROP TABLE x"},
        {"columns": "visit_no;DROP TABLE x"},
        {"where": "visit_no:eq:' OR 1=1 --", "columns": "*"},
    ],
)
def test_what_does_not_fit_is_refused_plainly(exchange: Exchange, params: dict) -> None:
    exchange.grant()
    problem(exchange.rows(**params), 422)


def test_there_is_no_such_table_for_anybody(exchange: Exchange) -> None:
    said = {
        problem(exchange.get(f"/api/v1/tables/{dataset}/{policy}/rows"), 404)["detail"]
        for dataset, policy in (
            (ID, "open"),
            ("health.nothing", "default"),
            ("..", "default"),
            ("health.visit", "*"),
        )
    }
    assert said == {"no such table is shared"} or said == {"no such table is shared", ""}
    problem(exchange.rows(snapshot=1), 403)
    exchange.grant()
    problem(exchange.rows(snapshot=1), 404)


def test_every_format_holds_the_same_rows(exchange: Exchange) -> None:
    exchange.grant()
    whole = exchange.rows(limit=1000).json()["rows"]
    names = [row["visit_no"] for row in whole]
    lines = exchange.rows(format="jsonl", limit=1000).text.splitlines()
    assert [json.loads(line) for line in lines] == whole
    rows = list(csv.DictReader(io.StringIO(exchange.rows(format="csv", limit=1000).text)))
    assert [(row["visit_no"], row["memo"].removeprefix("'")) for row in rows] == [
        (row["visit_no"], row["memo"]) for row in whole
    ]
    arrow = ipc.open_stream(exchange.rows(format="arrow", limit=1000).content).read_all()
    parquet = pq.read_table(pa.BufferReader(exchange.rows(format="parquet", limit=1000).content))
    assert arrow.equals(parquet)
    assert arrow.column("visit_no").to_pylist() == names
    assert str(arrow.schema.field("fee").type).startswith("decimal")


def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers(exchange: Exchange) -> None:
    exchange.grant()
    formulas = ("=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-1+1", "\t=1", "＝1", "1=1")
    rows = [{**row, "memo": memo} for row, memo in zip(people(7), formulas, strict=True)]
    exchange.city.publish(exchange.city.curate(2, rows))
    text = exchange.rows(format="csv").text
    found = {row["visit_no"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert {row["visit_no"]: found[row["visit_no"]]["memo"] for row in rows} == {
        row["visit_no"]: row["memo"] if row["memo"] == "1=1" else "'" + row["memo"] for row in rows
    }
    assert {row["balance"] for row in found.values()} == {str(row["balance"]) for row in rows}
    assert {row["memo"] for row in exchange.rows().json()["rows"]} == set(formulas)


def test_binary_is_base64_in_a_csv() -> None:
    rows = pa.record_batch({"scan": pa.array([b"=1+1", b"\xff", None], pa.binary())})
    text = b"".join(as_csv(Page(1, rows.schema, iter([rows])))).decode()
    assert list(csv.DictReader(io.StringIO(text))) == [{"scan": "PTErMQ=="}, {"scan": "/w=="}]


def test_the_same_question_has_the_same_etag(exchange: Exchange) -> None:
    exchange.grant()
    tag = exchange.rows(limit=5).headers["etag"]
    assert exchange.rows(limit=6).headers["etag"] != tag
    again = exchange.get(
        f"/api/v1/tables/{ID}/default/rows", params={"limit": 5}, headers={"If-None-Match": tag}
    )
    assert (again.status_code, again.content) == (304, b"")
    without = exchange.get(
        f"/api/v1/tables/{ID}/default/rows", "other", params={"limit": 5}, headers={"If-None-Match": tag}
    )
    problem(without, 403)


def test_who_read_what_for_which_purpose(exchange: Exchange) -> None:
    number = exchange.grant()
    exchange.rows(columns="visit_no", where="district:eq:320102", limit=10)
    attempt, outcome = exchange.log()
    assert (attempt["phase"], outcome["phase"]) == ("attempt", "outcome")
    for entry in (attempt, outcome):
        assert (entry["by"], entry["department"], entry["dataset"]) == ("asker", "education", ID)
        assert (entry["purpose"], entry["columns"]) == (f"request {number}", ["visit_no"])
        assert entry["snapshot"] == exchange.rows(limit=1).headers["x-snapshot"]
        assert "320102" not in json.dumps(entry)
    assert (outcome["rows"], outcome["result"]) == (10, "done")


def test_the_digest_of_a_filter_is_keyed_and_tells_equal_filters(exchange: Exchange) -> None:
    exchange.grant()
    for where in ("district:eq:320102", "district:eq:320104", "district:eq:320102"):
        exchange.rows(where=where, limit=10)
    one, _, other, _, again, _ = (entry["filter"] for entry in exchange.log())
    assert one == again != other
    assert one != hashlib.sha256(canonical([["district", "eq", "320102"]])).hexdigest()


def test_of_columns_that_are_not_there_only_their_number_is_logged(exchange: Exchange) -> None:
    exchange.grant()
    problem(exchange.rows(columns="13987651234,visit_no,id of 张三"), 422)
    (refusal,) = exchange.log()
    assert (refusal["columns"], refusal["unknown_columns"]) == (["visit_no"], 2)
    assert not [text for text in ("13987651234", "张三") if text in json.dumps(refusal, ensure_ascii=False)]


def test_where_the_log_cannot_be_written_nothing_is_read(exchange: Exchange) -> None:
    exchange.grant()
    from lake import store

    for uri in store.list_files(exchange.desk.log.folder):
        if uri.endswith(".jsonl"):
            store.write_atomic(uri, b"{}\n")
    answer = exchange.rows()
    assert problem(answer, 500)
    assert "visit_no" not in answer.text


@pytest.mark.parametrize("step", ["revoke", "suspend"])
def test_an_end_holds_at_once(exchange: Exchange, step: str) -> None:
    number = exchange.grant()
    assert exchange.rows().status_code == 200
    who = "chief" if step == "revoke" else "bureau"
    take(exchange.desk, PEOPLE[who], number, step, {"reason": "用途不符"})  # type: ignore[arg-type]
    problem(exchange.rows(), 403)


def test_a_time_limit_holds_to_the_second(exchange: Exchange, clock: Clock) -> None:
    exchange.grant()
    clock.now = clock.now.replace(year=2026, month=12, day=31, hour=15, minute=59, second=59)
    assert exchange.rows().status_code == 200
    clock.wait(seconds=1)
    problem(exchange.rows(), 403)


def test_the_list_says_what_is_shared_and_what_may_be_read(exchange: Exchange) -> None:
    before = {(each["dataset"], each["policy"]): each for each in exchange.get("/api/v1/tables").json()}
    assert [each["readable"] for each in before.values()] == [False, False]
    assert before[ID, "default"]["conditions"]["zh"] == "限履职需要"
    number = exchange.grant()
    one = exchange.get(f"/api/v1/tables/{ID}/default").json()
    assert (one["readable"], one["grant"]) == (True, number)
    assert {field["name"]: field["mask"] for field in one["fields"]}["id_no"] == "hmac"
    problem(exchange.get("/api/v1/tables", None), 401)


@pytest.mark.parametrize("snapshot", ["9" * 300, "0", "-1", str(2**63)])
def test_a_certificate_of_no_snapshot(exchange: Exchange, snapshot: str) -> None:
    exchange.grant()
    path = f"/api/v1/tables/{ID}/default/certificate"
    problem(exchange.get(path, params={"snapshot": snapshot}), 422)
    problem(exchange.get(path, params={"snapshot": "1"}), 404)
    assert exchange.get(path).status_code == 200


def test_what_is_shared_without_conditions_needs_no_grant(exchange: Exchange) -> None:
    exchange.city.change(share={"type": "unconditional"})
    object.__setattr__(exchange.desk, "catalogue", exchange.city.ctx.catalogue)
    assert exchange.rows("other").status_code == 200
    problem(exchange.rows("auditor"), 403)
    assert exchange.log()[0]["purpose"] == "unconditional"


def test_each_table_is_described_with_examples_that_are_answered(exchange: Exchange) -> None:
    """The description fits the rows as they come, and holds no value of theirs."""
    exchange.grant()
    path = f"/api/v1/tables/{ID}/default"
    described = exchange.get(f"{path}/openapi.json").json()
    (call,) = (each["get"] for each in described["paths"].values())
    asked = {each["name"]: each["example"] for each in call["parameters"] if "example" in each}
    assert set(asked) == {"columns", "where", "limit", "after", "format"}
    answer = exchange.get(next(iter(described["paths"])), params=asked | {"where": asked["where"][0]})
    assert answer.status_code == 200, answer.text
    page = exchange.rows(limit=200).json()
    row = described["components"]["schemas"]["Row"]
    assert list(row["properties"]) == list(page["rows"][0])
    for each in page["rows"]:
        jsonschema.validate(each, row)
    jsonschema.validate(call["responses"]["200"]["content"]["application/json"]["example"]["rows"][0], row)
    assert all("\u4e00" <= each["description"][0] <= "\u9fff" for each in row["properties"].values())
    text = json.dumps(described, ensure_ascii=False)
    assert not [value for each in page["rows"] for value in each.values() if f'"{value}"' in text]
    assert exchange.get(f"{path}/openapi.json", "other").status_code == 200
    problem(exchange.get(f"{path}/openapi.json", None), 401)
    problem(exchange.get(f"/api/v1/tables/{ID}/default__grant_99/openapi.json", "other"), 403)
