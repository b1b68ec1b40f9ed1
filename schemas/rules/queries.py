"""The SQL of derived datasets, read by DuckDB's own parser and tried on empty tables of its inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from schemas.draft import Draft
from schemas.findings import Finding, near
from schemas.house import House
from schemas.model import Field, LakeSource
from schemas.rules.selected import may_be, nodes
from schemas.sql import literal, quote

_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "binary": "BLOB",
}
_TABLE_FUNCTIONS = ("range", "generate_series", "unnest")
_SQL = ("source", "sql")


def query_findings(
    connection: duckdb.DuckDBPyConnection, source: LakeSource, draft: Draft, house: House
) -> Iterator[Finding]:
    """Unknown inputs, SQL that is not one SELECT over exactly them, and columns that it does not give. Notes in the
    draft which columns each may be, so that the SQL is read once."""
    unknown = [name for name in source.inputs if name not in house.by_id]
    for name in unknown:
        path = ("source", "inputs", source.inputs.index(name))
        yield Finding(path, f"no dataset `{name}`" + near(name, house.by_id), "a dataset of the catalogue")
    if "\0" in source.sql:
        yield Finding(_SQL, "holds a NUL", "printable text")
        return
    # A literal, because a parameter makes DuckDB import pandas and Arrow.
    serialized = connection.execute(f"SELECT json_serialize_sql({literal(source.sql)})").fetchall()[0][0]
    tree = json.loads(serialized)
    problem = _not_one_select(tree)
    if problem is not None:
        yield problem
        return
    every = list(nodes(tree))
    draft.columns = may_be(every)
    found = list(_reads(every, source))
    yield from (finding for finding in found if not _is_about(finding, source, unknown))
    if not found and not unknown:
        connection.begin()
        yield from list(_columns(connection, source, draft, house))
        connection.rollback()


def _is_about(finding: Finding, source: LakeSource, names: list[str]) -> bool:
    """Whether a finding is about an input that is unknown anyway."""
    return any(finding.path == ("source", "inputs", source.inputs.index(name)) for name in names)


def _not_one_select(tree: dict[str, Any]) -> Finding | None:
    expected = "one SELECT over curated tables named department.dataset"
    if not tree["error"]:
        return None if len(tree["statements"]) == 1 else Finding(_SQL, "holds several statements", expected)
    if tree["error_type"] == "parser":
        return Finding(_SQL, f"is not SQL: {tree['error_message']}", expected)
    return Finding(_SQL, "is not a SELECT", expected)


def _reads(every: list[dict[str, Any]], source: LakeSource) -> Iterator[Finding]:
    """The tables that the query's nodes name against `inputs`, both ways."""
    tables, functions, named = _named(every)
    for function in sorted(functions - set(_TABLE_FUNCTIONS)):
        yield Finding(_SQL, f"reads from {function}()", "curated tables only")
    read = set()
    for catalog, schema, table in sorted(tables):
        if schema or table not in named:
            read.add(".".join(part for part in (catalog, schema, table) if part))
    for name in sorted(read - set(source.inputs)):
        yield Finding(
            _SQL,
            f"reads `{name}`, which is not among `inputs`" + near(name, source.inputs),
            "the same tables",
        )
    for number, name in enumerate(source.inputs):
        if name not in read:
            yield Finding(
                ("source", "inputs", number), f"the SQL does not read `{name}`", "the tables that it reads"
            )


def _named(every: list[dict[str, Any]]) -> tuple[set[tuple[str, str, str]], set[str], set[str]]:
    """The base tables, the table functions and the names of common table expressions."""
    tables, functions, named = set[tuple[str, str, str]](), set[str](), set[str]()
    for node in every:
        kind = node.get("type")
        if kind == "BASE_TABLE":
            tables.add((node.get("catalog_name", ""), node.get("schema_name", ""), node["table_name"]))
        elif kind == "TABLE_FUNCTION":
            functions.add(node["function"]["function_name"])
        elif "cte_map" in node:
            named.update(each["key"] for each in node["cte_map"]["map"])
    return tables, functions, named


def _columns(
    connection: duckdb.DuckDBPyConnection, source: LakeSource, draft: Draft, house: House
) -> Iterator[Finding]:
    """Binds the query to empty tables of its inputs, and holds its columns against the fields."""
    inputs = [house.by_id[name] for name in source.inputs]
    if any(set(other.names) != set(other.fields) or not other.fields for other in inputs):
        return
    try:
        connection.execute(
            "; ".join(_created(name, other.fields) for name, other in zip(source.inputs, inputs, strict=True))
        )
    except duckdb.Error:  # a decimal whose scale is above its precision, which has its own finding
        return
    try:
        given = [
            row[0] for row in connection.execute(f"DESCRIBE {source.sql.rstrip().rstrip(';')}").fetchall()
        ]
    except duckdb.Error as error:
        why = " ".join(str(error).split("\n\n", maxsplit=1)[0].split())
        yield Finding(_SQL, f"does not fit its inputs: {why}", "columns of the inputs")
        return
    for name, field in draft.fields.items():
        if field.source is not None and field.source not in given:
            why = f"the SQL gives no column `{field.source}`" + near(field.source, given)
            yield Finding(("fields", name), why, "a column of the SQL by this name or by `source`")


def _created(name: str, fields: dict[str, Field]) -> str:
    department, dataset = map(quote, name.split("."))
    columns = ", ".join(f"{quote(field.name)} {_sql_type(field)}" for field in fields.values())
    return f"CREATE SCHEMA IF NOT EXISTS {department}; CREATE TABLE {department}.{dataset} ({columns})"


def _sql_type(field: Field) -> str:
    return f"DECIMAL({field.precision}, {field.scale})" if field.type == "decimal" else _TYPES[field.type]
