"""A reader's hints, SQL and JSON, as `lake.hints`. What cannot be understood is left out: filtering is best effort."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from lake.hints import Compare, Hint, Joined, Not, Term

DEEPEST: Final = 20
"""How far a predicate may be nested."""
MOST: Final = 100
"""Predicates, and children of one."""
_JSON: Final[dict[str, Compare]] = {
    "equal": "eq",
    "lessThan": "lt",
    "lessThanOrEqual": "le",
    "greaterThan": "gt",
    "greaterThanOrEqual": "ge",
}
_SQL: Final[dict[str, Compare]] = {"EQ": "eq", "NEQ": "ne", "LT": "lt", "LTE": "le", "GT": "gt", "GTE": "ge"}
_TURNED: Final[dict[Compare, Compare]] = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


class _Unknown(Exception):
    """Not a predicate that we know."""


def hint_of(predicates: Sequence[str], tree: str | None) -> Hint | None:
    """What both kinds of hints say together; None where they say nothing that we understand."""
    found = [hint for each in predicates[:MOST] if (hint := _sql(each)) is not None]
    if tree is not None and (hint := _json(tree)) is not None:
        found.append(hint)
    if len(found) < 2:
        return found[0] if found else None
    return Joined("and", tuple(found))


# ── JSON predicates for filtering ─────────────────────────────────────────────────────────────────────────


def _json(text: str) -> Hint | None:
    try:
        return _node(json.loads(text), 0)
    except (ValueError, KeyError, TypeError, RecursionError, _Unknown):
        return None


def _node(node: Any, depth: int) -> Hint:
    op, children = node["op"], node.get("children", [])
    if depth > DEEPEST or len(children) > MOST:
        raise _Unknown
    if op in ("and", "or") and len(children) >= 2:
        return Joined(op, tuple(_node(each, depth + 1) for each in children))
    if op == "not" and len(children) == 1:
        return Not(_node(children[0], depth + 1))
    if op == "isNull" and len(children) == 1:
        return Term(_column(children[0]), "null")
    if op in _JSON and len(children) == 2:
        left, right = children
        if left["op"] == "column":
            return Term(_column(left), _JSON[op], str(_literal(right)))
        return Term(_column(right), _turned(_JSON[op]), str(_literal(left)))
    raise _Unknown


def _column(node: Any) -> str:
    if node["op"] != "column":
        raise _Unknown
    return str(node["name"])


def _literal(node: Any) -> Any:
    if node["op"] != "literal" or node["value"] is None:
        raise _Unknown
    return node["value"]


def _turned(compare: Compare) -> Compare:
    """The comparison with its sides exchanged."""
    return _TURNED.get(compare, compare)


# ── SQL expressions for filtering ─────────────────────────────────────────────────────────────────────────


def _sql(text: str) -> Hint | None:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        found = sqlglot.parse_one(text, read="spark")
    except (SqlglotError, RecursionError):
        return None
    kind = type(found).__name__
    if kind == "Not":
        return _is_null(found.this, "not_null")
    return _is_null(found, "null") if kind == "Is" else _comparison(found, _SQL.get(kind))


def _comparison(found: Any, compare: Compare | None) -> Hint | None:
    kinds = [type(each).__name__ for each in (found.args.get("this"), found.args.get("expression"))]
    if compare is None or sorted(kinds) != ["Column", "Literal"]:
        return None
    column, literal = (
        (found.this, found.expression) if kinds[0] == "Column" else (found.expression, found.this)
    )
    return Term(column.name, compare if kinds[0] == "Column" else _turned(compare), literal.name)


def _is_null(found: Any, compare: Compare) -> Hint | None:
    kinds = [type(each).__name__ for each in (found.args.get("this"), found.args.get("expression"))]
    return Term(found.this.name, compare) if kinds == ["Column", "Null"] else None
