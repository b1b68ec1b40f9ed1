"""Curated tables as DuckDB sees them: a view `department.dataset` over the Parquet files of one snapshot."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from lake.tables import Tables
from lake.zones import identifier
from pipelines.sqlrows import left
from schemas.arrow import entry_schema
from schemas.errors import SourceError
from schemas.model import Entry
from schemas.sql import quote

_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
    pa.binary(): "BLOB",
}


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of a field's Arrow type (see `schemas.arrow.field_type`)."""
    return f"DECIMAL({kind.precision}, {kind.scale})" if pa.types.is_decimal(kind) else _TYPES[kind]


def current(tables: Tables, entry: Entry, reader: str) -> int:
    """The curated table's snapshot. SourceError, for the dataset `reader`, if nothing was merged into it
    yet."""
    snapshot = tables.current_snapshot(identifier("curated", entry.id))
    if snapshot is None:
        raise SourceError(
            f"{entry.id} has no curated table yet",
            dataset=reader,
            next_step=f"run it first: xuanwu run {entry.id}",
        )
    return snapshot


def create_view(
    connection: duckdb.DuckDBPyConnection, tables: Tables, entry: Entry, snapshot: int
) -> list[str]:
    """Create the view, with the entry's fields and types and nothing else; returns the files it reads.

    A field that is newer than the files is null, and a table without files is an empty view.
    """
    parts = tables.parts(identifier("curated", entry.id), snapshot)
    types = {field.name: sql_type(field.type) for field in entry_schema(entry)}
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in types.items())
    rows = f"SELECT {empty} WHERE FALSE"
    if parts:
        rows += f" UNION ALL BY NAME {left(parts)}"
    columns = ", ".join(f"CAST({quote(name)} AS {kind}) AS {quote(name)}" for name, kind in types.items())
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(entry.department)}")
    connection.execute(f"CREATE VIEW {view_name(entry)} AS SELECT {columns} FROM ({rows})")
    return [path.removeprefix("file://") for part in parts for path in (part.path, *part.deleting)]


def view_name(entry: Entry) -> str:
    return f"{quote(entry.department)}.{quote(entry.name)}"
