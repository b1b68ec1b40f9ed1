"""What a reader may ask tells no more than the rows that it may read, and what it was given once ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.passes import TABLE_LIVES, URL_LIVES
from tests.exchange.conftest import Clock
from tests.exchange.web.conftest import Exchange, Served
from tests.exchange.web.test_delta import lines, query
from tests.exchange.web.test_hostile import Caller
from tests.pipelines.publishing.making import people

MASKED = ("id_no", "name", "born", "memo")
COMPARE = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "ge": lambda left, right: left >= right,
}


@pytest.fixture
def published(exchange: Exchange) -> list[dict[str, Any]]:
    """The rows as they are read, under a grant."""
    exchange.grant()
    return list(exchange.rows(limit=1000).json()["rows"])


@pytest.mark.parametrize("column", MASKED)
@pytest.mark.parametrize("compare", COMPARE)
def test_a_condition_on_a_masked_column_is_put_to_the_masked_values(
    exchange: Exchange, published: list[dict[str, Any]], column: str, compare: str
) -> None:
    """With a person's own value, the rows are those that anybody can pick from the published ones."""
    for person in people(200)[:40:13]:
        raw = str(person[column])
        found = exchange.rows(where=f"{column}:{compare}:{raw}", columns="visit_no", limit=1000)
        assert found.status_code == 200, found.text
        holds = COMPARE[compare]
        expected = [row["visit_no"] for row in published if row[column] and holds(row[column], raw)]
        assert [row["visit_no"] for row in found.json()["rows"]] == expected
        assert compare != "eq" or column == "memo" or expected == []


@pytest.mark.parametrize("column", MASKED)
@pytest.mark.parametrize("compare", ["eq", "lt"])
def test_hints_on_a_masked_column_are_put_to_the_masked_values(
    exchange: Exchange, published: list[dict[str, Any]], column: str, compare: str
) -> None:
    """A file is left out by the bounds of what is published in it, which whoever may read it sees."""
    values = [str(row[column]) for row in published if row[column]]
    raws = [str(each[column]) for each in people(200)[:3]]
    sign, op = {"eq": ("=", "equal"), "lt": ("<", "lessThan")}[compare]
    for value in (*raws, values[0], "", "~~~"):
        literal = {"op": "literal", "value": value, "valueType": "string"}
        node = {"op": "column", "name": column, "valueType": "string"}
        tree = json.dumps({"op": op, "children": [node, literal]})
        outside = value < min(values) or value > max(values)
        for hint in ({"predicateHints": [f"{column} {sign} '{value}'"]}, {"jsonPredicateHints": tree}):
            files = [line["file"] for line in lines(query(exchange, **hint)) if "file" in line]
            if any(COMPARE[compare](each, value) for each in values):
                assert len(files) == 1
            assert files or compare == "lt" or outside
            for told in (json.loads(file["stats"]) for file in files):
                assert told["minValues"].get(column, "") <= min(values)
                assert column == "memo" or not any(raw in json.dumps(told) for raw in raws)


def test_credentials_and_urls_are_no_good_once_their_time_is_over(served: Served, clock: Clock) -> None:
    """Replayed to the second, with a signature of just now."""
    served.grant()
    caller, now = Caller(served, served.token()), datetime.now(UTC)
    second = timedelta(seconds=1)
    clock.now = now - TABLE_LIVES + second
    loaded = caller.load("default")
    assert loaded is not None
    clock.now = now - URL_LIVES + second
    asked = caller.http.post("/delta-sharing/shares/health/schemas/visit/tables/default/query", json={})
    *_, file = map(json.loads, asked.text.splitlines())
    key = loaded["metadata"]["snapshots"][0]["manifest-list"].removeprefix("s3://xuanwu/")
    for moment, status in ((now, 200), (now + second, 403), (now + TABLE_LIVES, 403)):
        clock.now = moment
        if moment <= now + second:
            assert caller.signed(loaded["config"], key).status_code == status
        assert caller.bare.get(file["file"]["url"]).status_code == status
