"""Into PostgreSQL by ADBC (binary COPY), each delivery one transaction: a reader sees what was before, or all of it.

The marker that tells which snapshot the table holds changes in the same transaction: the table's own comment where the
table is swapped, a row of `xuanwu_delivered` where it is upserted. Whoever is killed finds by it what was done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import URL

from exchange.receipts import Counts
from exchange.subscriptions import MARKER
from pipelines.connections import libpq
from pipelines.delivering import failures
from pipelines.delivering.failures import Failure, fail
from pipelines.delivering.order import Order, Told
from schemas.sql import literal, quote

NEW: Final = "__xuanwu_new"
_CLIENT: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "fallback_application_name": "xuanwu",
}
_SESSION: Final = ("SET LOCAL lock_timeout = '60s'", "SET LOCAL TimeZone = 'UTC'")
_TYPES: Final = {
    pa.string(): "text",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp with time zone",
    pa.binary(): "bytea",
}
_NUL: Final = "\0"
_INSTEAD: Final = "\N{REPLACEMENT CHARACTER}"
"""PostgreSQL's text holds every character but U+0000."""


def type_of(kind: pa.DataType) -> str:
    """As `format_type` writes it."""
    return f"numeric({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else _TYPES[kind]


def push(url: URL, order: Order) -> Counts:
    """Deliver, and count what the table holds after the commit. DeliveryError in our words where it was not to be:
    nothing was changed then."""
    uri = libpq(url, _CLIENT)
    told = Told()
    with _our_errors(order, told):
        connection = adbc.connect(uri)
        with closing(connection), connection.cursor() as cursor:
            for statement in (*_SESSION, _lock(order.place)):
                cursor.execute(statement)
            counts = (_upserted if order.keys else _swapped)(cursor, order, told)
            connection.commit()
            found = _one(cursor, f"SELECT count(*) FROM {_name(order)}")
    return Counts(order.rows, told.rows, found, *counts, told.altered)


# ── swap ──────────────────────────────────────────────────────────────────────────────────────────────────


def _swapped(cursor: Any, order: Order, told: Told) -> tuple[int, int, int]:
    """A new table beside the old one, of its form, indices and grants; then under its name."""
    schema, table = order.schema_and_table
    target, new = _name(order), _quoted(schema, table + NEW)
    stands = _exists(cursor, target)
    if stands:
        label = _one(cursor, f"SELECT obj_description({_oid(target)}, 'pg_class')::text")
        if order.delivered(label) == order.snapshot:
            return 0, 0, 0
        order.fits(_columns(cursor, target), _wanted(order.schema), more=False)
    form = f"LIKE {target} INCLUDING ALL" if stands else _ddl(order.schema)
    cursor.execute(f"CREATE TABLE {new} ({form})")
    _copy(cursor, told.given(order.whole), told, (schema, table + NEW))
    order.balanced(_one(cursor, f"SELECT count(*) FROM {new}"))
    order.still()
    if stands:
        for statement in (*_grants(cursor, target, new), f"DROP TABLE {target}"):
            cursor.execute(statement)
    cursor.execute(f"ALTER TABLE {new} RENAME TO {quote(table)}")
    cursor.execute(f"COMMENT ON TABLE {target} IS {literal(order.label)}")
    return told.rows, 0, 0


def _grants(cursor: Any, target: str, new: str) -> list[str]:
    """Statements that give the new table's rights to whom the old one's were given."""
    cursor.execute(
        "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END::text,"
        " privilege_type::text, is_grantable FROM pg_class, aclexplode(relacl)"
        f" WHERE oid = {_oid(target)} AND grantee <> relowner"
    )
    return [
        f"GRANT {right} ON {new} TO {who}{' WITH GRANT OPTION' if passed_on else ''}"
        for who, right, passed_on in cursor.fetchall()
    ]


# ── upsert ────────────────────────────────────────────────────────────────────────────────────────────────


