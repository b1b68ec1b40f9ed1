"""Into MariaDB and MySQL by PyMySQL: a swap is one atomic RENAME TABLE, an upsert one transaction.

As in PostgreSQL the marker changes with the rows: the comment of the table that is renamed, or a row of
`xuanwu_delivered`. What a killed swap leaves beside the table, the next one removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from math import isfinite
from typing import Any, Final

import pyarrow as pa
import pymysql
from pymysql.constants import CR, ER
from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL

from exchange.receipts import Counts
from exchange.subscriptions import MARKER
from pipelines.delivering import failures
from pipelines.delivering.failures import Failure, fail
from pipelines.delivering.order import Order, Told

NEW, OLD = "__xuanwu_new", "__xuanwu_old"
ROWS: Final = 2_000
"""Rows that one statement's values are made of at a time; PyMySQL cuts them into statements of a megabyte."""
WAIT: Final = 60
"""Seconds to wait for another delivery to the same place, or for a lock."""
_SESSION: Final = (
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    f"SET SESSION lock_wait_timeout = {WAIT}",
    f"SET SESSION innodb_lock_wait_timeout = {WAIT}",
)
_KEY_CHARACTERS: Final = 768
"""Of utf8mb4, which an InnoDB key of 3072 bytes holds."""
_TYPES: Final = {
    pa.string(): "longtext",
    pa.int64(): "bigint(20)",
    pa.float64(): "double",
    pa.bool_(): "tinyint(1)",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "datetime(6)",
    pa.binary(): "longblob",
}


def types_of(schema: pa.Schema, keys: Iterable[str]) -> dict[str, str]:
    """As MariaDB writes them. A moment is in UTC: TIMESTAMP ends in 2038. A key's text is of a bounded length."""
    texts = [name for name in keys if pa.types.is_string(schema.field(name).type)]
    bounded = dict.fromkeys(texts, f"varchar({min(255, _KEY_CHARACTERS // max(1, len(texts)))})")
    return {field.name: bounded.get(field.name) or _type(field.type) for field in schema}


def _type(kind: pa.DataType) -> str:
    return f"decimal({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else _TYPES[kind]


def push(url: URL, order: Order) -> Counts:
    """Deliver, and count what the table holds after the commit. DeliveryError in our words where it was not to be:
    nothing was changed then."""
    told = Told()
    with _our_errors(order, told), closing(_connect(url)) as connection, connection.cursor() as cursor:
        for statement in _SESSION:
            cursor.execute(statement)
        if _one(cursor, "SELECT GET_LOCK(SHA1(CONCAT(DATABASE(), ' ', %s)), %s)", (order.place, WAIT)) != 1:
            fail(order.place, failures.BUSY)
        counts = (_upserted if order.keys else _swapped)(cursor, order, told)
        connection.commit()
        found = _one(cursor, f"SELECT COUNT(*) FROM {_name(order)}")
    return Counts(order.rows, told.rows, found, *counts, told.altered)


def _connect(url: URL) -> Any:
    """SQLAlchemy's dialect knows what a URL's options mean to PyMySQL."""
    _, options = registry.load("mysql.pymysql")().create_connect_args(url.set(drivername="mysql+pymysql"))
    options |= {"charset": "utf8mb4", "autocommit": False}
    return pymysql.connect(**({"connect_timeout": 10, "read_timeout": 600, "write_timeout": 600} | options))


# ── swap ──────────────────────────────────────────────────────────────────────────────────────────────────


def _swapped(cursor: Any, order: Order, told: Told) -> tuple[int, int, int]:
    """A new table beside the old one, of its form and indices; then both change their names at once. Grants are by
    name in MariaDB, and stay."""
    target, new, old = (_name(order, ending) for ending in ("", NEW, OLD))
    types = types_of(order.schema, ())
    stands = _columns(cursor, order)
    cursor.execute(f"DROP TABLE IF EXISTS {new}, {old}")
    if stands:
        if order.delivered(_comment(cursor, order)) == order.snapshot:
            return 0, 0, 0
        order.fits(stands, _spelled(cursor, types), more=False)
        cursor.execute(f"CREATE TABLE {new} LIKE {target}")
        cursor.execute(f"ALTER TABLE {new} COMMENT %s", (order.label,))
    else:
        cursor.execute(f"CREATE TABLE {new} ({_ddl(types)}) {_form(cursor)} COMMENT %s", (order.label,))
    _insert(cursor, told.given(order.whole), told, new)
    cursor.connection.commit()
    order.balanced(_one(cursor, f"SELECT COUNT(*) FROM {new}"))
    order.still()
    renames = f"{target} TO {old}, {new} TO {target}" if stands else f"{new} TO {target}"
    cursor.execute(f"RENAME TABLE {renames}")
    cursor.execute(f"DROP TABLE IF EXISTS {old}")
    return told.rows, 0, 0


