"""Any other database by its SQLAlchemy dialect: a streamed server-side cursor, one Arrow batch at a time.

The slow road, and the one that goes everywhere. What Arrow holds exactly is read as such by the column's
reflected type; all else becomes the text of its Python value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from warnings import catch_warnings, simplefilter

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from pipelines.sources.database_request import (
    FORM,
    LOST,
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
    unknown,
)
from schemas.errors import SettingsError, SourceError

BATCH_ROWS = 512
_TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], pa.DataType], ...] = (
    (sa.Boolean, pa.bool_()),
    (sa.Integer, pa.int64()),
    (sa.Float, pa.float64()),
    (sa.Date, pa.date32()),
    (sa.DateTime, pa.timestamp("us")),
    (sa.LargeBinary, pa.binary()),
    (sa.types.BINARY, pa.binary()),
    (sa.types.VARBINARY, pa.binary()),
)
_ZONED = pa.timestamp("us", "UTC")


@contextmanager
def read_any(url: URL, request: Request) -> Iterator[Rows]:
    """The rows of a table or view, counted in the transaction that they are read from."""
    engine = _engine(url)
    try:
        with _our_errors(request, connecting=True):
            connection = engine.connect()
        with connection:
            with _our_errors(request):
                rows = _rows(_snapshot(connection), request)
            yield rows
    finally:
        engine.dispose()


def _engine(url: URL) -> sa.Engine:
    try:
        return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    except (sa.exc.ArgumentError, ImportError):
        raise SettingsError(
            f"there is no driver for {url.drivername}://",
            expected="a SQLAlchemy dialect and driver that is installed",
            next_step="install the driver's package where the pipeline runs",
        ) from None


def _snapshot(connection: Connection) -> Connection:
    """What is counted is then what is read. SQL Server's REPEATABLE READ lets new rows in, so it gets
    SERIALIZABLE; pysqlite begins no transaction for a SELECT."""
    dialect = connection.dialect
    if dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
        return connection
    raw = connection.connection.dbapi_connection
    levels = dialect.get_isolation_level_values(raw) if raw else ()
    wanted = [level for level in ("REPEATABLE READ", "SERIALIZABLE") if level in levels]
    if not wanted:
        return connection
    return connection.execution_options(isolation_level=wanted[-1 if dialect.name == "mssql" else 0])


def _rows(connection: Connection, request: Request) -> Rows:
    table = _reflect(connection, request)
    declared = {column.name: _said(column.type) for column in table.c}
    matched = match(request, declared)
    where = _where(table, request)
    top = sa.func.max(table.c[request.cursor]) if request.cursor else sa.null()
    counted, highest = connection.execute(
        sa.select(sa.func.count(), top).select_from(table).where(where)
    ).one()
    schema = pa.schema([(name, _kind(table.c[name].type)) for name in matched])
    wanted = sa.select(*(table.c[name] for name in matched)).where(where)
    result = connection.execution_options(stream_results=True, yield_per=BATCH_ROWS).execute(wanted)
    reader = pa.RecordBatchReader.from_batches(schema, _batches(result, schema, request))
    position = None if highest is None else _text(highest)
    return Rows(lambda: Counted(counted, position), reader, drift(list(declared), matched), declared)


def _said(kind: sa.types.TypeEngine[Any]) -> str:
    """The type as SQL has it; '' where SQLAlchemy knows none."""
    return "" if isinstance(kind, sa.types.NullType) else str(kind)


def _reflect(connection: Connection, request: Request) -> sa.Table:
    """The table or view with its columns' types; a type that SQLAlchemy does not know is read as text."""
    inspector = sa.inspect(connection)
    with catch_warnings():
        simplefilter("ignore", sa.exc.SAWarning)
        try:
            found = inspector.get_columns(request.table, request.schema)
        except sa.exc.NoSuchTableError:
            found = []
    if not found:
        names = [*inspector.get_table_names(request.schema), *inspector.get_view_names(request.schema)]
        raise no_table(request, names)
    dialect = connection.dialect.name
    columns = [sa.Column(column["name"], _plain(column["type"], dialect)) for column in found]
    return sa.Table(request.table, sa.MetaData(), *columns, schema=request.schema, quote=True)