def _upserted(cursor: Any, order: Order, told: Told) -> tuple[int, int, int]:
    """What changed, into temporary tables; from there into the table: gone, different, new."""
    schema, _ = order.schema_and_table
    target, marker = _name(order), _quoted(schema, MARKER)
    since = _since(cursor, order, target, marker)
    if since == order.snapshot:
        return 0, 0, 0
    fresh, gone = _staged(cursor, order, since, told)
    keys = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in order.keys)
    here = f"SELECT FROM {fresh} s WHERE {keys}"
    where = f"NOT EXISTS ({here})"
    if gone:
        where += f" AND EXISTS (SELECT FROM {gone} s WHERE {keys})"
    deleted = _affected(cursor, f"DELETE FROM {target} t WHERE {where}")
    names = [quote(name) for name in order.schema.names]
    rest = [name for name in names if name not in {quote(key) for key in order.keys}]
    updated = 0
    if rest:
        row_t, row_s = (f"({', '.join(f'{side}.{name}' for name in rest)})" for side in "ts")
        sets = ", ".join(f"{name} = s.{name}" for name in rest)
        change = f"UPDATE {target} t SET {sets} FROM {fresh} s WHERE {keys} AND ROW{row_t} IS DISTINCT FROM ROW{row_s}"
        updated = _affected(cursor, change)
    columns = ", ".join(names)
    absent = f"NOT EXISTS (SELECT FROM {target} t WHERE {keys})"
    inserted = _affected(
        cursor, f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {fresh} s WHERE {absent}"
    )
    order.balanced(_one(cursor, f"SELECT count(*) FROM {target}"))
    order.still()
    cursor.execute(
        f"INSERT INTO {marker} VALUES ({literal(order.place)}, {literal(order.label)}, now()) ON CONFLICT (place)"
        " DO UPDATE SET label = excluded.label, delivered = excluded.delivered"
    )
    return inserted, updated, deleted


def _since(cursor: Any, order: Order, target: str, marker: str) -> int | None:
    """The snapshot that the table holds; None for one that was only now made."""
    if not _exists(cursor, marker):
        cursor.execute(_lock(MARKER))
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {marker}"
            " (place text PRIMARY KEY, label text NOT NULL, delivered timestamptz NOT NULL)"
        )
    if not _exists(cursor, target):
        keys = ", ".join(quote(key) for key in order.keys)
        cursor.execute(f"CREATE TABLE {target} ({_ddl(order.schema)}, PRIMARY KEY ({keys}))")
        return None
    cursor.execute(f"SELECT label FROM {marker} WHERE place = {literal(order.place)}")
    found = cursor.fetchone()
    since = order.delivered(found and found[0])
    order.fits(_columns(cursor, target), _wanted(order.schema), more=True)
    return since


def _staged(cursor: Any, order: Order, since: int | None, told: Told) -> tuple[str, str]:
    """The temporary tables of rows that came and of keys that went; the latter empty where all rows came: then whatever
    is not among them went."""
    change = told.given(lambda: order.change(since)) if since is not None else None
    cursor.execute(f"CREATE TEMPORARY TABLE xuanwu_fresh ({_ddl(order.schema)}) ON COMMIT DROP")
    _copy(
        cursor,
        change.fresh if change else told.given(order.whole),
        told,
        (None, "xuanwu_fresh"),
        temporary=True,
    )
    keys = pa.schema([order.schema.field(key) for key in order.keys])
    if change is not None:
        cursor.execute(f"CREATE TEMPORARY TABLE xuanwu_gone ({_ddl(keys)}) ON COMMIT DROP")
        _copy(cursor, change.gone, Told(), (None, "xuanwu_gone"), temporary=True)
    tables = ("xuanwu_fresh", "xuanwu_gone" if change else "")
    for each in filter(None, tables):
        cursor.execute(f"CREATE INDEX ON {each} ({', '.join(quote(key) for key in order.keys)})")
        cursor.execute(f"ANALYZE {each}")
    return tables


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────


