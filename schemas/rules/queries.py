"""The SQL of derived datasets, read by DuckDB's own parser and tried on empty tables of its inputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

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
_AT_ONCE = 100
"""Queries that one statement reads: what a statement costs besides is shared, and their trees fill few megabytes."""
Derived: TypeAlias = tuple[LakeSource, Draft]


def query_findings(
    connection: duckdb.DuckDBPyConnection, derived: Sequence[Derived], house: House
) -> Iterator[tuple[Draft, Finding]]:
    """Unknown inputs, SQL that is not one SELECT over exactly them, and columns that it does not give. Notes in the
    drafts which columns each may be, so that the SQL is read once."""
    sound: list[Derived] = []
    for (source, draft), tree in zip(derived, _trees(connection, derived), strict=True):
        found = list(_read(source, draft, tree, house))
        yield from ((draft, finding) for finding in found)
        if not found and _are_resolved(source, house):
            sound.append((source, draft))
    yield from _bound(connection, sound, house)


def _trees(connection: duckdb.DuckDBPyConnection, derived: Sequence[Derived]) -> Iterator[Any]:
    """The syntax tree of each query, without what is empty in it; None where it holds a NUL, which no literal may."""
    queries = [source.sql for source, _ in derived]
    for first in range(0, len(queries), _AT_ONCE):
        some = queries[first : first + _AT_ONCE]
        # Literals, because a parameter makes DuckDB import pandas and Arrow.
        texts = ", ".join(literal(sql) for sql in some if "\0" not in sql)
        read = (
            f"SELECT json_serialize_sql(unnest([{texts}]::VARCHAR[]), skip_null := true, skip_empty := true)"
        )
        trees = iter(connection.execute(read).fetchall())
        yield from (None if "\0" in sql else json.loads(next(trees)[0]) for sql in some)


def _read(source: LakeSource, draft: Draft, tree: Any, house: House) -> Iterator[Finding]:
    """What is wrong with the inputs and, before it is bound to them, with the query."""
    unknown = [name for name in source.inputs if name not in house.by_id]
    for name in unknown:
        path = ("source", "inputs", source.inputs.index(name))
        yield Finding(path, f"no dataset `{name}`" + near(name, house.by_id), "a dataset of the catalogue")
    if tree is None:
        yield Finding(_SQL, "holds a NUL", "printable text")
        return
    problem = _not_one_select(tree)
    if problem is not None:
        yield problem
        return
    every = list(nodes(tree))
    draft.columns = may_be(every)
    yield from (finding for finding in _reads(every, source) if not _is_about(finding, source, unknown))


def _is_about(finding: Finding, source: LakeSource, names: list[str]) -> bool:
    """Whether a finding is about an input that is unknown anyway."""
    return any(finding.path == ("source", "inputs", source.inputs.index(name)) for name in names)


def _not_one_select(tree: dict[str, Any]) -> Finding | None:
    expected = "one SELECT over curated tables named department.dataset"
    if not tree["error"]:
        return (
            None
            if len(tree.get("statements", ())) == 1
            else Finding(_SQL, "holds several statements", expected)
        )
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
            named.update(each["key"] for each in node["cte_map"].get("map", ()))
    return tables, functions, named


def _are_resolved(source: LakeSource, house: House) -> bool:
    """Whether every field of every input is: where one is not, the query can only be misjudged."""
    inputs = [house.by_id[name] for name in source.inputs]
    return all(other.fields and set(other.names) == set(other.fields) for other in inputs)


def _bound(
    connection: duckdb.DuckDBPyConnection, derived: Sequence[Derived], house: House
) -> Iterator[tuple[Draft, Finding]]:
    """Binds the queries to empty tables of their inputs, each made once for all of them. What does not fit is bound
    again to its own inputs alone, since the engine's message may name any table that there is."""
    unfit = derived
    with (
        suppress(duckdb.Error),
        _tables(connection, (name for source, _ in derived for name in source.inputs), house),
    ):
        unfit = []
        for source, draft in derived:
            try:
                given = _columns(connection, source)
            except duckdb.Error:
                unfit.append((source, draft))
            else:
                yield from ((draft, finding) for finding in _missing(given, draft))
    for source, draft in unfit:
        with suppress(duckdb.Error), _tables(connection, source.inputs, house):
            yield from ((draft, finding) for finding in _alone(connection, source, draft))


@contextmanager
def _tables(connection: duckdb.DuckDBPyConnection, datasets: Iterable[str], house: House) -> Iterator[None]:
    """Empty tables of these datasets, while the block lasts.

    Raises duckdb.Error where one cannot be: a decimal whose scale is above its precision, which has its own finding."""
    connection.begin()
    try:
        connection.execute(
            "; ".join(_created(name, house.by_id[name].fields) for name in dict.fromkeys(datasets))
        )
        yield
    finally:
        connection.rollback()


def _alone(connection: duckdb.DuckDBPyConnection, source: LakeSource, draft: Draft) -> Iterator[Finding]:
    try:
        given = _columns(connection, source)
    except duckdb.Error as error:
        why = " ".join(str(error).split("\n\n", maxsplit=1)[0].split())
        yield Finding(_SQL, f"does not fit its inputs: {why}", "columns of the inputs")
        return
    yield from _missing(given, draft)


def _columns(connection: duckdb.DuckDBPyConnection, source: LakeSource) -> list[str]:
    return [row[0] for row in connection.execute(f"DESCRIBE {source.sql.rstrip().rstrip(';')}").fetchall()]


def _missing(given: Sequence[str], draft: Draft) -> Iterator[Finding]:
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
