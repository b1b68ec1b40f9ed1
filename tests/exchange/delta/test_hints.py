"""Hints of Delta Sharing's readers: what is understood, and that nothing else is an error."""

from __future__ import annotations

import json

import pytest

from exchange.delta.hints import hint_of
from lake.hints import Hint, Joined, Not, Term

COLUMN = {"op": "column", "name": "id", "valueType": "int"}
LITERAL = {"op": "literal", "value": "25", "valueType": "int"}
EQUAL = {"op": "equal", "children": [COLUMN, LITERAL]}


def of(*children: object, op: str) -> dict:
    return {"op": op, "children": list(children)}


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("col = 123", Term("col", "eq", "123")),
        ("col > 'foo'", Term("col", "gt", "foo")),
        ("'foo' < col", Term("col", "gt", "foo")),
        ("col >= 123", Term("col", "ge", "123")),
        ("123 <= col", Term("col", "ge", "123")),
        ("col <> 'foo'", Term("col", "ne", "foo")),
        ("col IS NULL", Term("col", "null")),
        ("col IS NOT NULL", Term("col", "not_null")),
        ("col = other", None),
        ("1 = 1", None),
        ("col LIKE 'x%'", None),
        ("DROP TABLE x", None),
        ("(" * 3000, None),
        ("", None),
        ("col = (SELECT 1)", None),
    ],
)
def test_sql(sql: str, hint: Hint | None) -> None:
    assert hint_of([sql], None) == hint


@pytest.mark.parametrize(
    ("tree", "hint"),
    [
        (EQUAL, Term("id", "eq", "25")),
        (of(LITERAL, COLUMN, op="lessThan"), Term("id", "gt", "25")),
        (of(COLUMN, LITERAL, op="greaterThanOrEqual"), Term("id", "ge", "25")),
        (of(of(COLUMN, op="isNull"), op="not"), Not(Term("id", "null"))),
        (of(EQUAL, EQUAL, op="or"), Joined("or", (Term("id", "eq", "25"),) * 2)),
        (of(EQUAL, op="and"), None),
        (of(COLUMN, COLUMN, op="equal"), None),
        (of(EQUAL, {"op": "sleep"}, op="and"), None),
        ({"op": "equal"}, None),
        ([], None),
        ("x", None),
        (None, None),
        ({"op": {"a": 1}, "children": 3}, None),
    ],
)
def test_json(tree: object, hint: Hint | None) -> None:
    assert hint_of([], json.dumps(tree)) == hint


def test_all_hints_hold_together_and_depth_is_bounded() -> None:
    both = hint_of(["a = 1", "b LIKE 'x'", "c > 2"], json.dumps(EQUAL))
    assert both == Joined("and", (Term("a", "eq", "1"), Term("c", "gt", "2"), Term("id", "eq", "25")))
    assert hint_of([], "[" * 100_000) is None
    deep = EQUAL
    for _ in range(30):
        deep = of(deep, op="not")
    assert hint_of([], json.dumps(deep)) is None
