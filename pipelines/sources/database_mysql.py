"""MySQL and MariaDB by PyMySQL, from the text that the server writes, in one consistent snapshot.

All values come as the server's own text, unbuffered, and whole columns of them become Arrow arrays
(`mysql_wire`): that is exact for every type, zero dates (`0000-00-00`) and TIME beyond a day included. Only FLOAT
is asked for as DOUBLE, because the server rounds a FLOAT's text to six digits.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pymysql
from pymysql.constants import CR, ER
from pymysql.converters import encoders
from pymysql.cursors import SSCursor
from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL

from pipelines.sources import mysql_wire
from pipelines.sources.database_request import (
    BAD_OPTION,
    BUSY,
    DENIED,
    FORM,
    LOST,
    NO_DATABASE,
    NO_DATABASE_OR_DENIED,
    NO_HOST,
    REFUSED,
    UNREACHABLE,
    Counted,
    OddDates,
    Reason,
    Request,
    Rows,
    drift,
    failure,
    match,
    no_table,
    require_calendar,
    unknown,
)

INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"}
TEXTS = {
    *("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"),
    *("decimal", "time", "uuid", "inet4", "inet6"),
}
TEMPORAL = {"date": pa.date32(), "datetime": pa.timestamp("us"), "timestamp": pa.timestamp("us", "UTC")}
_SESSION = (
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")

Types = dict[str, tuple[str, str]]
"""Column name to (DATA_TYPE, COLUMN_TYPE) of information_schema: ("bigint", "bigint(20) unsigned")."""


@contextmanager
def read_mysql(url: URL, request: Request) -> Iterator[Rows]:
    """The rows of a table or view, counted in the snapshot that they are read from.

    Reading on where dates have not been looked for raises OddDates at one that is none of the calendar."""
    with _our_errors(request), _options_fit(request):
        connection = _connect(url)
    cursor = SSCursor(connection)
    with closing(connection):
        try:
            with _our_errors(request):
                rows = _rows(connection, cursor, request)
            yield rows
        finally:
            _abandon(cursor)


def _connect(url: URL) -> Any:
    """SQLAlchemy's dialect knows what a URL's options mean to PyMySQL. No decoders: values stay bytes."""
    dialect = registry.load("mysql.pymysql")()
    _, options = dialect.create_connect_args(url.set(drivername="mysql+pymysql"))
    options |= {"charset": "utf8mb4", "use_unicode": False, "conv": dict(encoders)}
    connection = pymysql.connect(**({"connect_timeout": 10, "read_timeout": 600} | options))
    with connection.cursor() as cursor:
        for statement in _SESSION:
            cursor.execute(statement)
    return connection


@contextmanager
def _options_fit(request: Request) -> Iterator[None]:
    """PyMySQL takes options as arguments: Python refuses one that it does not have."""
    try:
        yield
    except (TypeError, ValueError):
        raise failure(request, BAD_OPTION) from None


def _abandon(cursor: SSCursor) -> None:
    """What was not read goes with the connection: left to itself PyMySQL would read the table to its end first."""
    if cursor._result is not None:
        cursor._result.unbuffered_active = False


def _rows(connection: Any, cursor: SSCursor, request: Request) -> Rows:
    found = _types(connection, request)
    declared = {name: full for name, (_, full) in found.items()}
    matched = match(request, declared, fold=True)
    where = _where(connection, request, found)
    odd = _odd(connection, request, found, matched, where) if request.odd_dates else {}
    kinds = {name: _kind(found[actual], name in odd) for name, actual in matched.items()}
    select = ", ".join(
        f"{_expression(actual, found[actual])} AS {_quote(name)}" for name, actual in matched.items()
    )
    cursor.execute(f"SELECT {select} FROM {_table(request)}{where}")
    zoned = {name for name in odd if found[matched[name]][0] == "timestamp"}
    schema = pa.schema(list(kinds.items()))
    notes = [f"`{name}`: {count} values are no calendar date, landed as text" for name, count in odd.items()]
    counted: list[Counted] = []

    def batches() -> Iterator[pa.RecordBatch]:
        with _our_errors(request):
            yield from _batches(cursor, schema, zoned)
            counted.append(_counted(connection, request, where))

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    return Rows(counted.pop, reader, (*drift(list(found), matched), *notes), declared)


def _answer(connection: Any, sql: str) -> list[tuple[str | None, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [
            tuple(None if value is None else value.decode() for value in row) for row in cursor.fetchall()
        ]


def _types(connection: Any, request: Request) -> Types:
    schema = _literal(connection, request.schema) if request.schema else "DATABASE()"
    known = f"FROM information_schema.columns WHERE table_schema = {schema}"
    table = _literal(connection, request.table)
    names = "column_name, data_type, column_type"
    found = _answer(connection, f"SELECT {names} {known} AND table_name = {table} ORDER BY ordinal_position")
    if not found:
        tables = _answer(connection, f"SELECT DISTINCT table_name {known}")
        raise no_table(request, [str(name) for (name,) in tables])
    return {str(name): (str(kind), str(full)) for name, kind, full in found}


def _counted(connection: Any, request: Request, where: str) -> Counted:
    top = f"CAST(MAX({_quote(request.cursor)}) AS CHAR)" if request.cursor else "NULL"
    [(rows, position)] = _answer(connection, f"SELECT COUNT(*), {top} FROM {_table(request)}{where}")
    return Counted(int(rows or 0), position)


def _odd(
    connection: Any, request: Request, found: Types, matched: dict[str, str], where: str
) -> dict[str, int]:
    """How many values of each temporal column are no date of the calendar, where there are any."""
    temporal = [name for name, actual in matched.items() if found[actual][0] in TEMPORAL]
    sums = ["COUNT(*)", *(f"SUM({_impossible(_quote(matched[name]))})" for name in temporal)]
    [(_, *odd)] = _answer(connection, f"SELECT {', '.join(sums)} FROM {_table(request)}{where}")
    counts = {name: int(count or 0) for name, count in zip(temporal, odd, strict=True)}
    return {name: count for name, count in counts.items() if count}


def _impossible(column: str) -> str:
    """`0000-00-00`, `2026-00-00`, `2026-02-31`: what old servers and loose modes let in. Up to the 28th the length of
    the month need not be asked for, which takes the server as long as all the rest."""
    year, month, day = (f"{part}({column})" for part in ("YEAR", "MONTH", "DAYOFMONTH"))
    real = f"{year} > 0 AND {day} BETWEEN 1 AND DAYOFMONTH(LAST_DAY({column}))"
    return (
        f"CASE WHEN {month} > 0 AND {day} BETWEEN 1 AND 28 AND {year} > 0 THEN 0 "
        f"ELSE {column} IS NOT NULL AND NOT COALESCE({real}, FALSE) END"
    )


def _kind(types: tuple[str, str], odd: bool) -> pa.DataType:
    """The Arrow type that holds all values of a column."""
    kind, full = types
    if kind in TEMPORAL:
        return pa.string() if odd else TEMPORAL[kind]
    if kind in TEXTS or "zerofill" in full:
        return pa.string()
    if kind in INTEGERS:
        return pa.uint64() if "unsigned" in full or kind == "bit" else pa.int64()
    return {"float": pa.float32(), "double": pa.float64()}.get(kind, pa.binary())


def _expression(column: str, types: tuple[str, str]) -> str:
    """BIT and FLOAT by their value; anything else as the server writes it."""
    if types[0] == "bit":
        return f"CAST({_quote(column)} AS UNSIGNED)"
    return f"{_quote(column)} + 0e0" if types == ("float", "float") else _quote(column)


def _batches(cursor: SSCursor, schema: pa.Schema, zoned: set[str]) -> Iterator[pa.RecordBatch]:
    """Batches of some megabytes, however wide a row is."""
    for columns in mysql_wire.rows_of(cursor, len(schema)):
        arrays = [
            _array(values, field.type, field.name in zoned)
            for field, values in zip(schema, columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: pa.Array, kind: pa.DataType, zoned: bool) -> pa.Array:
    """The server's text as an array of `kind`; TIMESTAMP is in the session's zone, which is UTC."""
    if pa.types.is_binary(kind):
        return values
    text = values.cast(pa.string())
    if zoned:
        return pc.binary_join_element_wise(text, "+00:00", "")
    return _dates(text, kind) if pa.types.is_temporal(kind) else text.cast(kind)


def _dates(text: pa.Array, kind: pa.DataType) -> pa.Array:
    """Raises OddDates at `0000-00-00` and its like."""
    try:
        dates = text.cast(kind if pa.types.is_date(kind) else pa.timestamp("us"))
    except pa.ArrowInvalid:
        raise OddDates from None
    return require_calendar(dates).cast(kind)


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(connection: Any, text: str) -> str:
    """Quoted as the session's sql_mode wants it (NO_BACKSLASH_ESCAPES)."""
    with connection.cursor() as cursor:
        return str(cursor.mogrify("%s", (text,)))