def _comment(cursor: Any, order: Order) -> str | None:
    found: str | None = _one(
        cursor,
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = COALESCE(%s, DATABASE())"
        " AND table_name = %s",
        order.schema_and_table,
    )
    return found


# ── upsert ────────────────────────────────────────────────────────────────────────────────────────────────


def _upserted(cursor: Any, order: Order, told: Told) -> tuple[int, int, int]:
    """What changed, into temporary tables; from there into the table: gone, different, new."""
    target, marker = _name(order), _quoted(order.schema_and_table[0], MARKER)
    types = types_of(order.schema, order.keys)
    since = _since(cursor, order, types, marker)
    if since == order.snapshot:
        return 0, 0, 0
    change = told.given(lambda: order.change(since)) if since is not None else None
    keys = {name: types[name] for name in order.keys}
    for name, kinds in (("xuanwu_fresh", types), ("xuanwu_gone", keys)):
        form = f"({_ddl(kinds)}, INDEX ({', '.join(map(_quote, keys))})) {_form(cursor)}"
        cursor.execute(f"CREATE TEMPORARY TABLE {name} {form}")
    cursor.execute("START TRANSACTION")
    _insert(cursor, change.fresh if change else told.given(order.whole), told, "xuanwu_fresh")
    same = " AND ".join(f"t.{_quote(key)} = s.{_quote(key)}" for key in keys)
    went = f"LEFT JOIN xuanwu_fresh s ON {same} WHERE s.{_quote(order.keys[0])} IS NULL"
    if change is not None:
        _insert(cursor, change.gone, Told(), "xuanwu_gone")
        of = " AND ".join(f"t.{_quote(key)} = g.{_quote(key)}" for key in keys)
        went = f"JOIN xuanwu_gone g ON {of} {went}"
    deleted = cursor.execute(f"DELETE t FROM {target} t {went}")
    rest = [_quote(name) for name in types if name not in keys]
    updated = 0
    if rest:
        sets = ", ".join(f"t.{name} = s.{name}" for name in rest)
        alike = " AND ".join(f"{_as_is('t', types, name)} <=> {_as_is('s', types, name)}" for name in rest)
        updated = cursor.execute(
            f"UPDATE {target} t JOIN xuanwu_fresh s ON {same} SET {sets} WHERE NOT ({alike})"
        )
    columns = ", ".join(map(_quote, types))
    values = ", ".join(f"s.{_quote(name)}" for name in types)
    absent = f"LEFT JOIN {target} t ON {same} WHERE t.{_quote(order.keys[0])} IS NULL"
    inserted = cursor.execute(
        f"INSERT INTO {target} ({columns}) SELECT {values} FROM xuanwu_fresh s {absent}"
    )
    order.balanced(_one(cursor, f"SELECT COUNT(*) FROM {target}"))
    order.still()
    cursor.execute(f"REPLACE INTO {marker} VALUES (%s, %s, UTC_TIMESTAMP(6))", (order.place, order.label))
    return inserted, updated, deleted


def _as_is(side: str, types: dict[str, str], quoted: str) -> str:
    """A text is another one where any of its bytes is, whatever the recipient's collation says."""
    return f"BINARY {side}.{quoted}" if "text" in types[quoted[1:-1]] else f"{side}.{quoted}"


def _since(cursor: Any, order: Order, types: dict[str, str], marker: str) -> int | None:
    """The snapshot that the table holds; None for one that was only now made, or that nothing has come into since."""
    form = _form(cursor)
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {marker} (place varchar(120) PRIMARY KEY, label varchar(500) NOT NULL,"
        f" delivered datetime(6) NOT NULL) {form}"
    )
    found = _columns(cursor, order)
    cursor.execute(f"SELECT label FROM {marker} WHERE place = %s", (order.place,))
    row = cursor.fetchone()
    if not found or (row is None and _comment(cursor, order) == order.name):
        cursor.execute(f"DELETE FROM {marker} WHERE place = %s", (order.place,))
        keys = ", ".join(map(_quote, order.keys))
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {_name(order)} ({_ddl(types)}, PRIMARY KEY ({keys})) {form} COMMENT %s",
            (order.name,),
        )
        return None
    since = order.delivered(row and row[0])
    order.fits(found, _spelled(cursor, types), more=True)
    return since


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────


