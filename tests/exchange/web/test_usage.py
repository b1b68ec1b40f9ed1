"""Who read what, and who looked at a person's record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from exchange.looks import Record, looks
from exchange.schema import LOOKS
from pipelines.console.looked import looked
from pipelines.erasure.subject import Subject
from tests.exchange.web.conftest import CONDITIONAL, Exchange
from tests.exchange.web.test_delta import query
from tests.exchange.web.test_grants import granted, made
from tests.pipelines.publishing.making import FIELDS, ID, entry_yaml, people

DIRECT = {**FIELDS, "id_no": {"element": "resident_id", "mask": FIELDS["id_no"]["mask"]}}


NONE = {"type": "none", "basis": {"zh": "个人信息"}}


@pytest.fixture
def telling(exchange: Exchange) -> Exchange:
    """The exchange, with the id number known as what tells one person from another."""
    know(exchange)
    exchange.grant()
    return exchange


def know(exchange: Exchange) -> None:
    written = json.loads(entry_yaml(DIRECT, CONDITIONAL, NONE)) | {"subject": "person"}
    catalogue = exchange.city.make({"health/visit.yaml": json.dumps(written)})
    object.__setattr__(exchange.desk, "catalogue", catalogue)
    exchange.city.ctx = replace(exchange.city.ctx, catalogue=catalogue)


def used(exchange: Exchange, who: str, **params: object) -> list[dict]:
    answer = exchange.get("/api/v1/usage", who, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_department_sees_its_data_and_its_own_reads_and_an_auditor_all(exchange: Exchange) -> None:
    number = exchange.grant()
    exchange.rows(limit=7)
    exchange.rows(limit=5, columns="visit_no")
    query(exchange)
    exchange.rows("other")
    of_asker = {
        "department": "education",
        "account": "asker",
        "dataset": ID,
        "policy": "default",
        "purpose": f"request {number}",
    }
    refusal = {**of_asker, "department": "transport", "account": "other", "purpose": ""}
    expected = [
        {**of_asker, "door": "delta", "reads": 1, "rows": 200, "refused": 0},
        {**of_asker, "door": "api", "reads": 2, "rows": 12, "refused": 0},
        {**refusal, "door": "api", "reads": 0, "rows": 0, "refused": 1},
    ]
    assert used(exchange, "auditor") == used(exchange, "clerk") == used(exchange, "bureau") == expected
    assert used(exchange, "asker") == expected[:2]
    assert used(exchange, "other") == expected[2:]
    exchange.rows(limit=1)
    assert used(exchange, "asker")[1]["reads"] == 3
    assert used(exchange, "auditor", since="2026-03-03") == []
    assert len(used(exchange, "auditor", since="2026-03-02", until="2026-03-02")) == 3
    assert exchange.get("/api/v1/usage", "asker", params={"since": "x"}).status_code == 422
    assert exchange.get("/api/v1/usage", None).status_code == 401


def test_who_looked_at_a_record_is_known_without_its_id(telling: Exchange) -> None:
    rows = telling.rows(limit=3).json()["rows"]
    mine = Record(ID, "default", "id_no", rows[1]["id_no"])
    (look,) = looks(telling.desk, [mine])
    assert (look.by, look.department, look.whole) == ("asker", "education", False)
    assert looks(telling.desk, [replace(mine, value="another")]) == []
    assert looks(telling.desk, [replace(mine, policy="statistics")]) == []
    with telling.desk.state.begin() as connection:
        kept = connection.execute(sa.select(LOOKS.c.digest)).scalars().all()
    assert len(kept) == 3
    assert not {row["id_no"] for row in rows} & set(kept)


def test_a_record_is_seen_by_its_other_columns_and_by_a_condition(telling: Exchange) -> None:
    token = telling.rows(limit=1).json()["rows"][0]["id_no"]
    found = telling.rows(columns="born", where=f"id_no:eq:{token}").json()["rows"]
    assert list(found[0]) == ["born"]
    seen = looks(telling.desk, [Record(ID, "default", "id_no", token)])
    assert [each.columns for each in seen] == [(), ("born",)]


def test_whole_tables_may_have_held_it(telling: Exchange) -> None:
    telling.rows(limit=100_000)
    query(telling)
    seen = looks(telling.desk, [Record(ID, "default", "id_no", "anybody")])
    assert [(each.door, each.whole) for each in seen] == [("api", True), ("delta", True)]


def test_a_person_is_found_by_the_id_that_they_know(telling: Exchange) -> None:
    raw = people(200)[4]["id_no"]
    telling.rows(limit=1000, columns="born")
    (look,) = looked(telling.city.ctx, telling.desk, Subject((("resident_id", raw),)))
    assert (look.by, look.whole) == ("asker", False)
    assert looked(telling.city.ctx, telling.desk, Subject((("resident_id", "of nobody"),))) == []
    assert [each["found"] for each in telling.log("looked")] == [1, 0]
    assert raw not in json.dumps(telling.log("looked"))


def test_a_person_is_found_in_a_grants_own_table(exchange: Exchange) -> None:
    number = granted(exchange, columns=["fee", "id_no"])
    made(exchange)
    know(exchange)
    exchange.rows(limit=100)
    (look,) = looked(exchange.city.ctx, exchange.desk, Subject((("resident_id", people(60)[4]["id_no"]),)))
    assert (look.policy, look.purpose) == (f"default__grant_{number}", f"request {number}")