def _table(request: Request) -> str:
    return ".".join(_quote(part) for part in (request.schema, request.table) if part)


def _where(connection: Any, request: Request, found: Types) -> str:
    """A number is compared as a number: with a text in quotes the server would compare both as doubles."""
    if request.cursor is None or request.since is None:
        return ""
    spelled = match(
        replace(request, columns=(request.cursor,)),
        {name: full for name, (_, full) in found.items()},
        fold=True,
    )[request.cursor]
    kind = found[spelled][0]
    number = kind in INTEGERS | {"decimal", "float", "double"}
    if number and not _NUMBER.fullmatch(request.since):
        raise failure(request, FORM)
    start = request.since if number else _literal(connection, request.since)
    return f" WHERE {_quote(spelled)} >= {start} OR {_quote(spelled)} IS NULL"


@contextmanager
def _our_errors(request: Request) -> Iterator[None]:
    """A server that goes away in the middle of a packet shows as any of these."""
    try:
        yield
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        lost_name = isinstance(getattr(error, "original_exception", None), socket.gaierror)
        raise failure(request, NO_HOST if lost_name else _reason(code)) from None
    except (OSError, IndexError, struct.error):
        raise failure(request, LOST) from None
    except pa.ArrowInvalid:
        raise failure(request, unknown("a value that its column's type does not allow")) from None


def _reason(code: int) -> Reason:
    """By the error codes of the server (1xxx) and the client (2xxx)."""
    known = {
        ER.ACCESS_DENIED_ERROR: REFUSED,
        1698: REFUSED,  # no password for a user known by socket
        ER.DBACCESS_DENIED_ERROR: NO_DATABASE_OR_DENIED,
        ER.TABLEACCESS_DENIED_ERROR: DENIED,
        ER.COLUMNACCESS_DENIED_ERROR: DENIED,
        ER.BAD_DB_ERROR: NO_DATABASE,
        ER.NO_DB_ERROR: NO_DATABASE,
        ER.LOCK_WAIT_TIMEOUT: BUSY,
        ER.QUERY_INTERRUPTED: BUSY,
        1969: BUSY,  # MariaDB's max_statement_time
        3024: BUSY,  # MySQL's max_execution_time
        1927: LOST,  # MariaDB: connection was killed
        CR.CR_CONN_HOST_ERROR: UNREACHABLE,
        CR.CR_SERVER_GONE_ERROR: LOST,
        CR.CR_SERVER_LOST: LOST,
    }
    return known.get(code) or (unknown(f"error {code}") if code else LOST)