def _insert(cursor: Any, rows: pa.RecordBatchReader, told: Told, into: str) -> None:
    names = ", ".join(map(_quote, rows.schema.names))
    marks = ", ".join(["%s"] * len(rows.schema))
    for batch in told.passing(rows):
        for start in range(0, batch.num_rows, ROWS):
            columns = [_values(column, told) for column in batch.slice(start, ROWS)]
            cursor.executemany(
                f"INSERT INTO {into} ({names}) VALUES ({marks})", list(zip(*columns, strict=True))
            )


def _values(column: pa.Array, told: Told) -> list[Any]:
    """Python's, which PyMySQL writes exactly. There is no NaN and no infinity in MariaDB: NULL, and counted."""
    if pa.types.is_timestamp(column.type):
        return [None if value is None else _moment(value) for value in column.to_pylist()]
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        told.altered += sum(value is not None and not isfinite(value) for value in values)
        return [value if value is not None and isfinite(value) else None for value in values]
    return values


def _moment(value: Any) -> str:
    """In UTC, with all of its six digits, and a year of four."""
    return str(value.replace(tzinfo=None).isoformat(" ", "microseconds"))


def _ddl(types: dict[str, str]) -> str:
    return ", ".join(f"{_quote(name)} {kind}" for name, kind in types.items())


def _form(cursor: Any) -> str:
    """Texts that differ in case or in a space at their end are two, as they are in the lake."""
    maria = "mariadb" in str(_one(cursor, "SELECT VERSION()")).lower()
    return f"ENGINE InnoDB DEFAULT CHARSET utf8mb4 COLLATE {'utf8mb4_nopad_bin' if maria else 'utf8mb4_0900_bin'}"


def _columns(cursor: Any, order: Order) -> dict[str, str]:
    """Column name to type; none where there is no such table."""
    cursor.execute(
        "SELECT column_name, column_type FROM information_schema.columns"
        " WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = %s",
        order.schema_and_table,
    )
    return dict(cursor.fetchall())


def _spelled(cursor: Any, types: dict[str, str]) -> dict[str, str]:
    """As this server writes them: MySQL 8 gives whole numbers no width."""
    maria = "mariadb" in str(_one(cursor, "SELECT VERSION()")).lower()
    return types if maria else {name: kind.replace("bigint(20)", "bigint") for name, kind in types.items()}


def _one(cursor: Any, sql: str, values: Any = None) -> Any:
    cursor.execute(sql, values)
    row = cursor.fetchone()
    return row[0] if row else None


def _name(order: Order, ending: str = "") -> str:
    schema, table = order.schema_and_table
    return _quoted(schema, table + ending)


def _quoted(schema: str | None, table: str) -> str:
    return ".".join(_quote(part) for part in (schema, table) if part)


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _our_errors(order: Order, told: Told) -> Iterator[None]:
    try:
        yield
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        fail(order.place, _failure(code))
    except OSError as error:
        if told.error is not None or not isinstance(error, ConnectionError | TimeoutError):
            raise
        fail(order.place, failures.LOST)


def _failure(code: int) -> Failure:
    """By the error codes of the server (1xxx, 3xxx) and the client (2xxx)."""
    known = {
        ER.ACCESS_DENIED_ERROR: failures.REFUSED,
        1698: failures.REFUSED,  # no password for a user known by socket
        ER.DBACCESS_DENIED_ERROR: failures.DENIED,
        ER.TABLEACCESS_DENIED_ERROR: failures.DENIED,
        ER.SPECIFIC_ACCESS_DENIED_ERROR: failures.DENIED,
        ER.BAD_DB_ERROR: failures.NO_DATABASE,
        ER.NO_DB_ERROR: failures.NO_DATABASE,
        ER.LOCK_WAIT_TIMEOUT: failures.BUSY,
        ER.LOCK_DEADLOCK: failures.BUSY,
        ER.QUERY_INTERRUPTED: failures.BUSY,
        ER.RECORD_FILE_FULL: failures.FULL,
        ER.DISK_FULL: failures.FULL,
        ER.DATA_TOO_LONG: failures.VALUE,
        ER.WARN_DATA_OUT_OF_RANGE: failures.VALUE,
        ER.DUP_ENTRY: failures.DOUBLE,
        ER.ROW_IS_REFERENCED_2: failures.NEEDED,
        CR.CR_CONN_HOST_ERROR: failures.UNREACHABLE,
        1927: failures.LOST,  # MariaDB: connection was killed
        CR.CR_SERVER_GONE_ERROR: failures.LOST,
        CR.CR_SERVER_LOST: failures.LOST,
        0: failures.LOST,
    }
    return known.get(code) or failures.unknown(f"error {code}")
