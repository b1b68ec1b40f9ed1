"""PostgreSQL by ADBC: binary COPY into Arrow, in one REPEATABLE READ READ ONLY transaction.

Types that Arrow holds exactly are read as such. All others (numeric, time, interval, uuid, json, arrays,
enums …) are cast to text by the server: its own spelling loses nothing, and ADBC has none of them, or some of
them wrongly (oid as a signed number, an infinite timestamp as one in the year -290308).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager._reader import AdbcRecordBatchReader
from sqlalchemy.engine import URL

from pipelines.sources.database_request import (
    BUSY,
    DENIED,
    FORM,
    LOST,
    NO_DATABASE,
    REFUSED,
    UNREACHABLE,
    Reason,
    Request,
    Rows,
    broken,
    drift,
    failure,
    match,
    miswritten,
    no_table,
    streamed,
    unknown,
)
from schemas.sql import literal, quote

NATIVE = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
_TEMPORAL = {"date", "timestamp", "timestamptz"}
_CLIENT = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "fallback_application_name": "xuanwu",
}
_EXPRESSION = ("21", "22", "42", "P0")
"""Classes of what is wrong with a value, a statement, or a function's own doing."""
_SESSION = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL standard_conforming_strings = on",
)


@contextmanager
def read_postgresql(url: URL, request: Request) -> Iterator[Rows]:
    """The rows of a table, view or foreign table, counted in the snapshot that they are read from."""
    options = _CLIENT | {name: value for name, value in url.query.items() if isinstance(value, str)}
    uri = url.set(drivername="postgresql", query=options).render_as_string(hide_password=False)
    with _our_errors(request):
        connection = adbc.connect(uri)
    with closing(connection), connection.cursor() as cursor:
        with _our_errors(request):
            for statement in _SESSION:
                cursor.execute(statement)
            rows = _rows(cursor, request)
        yield rows


def _rows(cursor: Any, request: Request) -> Rows:
    found = _types(cursor, request)
    declared = _declared(cursor, request)
    matched = match(request, declared)
    counted, position, odd = _profile(cursor, request, found, matched)
    plan = {name: _expression(actual, found[actual], name in odd) for name, actual in matched.items()}
    select = ", ".join(f"{sql} AS {quote(name)}" for name, (sql, _) in plan.items())
    cursor.execute(f"SELECT {select} FROM {_table(request)}{_where(request)}")
    schema = pa.schema([(name, kind) for name, (_, kind) in plan.items()])
    notes = [
        f"`{name}`: {count} values beyond the years 1 to 9999, landed as text" for name, count in odd.items()
    ]
    reader = streamed(schema, _batches(_stream(cursor), request))
    return Rows(counted, position, reader, (*drift(list(found), matched), *notes), declared)


def _stream(cursor: Any) -> Iterator[pa.RecordBatch]:
    """The driver's own reader, which tells the SQLSTATE of what failed in the middle; Arrow's tells none."""
    handle = cursor.fetch_arrow()  # holds what is imported until it is
    return iter(AdbcRecordBatchReader._import_from_c(handle.address))


def _batches(stream: Iterator[pa.RecordBatch], request: Request) -> Iterator[pa.RecordBatch]:
    with _our_errors(replace(request, since=None)):
        yield from stream


def _types(cursor: Any, request: Request) -> dict[str, str]:
    """Column name to the catalogue's name of its type; a domain counts as the type below it."""
    cursor.execute(
        "SELECT a.attname::text, CASE t.typtype WHEN 'd' THEN b.typname ELSE t.typname END::text"
        " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
        " LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype"
        f" WHERE a.attrelid = pg_catalog.to_regclass({literal(_table(request))})"
        " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
    if found := dict(cursor.fetchall()):
        return found
    schema = literal(request.schema) if request.schema else "ANY (pg_catalog.current_schemas(false))"
    cursor.execute(
        f"SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')"
        f" AND c.relnamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {schema})"
    )
    raise no_table(request, [name for (name,) in cursor.fetchall()])


def _declared(cursor: Any, request: Request) -> dict[str, str]:
    """Column name to its type as PostgreSQL writes it, with its length: `character varying(20)`."""
    cursor.execute(
        "SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod)::text FROM pg_catalog.pg_attribute"
        f" WHERE attrelid = pg_catalog.to_regclass({literal(_table(request))})"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    return dict(cursor.fetchall())


def _profile(
    cursor: Any, request: Request, found: dict[str, str], matched: dict[str, str]
) -> tuple[int, str | None, dict[str, int]]:
    """Rows, the cursor's highest value, and how many values of each temporal column no calendar library can
    hold."""
    temporal = [name for name, actual in matched.items() if found[actual] in _TEMPORAL]
    top = f"max({quote(request.cursor)})::text" if request.cursor else "NULL::text"
    odd = [f"count(*) FILTER (WHERE {_outside(matched[name])})" for name in temporal]
    cursor.execute(f"SELECT {', '.join(['count(*)', top, *odd])} FROM {_table(request)}{_where(request)}")
    counted, position, *counts = cursor.fetchone()
    return counted, position, {name: count for name, count in zip(temporal, counts, strict=True) if count}


def _outside(column: str) -> str:
    """Infinite, before Christ, or after the year 9999."""
    return f"{quote(column)} < '0001-01-01' OR {quote(column)} >= '10000-01-01'"


def _expression(column: str, kind: str, odd: bool) -> tuple[str, pa.DataType]:
    """In UTC, PostgreSQL ends a time with `+00`: ISO 8601 has the minutes too."""
    if odd and kind == "timestamptz":
        return f"regexp_replace(CAST({quote(column)} AS pg_catalog.text), '\\+00$', '+00:00')", pa.string()
    if kind not in NATIVE or odd:
        return f"CAST({quote(column)} AS pg_catalog.text)", pa.string()
    return f"CAST({quote(column)} AS pg_catalog.{kind})", NATIVE[kind]


def _table(request: Request) -> str:
    return ".".join(quote(part) for part in (request.schema, request.table) if part)


def _where(request: Request) -> str:
    """The literal takes the column's own type, so that text, numbers and times compare as the database
    compares."""
    if request.cursor is None or request.since is None:
        return ""
    column = quote(request.cursor)
    return f" WHERE {column} >= {literal(request.since)} OR {column} IS NULL"


@contextmanager
def _our_errors(request: Request) -> Iterator[None]:
    """A stream that breaks raises OSError, all else a DB-API error; both may quote values."""
    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        reason = _reason(str(error), getattr(error, "sqlstate", None), since=request.since is not None)
        raise failure(request, reason) from None


def _reason(text: str, state: str | None, *, since: bool) -> Reason:
    """SQLSTATE where the server gave one (PostgreSQL, appendix A); libpq's words where the connection
    failed. A value or a function that does not fit is the position's, where the statement compares with one `since`."""
    if state is None:
        return _unconnected(text)
    known = {
        "42501": DENIED,
        "3D000": NO_DATABASE,
        "57014": BUSY,
        "55P03": BUSY,
        "40001": BUSY,
    }
    classes = {"08": LOST, "57": LOST, "28": REFUSED}
    if found := known.get(state) or classes.get(state[:2]):
        return found
    if since and (state == "42883" or state.startswith("22")):
        return FORM
    return broken(state) if state[:2] in _EXPRESSION else unknown(f"SQLSTATE {state}")


def _unconnected(text: str) -> Reason:
    if "Failed to connect" not in text:
        return LOST
    if "authentication" in text or "password" in text or "pg_hba" in text or 'role "' in text:
        return REFUSED
    return miswritten(text) or (NO_DATABASE if 'database "' in text else UNREACHABLE)
