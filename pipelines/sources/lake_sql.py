"""What the SQL of a derived dataset may be: one SELECT over its inputs, which reads nothing else.

DuckDB is locked before it runs (`lake.collect_lake`); looking at the parsed statement first gives a message
that says what is wrong, and keeps DuckDB's own catalogue and functions that read files out of reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from schemas.errors import SourceError
from schemas.findings import listed, near
from schemas.model import LakeSource

GENERATORS = {"unnest", "range", "generate_series"}
"""Table functions that make rows of nothing but their arguments."""


def single_select(connection: duckdb.DuckDBPyConnection, source: LakeSource, dataset: str) -> str:
    """The statement without its semicolon. Raises SourceError unless it is one SELECT over the inputs
    alone."""
    text = source.sql.strip().rstrip("; \n\t")
    answer = connection.execute("SELECT json_serialize_sql($1)", [text]).fetchone()
    parsed: dict[str, Any] = json.loads(answer[0]) if answer else {"error": True}
    if parsed.get("error"):
        raise _wrong(dataset, f"the SQL is not a SELECT: {parsed.get('error_message', '')}")
    if len(parsed["statements"]) != 1:
        raise _wrong(dataset, f"the SQL holds {len(parsed['statements'])} statements")
    for node in _nodes(parsed):
        _judge(node, source, dataset, set(_named(parsed)))
    return text


def _judge(node: dict[str, Any], source: LakeSource, dataset: str, named: set[str]) -> None:
    """A table is an input or a WITH of the statement itself; a table function makes rows, it reads none."""
    if node.get("type") == "BASE_TABLE":
        table = ".".join(filter(None, (node["catalog_name"], node["schema_name"], node["table_name"])))
        if table.casefold() not in {*source.inputs, *named}:
            raise _wrong(
                dataset, f"the SQL reads `{table}`, which is not under `inputs`{near(table, source.inputs)}"
            )
    if node.get("type") == "TABLE_FUNCTION":
        name = node["function"]["function_name"]
        if name not in GENERATORS:
            raise _wrong(dataset, f"the SQL calls `{name}`, which could read more than its inputs")
    if node.get("type") == "SHOW_REF":
        raise _wrong(dataset, "the SQL holds DESCRIBE, SHOW or SUMMARIZE")


def _named(parsed: dict[str, Any]) -> Iterator[str]:
    """Names that the statement gives to its own WITH clauses."""
    for node in _nodes(parsed):
        for item in (node.get("cte_map") or {}).get("map", ()):
            yield item["key"].casefold()


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(child)


def _wrong(dataset: str, message: str) -> SourceError:
    return SourceError(
        message.strip(),
        dataset=dataset,
        field="source.sql",
        expected="one SELECT over the datasets under `inputs`",
        next_step="correct `sql` or `inputs` in the entry",
    )


def engine_failure(error: duckdb.Error, dataset: str) -> SourceError:
    """Errors about the statement quote the statement; all others may quote a value, so only their kind is
    told."""
    if isinstance(error, duckdb.ParserException | duckdb.BinderException | duckdb.CatalogException):
        return _wrong(dataset, str(error).partition("\n")[0])
    if isinstance(error, duckdb.OutOfMemoryException):
        message, step = (
            "the SQL needs more memory than it may take",
            "raise XUANWU_MEMORY, or join less at once",
        )
    else:
        message = f"the SQL failed with a {type(error).__name__}"
        step = "run it by hand on the inputs: a cast or a sum does not hold for every row"
    return SourceError(message, dataset=dataset, field="source.sql", next_step=step)


def columns_of(
    found: dict[str, str], wanted: list[str], dataset: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The wanted columns with their DuckDB types, and a note of those that the entry does not name.

    Raises SourceError naming the missing ones.
    """
    if missing := [name for name in wanted if name not in found]:
        raise SourceError(
            "the SQL gives no column "
            + ", no column ".join(f"`{name}`{near(name, found)}" for name in missing),
            dataset=dataset,
            field=missing[0],
            expected=f"columns given: {listed(found, 60)}",
            next_step="correct `sql`, or `source` of the field",
        )
    extra = [name for name in found if name not in wanted]
    notes = (f"not in the entry, so not collected: {listed(extra, 60)}",) if extra else ()
    return {name: found[name] for name in wanted}, notes