def _plain(kind: sa.types.TypeEngine[Any], dialect: str) -> sa.types.TypeEngine[Any]:
    """What SQLAlchemy would turn into something else than the source's value comes as the driver gives it.
    SQLite has neither dates nor decimals: its dialect makes them, and rounds."""
    made = (sa.DateTime, sa.Date, sa.Time, sa.Numeric) if dialect == "sqlite" else ()
    return sa.types.NullType() if isinstance(kind, (sa.JSON, sa.Enum, sa.ARRAY, *made)) else kind


def _kind(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(kind, sa.DateTime) and (kind.timezone or "OFFSET" in type(kind).__name__):
        return _ZONED
    return next((arrow for known, arrow in _TYPES if isinstance(kind, known)), pa.string())


def _batches(result: sa.CursorResult[Any], schema: pa.Schema, request: Request) -> Iterator[pa.RecordBatch]:
    with _our_errors(request):
        for rows in result.partitions(BATCH_ROWS):
            columns = zip(schema, zip(*rows, strict=True), strict=True)
            arrays = [_array(values, field, request) for field, values in columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], field: pa.Field, request: Request) -> pa.Array:
    """One column of a batch. Raises SourceError where a value is not what the column's type promises (SQLite,
    or a time with a zone in a column without)."""
    try:
        if pa.types.is_string(field.type):
            return pa.array([None if value is None else _text(value) for value in values], field.type)
        if field.type == pa.timestamp("us") and any(value is not None and value.tzinfo for value in values):
            raise TypeError
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError):
        raise SourceError(
            f"{request.name} at {request.place}: a value does not fit its column's type",
            dataset=request.dataset,
            field=field.name,
            expected=str(field.type),
            next_step="give the entry a view that casts the column to text",
        ) from None


def _text(value: Any) -> str:
    """The exact text of a Python value: no exponent in a decimal, a time as ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _where(table: sa.Table, request: Request) -> sa.ColumnElement[bool]:
    """From the last position on, as a value of the column's own type; rows without one are always read."""
    if request.cursor is None or request.since is None:
        return sa.true()
    column = table.c[request.cursor]
    try:
        start = _value(request.since, column.type)
    except (ValueError, ArithmeticError):
        raise failure(request, FORM) from None
    return sa.or_(column >= sa.bindparam("since", start, column.type), column.is_(None))


def _value(text: str, kind: sa.types.TypeEngine[Any]) -> Any:
    """A position as the Python value that the driver takes for the column's type."""
    parsers: tuple[tuple[type[sa.types.TypeEngine[Any]], Callable[[str], Any]], ...] = (
        (sa.Integer, int),
        (sa.Float, float),
        (sa.Numeric, Decimal),
        (sa.DateTime, datetime.fromisoformat),
        (sa.Date, date.fromisoformat),
    )
    return next((parse for known, parse in parsers if isinstance(kind, known)), str)(text)


UNHELD: Final = Reason(
    "its driver cannot hold a value of the table, such as a time beyond the years 1 to 9999; nothing was landed",
    "ask the department to correct the value; by a connection of postgresql:// such values are landed as text",
)
"""The driver's own refusal, which has no code and whose words quote the value."""


@contextmanager
def _our_errors(request: Request, *, connecting: bool = False) -> Iterator[None]:
    """Any driver's errors, wrapped by SQLAlchemy or raised as they are while its cursor streams."""
    try:
        yield
    except SourceError:
        raise
    except sa.exc.DBAPIError as error:
        raise failure(request, _reason(error, connecting, since=request.since is not None)) from None
    except (sa.exc.SQLAlchemyError, ValueError, TypeError, OSError) as error:
        raise failure(request, unknown(type(error).__name__)) from None


def _reason(error: sa.exc.DBAPIError, connecting: bool, *, since: bool) -> Reason:
    """By SQLSTATE where the driver tells one; by SQLAlchemy's judgement whether the connection is gone."""
    state = getattr(error.orig, "sqlstate", None) or ""
    if state.startswith("28") or (connecting and "password" in str(error.orig)):
        return REFUSED
    if connecting and not state:
        return miswritten(str(error.orig)) or UNREACHABLE
    if error.connection_invalidated or state[:2] in ("08", "57"):
        return LOST
    if state.startswith("22"):
        return FORM if since else broken(state)
    if isinstance(error, sa.exc.DataError) and not state:
        return UNHELD
    return unknown(f"SQLSTATE {state}" if state else type(error).__name__)
