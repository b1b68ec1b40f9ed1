"""The sieve before lineage never misses what lineage finds, and says when names are not enough."""

from __future__ import annotations

import json

import duckdb
import pytest

from schemas.lineage import query_origins
from schemas.rules.selected import Names, may_be, nodes
from schemas.sql import literal

INPUTS = {"a.person": ("id", "name", "age", "home"), "a.house": ("id", "place", "rooms")}
TOLD = {
    "SELECT name AS out FROM a.person": {"out", "name"},
    "SELECT (p.name) AS OUT FROM a.person p": {"out", "name"},
    "SELECT upper(name) AS out, age FROM a.person": set(),
    "SELECT name::VARCHAR AS out FROM a.person": set(),
    "SELECT max(name) AS out FROM a.person": set(),
    "WITH q AS (SELECT name AS n FROM a.person), r AS (SELECT n AS m FROM q) SELECT m AS out FROM r": {
        *("out", "m", "n", "name"),
    },
    "WITH q AS (SELECT max(age) AS age FROM a.person) SELECT age AS out FROM q": {"out", "age"},
    "SELECT out FROM (SELECT name AS out FROM a.person UNION ALL SELECT place FROM a.house)": {
        *("out", "name", "place"),
    },
    "SELECT id AS out, 1 AS x FROM a.person EXCEPT (SELECT 'a', 1 UNION SELECT place, 2 FROM a.house)": {
        *("out", "id", "place", ""),
    },
    "SELECT (SELECT place FROM a.house LIMIT 1) AS out FROM a.person": {"out", "place"},
    "SELECT p.home AS out FROM a.person p JOIN a.house h USING (id) WHERE h.rooms > 2": {"out", "home"},
}
UNTOLD = (
    "SELECT *, name AS out FROM a.person",
    "SELECT out FROM (SELECT name FROM a.person) AS t(out)",
    "WITH q(out) AS (SELECT name FROM a.person) SELECT out FROM q",
    "FROM a.person",
    "SELECT no SQL at all",
)


def names_of(sql: str) -> Names | None:
    with duckdb.connect() as engine:
        tree = engine.execute(f"SELECT json_serialize_sql({literal(sql)})").fetchall()[0][0]
    return may_be(nodes(json.loads(tree)))


@pytest.mark.parametrize("sql", TOLD)
def test_names_that_a_column_may_be(sql: str) -> None:
    names = names_of(sql)
    assert names is not None and names.get("out", set()) == TOLD[sql]
    exact = {o.column.field for o in query_origins(sql, INPUTS, ["out"])["out"] if o.how == "IDENTITY"}
    assert exact <= names.get("out", set())


@pytest.mark.parametrize("sql", UNTOLD)
def test_names_are_not_enough(sql: str) -> None:
    assert names_of(sql) is None
