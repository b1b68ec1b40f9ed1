"""PostgreSQL by ADBC: binary COPY into Arrow, in one REPEATABLE READ READ ONLY transaction.

All of a table is read by its blocks (`postgresql_blocks`), where it can be; the rows of anything else as they are.
Types that Arrow holds exactly are read as such. All others (numeric, time, interval, uuid, json, arrays,
enums …) are cast to text by the server: its own spelling loses nothing, and ADBC has none of them, or some of
them wrongly (oid as a signed number, an infinite timestamp as one in the year -290308).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager import AdbcConnection, AdbcStatement
from adbc_driver_manager._reader import AdbcRecordBatchReader
from adbc_driver_postgresql import StatementOptions, connect
from sqlalchemy.engine import URL

from lake.ahead import ahead
from pipelines.connections import libpq
from pipelines.sources.database_request import (
    BUSY,
    DENIED,
    FORM,
    LOST,
    NO_DATABASE,
    NO_TLS,
    REFUSED,
    UNREACHABLE,
    Counted,
    Reason,
    Request,
    Rows,
    broken,
    drift,
    failure,
    match,
    miswritten,
    no_table,
    require_calendar,
    streamed,
    unknown,
)
from pipelines.sources.postgresql_blocks import (
    FIXED,
    SESSION,
    Column,
    apart,
    joining,
    since,
    suiting,
    together,
    within,
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
BATCH_BYTES = 2 << 20
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
    """The rows of a table, view or foreign table, counted in the snapshot that they are read from.

    Reading on where dates have not been looked for raises OddDates at one that no calendar library holds."""
    uri = libpq(url, _CLIENT)
    with ExitStack() as opened:
        with _our_errors(request):
            connection = AdbcConnection(opened.enter_context(connect(uri)))
            opened.enter_context(connection).set_autocommit(False)
            _do(connection, *_SESSION)
            rows = _rows(connection, request, opened)
        yield rows


def _do(connection: AdbcConnection, *statements: str) -> None:
    with AdbcStatement(connection) as statement:
        for sql in statements:
            statement.set_sql_query(sql)
            statement.execute_update()


def _answer(connection: AdbcConnection, sql: str) -> list[tuple[Any, ...]]:
    with ExitStack() as asked:
        columns = _stream(connection, sql, asked).read_all().columns
        return list(zip(*(column.to_pylist() for column in columns), strict=True))


def _stream(connection: AdbcConnection, sql: str, asked: ExitStack) -> AdbcRecordBatchReader:
    """The driver's own reader, which tells the SQLSTATE of what failed in the middle; Arrow's tells none."""
    statement = asked.enter_context(AdbcStatement(connection))
    statement.set_sql_query(sql)
    statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
    handle, _ = statement.execute_query()
    return AdbcRecordBatchReader._import_from_c(handle.address)


def _rows(connection: AdbcConnection, request: Request, opened: ExitStack) -> Rows:
    """What `opened` closes is closed before the connection is."""
    found = _types(connection, request)
    declared = _declared(connection, request)
    matched = match(request, declared)
    odd = _odd(connection, request, found, matched) if request.odd_dates else {}
    plan = {name: _expression(actual, found[actual], name in odd) for name, actual in matched.items()}
    select = ", ".join(f"{sql} AS {quote(name)}" for name, (sql, _) in plan.items())
    sql = f"SELECT {select} FROM {_table(request)}"
    schema = pa.schema([(name, kind) for name, (_, kind) in plan.items()])
    notes = [
        f"`{name}`: {count} values beyond the years 1 to 9999, landed as text" for name, count in odd.items()
    ]
    columns = [_column(actual, found[actual], plan[name]) for name, actual in matched.items()]
    stream: Generator[pa.RecordBatch, None, Counted]
    if blocks := _blocks(connection, request, columns):
        _do(connection, *SESSION)
        parts = _stream(connection, joining(_table(request), columns, blocks), opened)
        stream = opened.enter_context(
            closing(_by_blocks(connection, request, sql, parts, columns, blocks=blocks))
        )
    else:
        stream = _by_rows(connection, request, _stream(connection, sql + _where(request), opened))
    counted: list[Counted] = []

    def batches() -> Iterator[pa.RecordBatch]:
        with _our_errors(replace(request, since=None)):
            counted.append((yield from stream))

    return Rows(counted.pop, streamed(schema, batches()), (*drift(list(found), matched), *notes), declared)


def _blocks(connection: AdbcConnection, request: Request, columns: Sequence[Column]) -> int:
    """How many of its blocks are joined at a time, where all of a table is asked for, a part of which the server finds
    by an index, and it can be read by its blocks; bytes are no text. A part that is attached meanwhile is in no block
    that was asked for, but may hold the highest position, behind which its rows would never be looked for: where there
    is a cursor a table of several parts is read by its rows, which are counted again."""
    if request.since is not None or any(pa.types.is_binary(column.kind) for column in columns):
        return 0
    sizes = _answer(connection, suiting(_table(request)))
    return next((together(*each) for each in sizes if each[0] == 1 or request.cursor is None), 0)


def _by_blocks(
    connection: AdbcConnection,
    request: Request,
    sql: str,
    parts: Iterator[pa.RecordBatch],
    columns: Sequence[Column],
    *,
    blocks: int,
) -> Generator[pa.RecordBatch, None, Counted]:
    """Some are received while those before come apart. Blocks whose values cannot be told from each other are read row
    by row, after all others. The rows were counted block by block, of which none may be missing, and behind the last
    one there is none."""
    again: list[int] = []
    rows = end = 0
    for batch in ahead(parts):
        firsts = batch.columns[-1].to_pylist()
        begin, end = end, end + blocks * len(firsts)
        if firsts != list(range(begin, end, blocks)):
            raise ConnectionError("blocks are missing")
        rows += pc.sum(batch.column(0)).as_py()
        if (arrays := apart(batch, columns)) is None:
            again += firsts
        else:
            yield pa.RecordBatch.from_arrays(
                list(map(require_calendar, arrays)), [column.name for column in columns]
            )
    for first in again:
        with ExitStack() as asked:
            yield from map(_of_the_calendar, _stream(connection, sql + within(first, blocks), asked))
    behind = _counted(connection, request, since(end))
    return behind._replace(rows=rows + behind.rows)


def _by_rows(
    connection: AdbcConnection, request: Request, stream: Iterator[pa.RecordBatch]
) -> Generator[pa.RecordBatch, None, Counted]:
    yield from map(_of_the_calendar, stream)
    return _counted(connection, request, _where(request))


def _of_the_calendar(batch: pa.RecordBatch) -> pa.RecordBatch:
    """An infinite date comes from the driver as one long before Christ."""
    for column in batch.columns:
        require_calendar(column)
    return batch


def _types(connection: AdbcConnection, request: Request) -> dict[str, str]:
    """Column name to the catalogue's name of its type; a domain counts as the type below it."""
    types = _answer(
        connection,
        "SELECT a.attname::text, CASE t.typtype WHEN 'd' THEN b.typname ELSE t.typname END::text"
        " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
        " LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype"
        f" WHERE a.attrelid = pg_catalog.to_regclass({literal(_table(request))})"
        " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    )
    if types:
        return dict(types)
    schema = literal(request.schema) if request.schema else "ANY (pg_catalog.current_schemas(false))"
    tables = _answer(
        connection,
        f"SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')"
        f" AND c.relnamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {schema})",
    )
    raise no_table(request, [name for (name,) in tables])


def _declared(connection: AdbcConnection, request: Request) -> dict[str, str]:
    """Column name to its type as PostgreSQL writes it, with its length: `character varying(20)`."""
    return dict(
        _answer(
            connection,
            "SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod)::text FROM pg_catalog.pg_attribute"
            f" WHERE attrelid = pg_catalog.to_regclass({literal(_table(request))})"
            " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        )
    )


def _counted(connection: AdbcConnection, request: Request, where: str) -> Counted:
    """The rows of that part, and the highest value of all that is asked for."""
    table, top = _table(request), "NULL::text"
    if request.cursor:
        top = f"(SELECT max({quote(request.cursor)})::text FROM {table}{_where(request)})"
    [found] = _answer(connection, f"SELECT (SELECT count(*) FROM {table}{where}), {top}")
    return Counted(*found)


def _odd(
    connection: AdbcConnection, request: Request, found: dict[str, str], matched: dict[str, str]
) -> dict[str, int]:
    """How many values of each temporal column no calendar library can hold, where there are any."""
    temporal = [name for name, actual in matched.items() if found[actual] in _TEMPORAL]
    counts = ["count(*)", *(f"count(*) FILTER (WHERE {_outside(matched[name])})" for name in temporal)]
    [(_, *odd)] = _answer(connection, f"SELECT {', '.join(counts)} FROM {_table(request)}{_where(request)}")
    return {name: count for name, count in zip(temporal, odd, strict=True) if count}


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


def _column(column: str, kind: str, plan: tuple[str, pa.DataType]) -> Column:
    """As it is joined with others: `char(n)` with its blanks, which a cast to text would take away."""
    sql, arrow = plan
    if kind == "bpchar":
        sql = f"CASE WHEN {quote(column)} IS NOT NULL THEN pg_catalog.concat({quote(column)}) END"
    return Column(column, sql, arrow, None if pa.types.is_string(arrow) else FIXED.get(kind))


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
    if "does not support SSL" in text:
        return NO_TLS
    return miswritten(text) or (NO_DATABASE if 'database "' in text else UNREACHABLE)