def _copy(
    cursor: Any,
    rows: pa.RecordBatchReader,
    told: Told,
    into: tuple[str | None, str],
    *,
    temporary: bool = False,
) -> None:
    reader = pa.RecordBatchReader.from_batches(rows.schema, told.passing(_without_nul(rows, told)))
    cursor.adbc_ingest(into[1], reader, mode="append", db_schema_name=into[0], temporary=temporary)


def _without_nul(batches: Iterable[pa.RecordBatch], told: Told) -> Iterator[pa.RecordBatch]:
    """The rows with another character for U+0000, which is counted."""
    for batch in batches:
        columns = [_text(column, told) if pa.types.is_string(column.type) else column for column in batch]
        yield pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _text(column: pa.Array, told: Told) -> pa.Array:
    found = pc.sum(pc.match_substring(column, _NUL)).as_py() or 0
    told.altered += found
    return pc.replace_substring(column, _NUL, _INSTEAD) if found else column


def _ddl(schema: pa.Schema) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in _named(schema))


def _named(schema: pa.Schema) -> list[tuple[str, str]]:
    return [(quote(field.name), type_of(field.type)) for field in schema]


def _wanted(schema: pa.Schema) -> dict[str, str]:
    return {field.name: type_of(field.type) for field in schema}


def _columns(cursor: Any, target: str) -> dict[str, str]:
    cursor.execute(
        "SELECT attname::text, format_type(atttypid, atttypmod)::text FROM pg_attribute"
        f" WHERE attrelid = {_oid(target)} AND attnum > 0 AND NOT attisdropped"
    )
    return dict(cursor.fetchall())


def _oid(name: str) -> str:
    return f"to_regclass({literal(name)})"


def _exists(cursor: Any, name: str) -> bool:
    return bool(_one(cursor, f"SELECT {_oid(name)} IS NOT NULL"))


def _one(cursor: Any, sql: str) -> Any:
    cursor.execute(sql)
    return cursor.fetchone()[0]


def _affected(cursor: Any, sql: str) -> int:
    return int(_one(cursor, f"WITH done AS ({sql} RETURNING 1) SELECT count(*) FROM done"))


def _lock(what: str) -> str:
    """Two who deliver to one place take turns, whatever platform they are of."""
    return f"SELECT pg_advisory_xact_lock(hashtext('xuanwu'), hashtext({literal(what)}))"


def _name(order: Order) -> str:
    return _quoted(*order.schema_and_table)


def _quoted(schema: str | None, table: str) -> str:
    return ".".join(quote(part) for part in (schema, table) if part)


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _our_errors(order: Order, told: Told) -> Iterator[None]:
    """A stream that breaks raises OSError, all else a DB-API error; both may quote values."""
    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        if told.error is not None:
            raise told.error from None
        fail(order.place, _failure(str(error), getattr(error, "sqlstate", None)))


def _failure(text: str, state: str | None) -> Failure:
    """SQLSTATE where the server gave one (PostgreSQL, appendix A); libpq's words where the connection failed."""
    if state is None:
        return _unconnected(text)
    known = {
        "42501": failures.DENIED,
        "3D000": failures.NO_DATABASE,
        "3F000": failures.NO_SCHEMA,
        "2BP01": failures.NEEDED,
        "57014": failures.BUSY,
        "55P03": failures.BUSY,
    }
    classes = {
        "08": failures.LOST,
        "57": failures.LOST,
        "28": failures.REFUSED,
        "40": failures.BUSY,
        "53": failures.FULL,
        "23": failures.DOUBLE,
        "22": failures.VALUE,
    }
    return known.get(state) or classes.get(state[:2]) or failures.unknown(f"SQLSTATE {state}")


def _unconnected(text: str) -> Failure:
    if "Failed to connect" not in text:
        lost = any(word in text for word in ("connection", "server closed", "could not"))
        return failures.LOST if lost else failures.unknown("an error without a code")
    if any(word in text for word in ("authentication", "password", "pg_hba", 'role "')):
        return failures.REFUSED
    return failures.NO_DATABASE if 'database "' in text else failures.UNREACHABLE
