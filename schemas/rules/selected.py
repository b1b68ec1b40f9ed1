"""Which columns of its tables a column of a query may be, unchanged: by names alone, from DuckDB's own syntax tree.

A first sieve before `schemas.lineage`, which is exact and takes a hundred times as long. It never misses: names are
followed through every alias of the whole query, whatever their scope, and where names are not enough (stars, columns
renamed in a list, pivots) it says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Names = dict[str, set[str]]


class _Unknown(Exception):
    """Names do not tell."""


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a syntax tree, in no order that means anything."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += [child for child in node.values() if isinstance(child, dict | list)]
        elif isinstance(node, list):
            left += node


def may_be(found: Iterable[dict[str, Any]]) -> Names | None:
    """Of a query's nodes: for each name that a column of it may have, lower-case, the names of the columns that it
    may be, itself among them; None where that cannot be told. Names that the query does not mention are not in it."""
    pairs: Names = {}
    try:
        for node in found:
            for made, of in _pairs(node):
                pairs.setdefault(made, {made}).add(of)
    except _Unknown:
        return None
    return {name: _closed(name, pairs) for name in pairs}


def _closed(name: str, pairs: Names) -> set[str]:
    found, new = {name}, [name]
    while new:
        new = [other for other in pairs.get(new.pop(), ()) if other not in found] + new
        found.update(new)
    return found


def _pairs(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every (name made, name it is made of) that one node tells."""
    if (
        node.get("error")
        or node.get("type") == "PIVOT"
        or node.get("aliases")
        or node.get("column_name_alias")
    ):
        raise _Unknown
    for item in node.get("select_list", ()):
        yield from _item(item)
    if node.get("type") == "SET_OPERATION_NODE":
        left, right = _outputs(node["left"]), _outputs(node["right"])
        yield from zip(left, right, strict=False)


def _item(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if item["class"] == "STAR":
        raise _Unknown
    if item["class"] == "COLUMN_REF":
        yield _name(item), item["column_names"][-1].casefold()
    elif item["class"] == "SUBQUERY":
        yield from ((_name(item), of) for of in _outputs(item["subquery"]["node"]))


def _outputs(node: dict[str, Any]) -> list[str]:
    """The names of a query's columns; of a union its first branch's, as DuckDB has it."""
    while node.get("type") == "SET_OPERATION_NODE":
        node = node["left"]
    if "select_list" not in node:
        raise _Unknown
    return [_name(item) for item in node["select_list"]]


def _name(item: dict[str, Any]) -> str:
    names = item.get("column_names") or [""]
    return str(item.get("alias") or names[-1]).casefold()
