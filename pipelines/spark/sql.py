"""The statements of the local engine in Spark's words: one text of what a merge or a join is, two engines."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import sqlglot
from sqlglot import exp


def translated(query: str, views: Mapping[str, str] = MappingProxyType({})) -> str:
    """A query of DuckDB for Spark. `views` gives the temporary views that stand for tables, by their names as written
    without quotes, such as `civil_affairs.marriage`."""

    def renamed(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Table) and (view := views.get(".".join(part.name for part in node.parts))):
            return exp.to_table(view, alias=node.alias or None)
        return node

    parsed = sqlglot.parse_one(query, read="duckdb")
    return parsed.transform(renamed).sql(dialect="spark")
