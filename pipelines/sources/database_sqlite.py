"""SQLite by ADBC, in one read transaction.

SQLite's types belong to values, not columns, and ADBC takes a column's type from the first rows it meets. So
the classes that a column really holds are asked for first, each column is brought to one of them without
loss, and a row of examples goes ahead of the table to tell ADBC; it is taken off again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent

import adbc_driver_manager
import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa
from sqlalchemy.engine import URL

from pipelines.sources.database_request import (
    BUSY,
    Counted,
    Reason,
    Request,
    Rows,
    drift,
    failure,
    match,
    no_table,
    streamed,
    unknown,
)
from schemas.errors import SourceError
from schemas.sql import literal, quote

TYPES = {"integer": pa.int64(), "real": pa.float64(), "text": pa.string(), "blob": pa.binary()}
EXAMPLES = {"integer": "0", "real": "0.0", "text": "''", "blob": "x''"}
BATCH_ROWS = 16384
BATCH_BYTES = 16 << 20
BUSY_MILLISECONDS = 10_000
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_NO_FILE = Reason("there is no such database file", "check the path in the connection")
_NOT_SQLITE = Reason(
    "the file is not an SQLite database", "check the path in the connection, or the file's copy"
)


@contextmanager
def read_sqlite(url: URL, request: Request) -> Iterator[Rows]:
    """The rows of a table or view. The file is opened read-only and never created."""
    path = Path(url.database or "")
    if not path.is_file():
        raise failure(request, _NO_FILE)
    with _our_errors(request):
        connection = adbc.connect(f"file:{percent(str(path.absolute()))}?mode=ro")
    with closing(connection), connection.cursor() as cursor:
        with _our_errors(request):
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            rows = _rows(cursor, request)
        yield rows


def _rows(cursor: Any, request: Request) -> Rows:
    found = _columns(cursor, request)
    matched = match(request, found, fold=True)
    counted, position, widest, classes = _profile(cursor, request, matched)
    kinds = {name: _kind(holds) for name, holds in classes.items()}
    examples = ", ".join(f"{EXAMPLES[kind]} AS {quote(name)}" for name, kind in kinds.items())
    select = ", ".join(_expression(matched[name], kind, classes[name]) for name, kind in kinds.items())
    rows = max(16, min(BATCH_ROWS, BATCH_BYTES // max(1, widest)))
    cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
    cursor.execute(f"SELECT {examples} UNION ALL SELECT {select} FROM {_table(request)}{_where(request)}")
    schema = pa.schema([(name, TYPES[kind]) for name, kind in kinds.items()])
    reader = streamed(schema, _batches(cursor.fetch_record_batch(), request))
    return Rows(
        lambda: Counted(counted, position),
        reader,
        (*drift(list(found), matched), *_mixed(classes, kinds)),
        found,
    )


def _columns(cursor: Any, request: Request) -> dict[str, str]:
    """Column name to its declared type. Generated columns included, hidden ones of virtual tables not."""
    cursor.execute(
        "SELECT name, type FROM pragma_table_xinfo("
        f"{literal(request.table)}, {literal(request.schema or 'main')}) WHERE hidden <> 1"
    )
    if found := dict(cursor.fetchall()):
        return found
    cursor.execute("SELECT name FROM pragma_table_list WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    raise no_table(request, [name for (name,) in cursor.fetchall()])


def _profile(
    cursor: Any, request: Request, matched: dict[str, str]
) -> tuple[int, str | None, int, dict[str, frozenset[str]]]:
    """Rows, the cursor's highest value, the bytes of the widest row, the storage classes that each column
    holds (`wide`: integers that a double cannot)."""
    asked = [
        f"group_concat(DISTINCT CASE WHEN typeof({quote(actual)}) = 'integer' AND"
        f" {quote(actual)} NOT BETWEEN -9007199254740992 AND 9007199254740992"
        f" THEN 'wide' ELSE typeof({quote(actual)}) END)"
        for actual in matched.values()
    ]
    top = f"max({quote(request.cursor)})" if request.cursor else "NULL"
    wide = (
        "max(" + " + ".join(f"ifnull(octet_length({quote(actual)}), 0)" for actual in matched.values()) + ")"
    )
    cursor.execute(
        f"SELECT {', '.join(['count(*)', top, wide, *asked])} FROM {_table(request)}{_where(request)}"
    )
    counted, highest, widest, *classes = cursor.fetchone()
    held = {
        name: frozenset((text or "").split(",")) - {"null", ""}
        for name, text in zip(matched, classes, strict=True)
    }
    return counted, _position(request, highest), widest or 0, held


def _position(request: Request, highest: Any) -> str | None:
    """Python's text of an integer or a double is exact."""
    if isinstance(highest, bytes):
        raise failure(request, Reason("the cursor holds BLOBs", "choose a cursor of numbers, dates or text"))
    return None if highest is None else str(highest)


def _kind(holds: frozenset[str]) -> str:
    """The one class that can hold all of a column's values."""
    for kind, may_hold in (
        ("integer", {"integer", "wide"}),
        ("real", {"real", "integer"}),
        ("blob", {"blob"}),
    ):
        if holds and holds <= may_hold:
            return kind
    return "text"


def _expression(column: str, kind: str, holds: frozenset[str]) -> str:
    """A double as text is the shortest that gives it back; a BLOB among texts is as SQL has it, X'00FF'."""
    name = quote(column)
    if kind == "real":
        return f"CAST({name} AS REAL)"
    if kind != "text" or holds <= {"text"}:
        return name
    shortest = (
        f"CASE WHEN CAST(printf('%!.15g', {name}) AS REAL) = {name}"
        f" THEN printf('%!.15g', {name}) ELSE printf('%!.17g', {name}) END"
    )
    rest = f"WHEN 'real' THEN {shortest} ELSE CAST({name} AS TEXT) END"
    return f"CASE typeof({name}) WHEN 'blob' THEN quote({name}) {rest}"


def _mixed(classes: dict[str, frozenset[str]], kinds: dict[str, str]) -> list[str]:
    plain = {name: {kind.replace("wide", "integer") for kind in holds} for name, holds in classes.items()}
    return [
        f"`{name}` holds {' and '.join(sorted(plain[name]))} values, landed as {kind}"
        for name, kind in kinds.items()
        if len(plain[name]) > 1
    ]


def _table(request: Request) -> str:
    return ".".join(quote(part) for part in (request.schema, request.table) if part)


def _where(request: Request) -> str:
    """SQLite orders numbers before text. From a number on, all text is read too; from a text on, all numbers
    are asked for as well: what changed its class is read again, never lost."""
    if request.cursor is None or request.since is None:
        return ""
    column = quote(request.cursor)
    if _NUMBER.fullmatch(request.since):
        return f" WHERE {column} >= {request.since} OR {column} IS NULL"
    return f" WHERE {column} >= {literal(request.since)} OR {column} < '' OR {column} IS NULL"


def _batches(reader: pa.RecordBatchReader, request: Request) -> Iterator[pa.RecordBatch]:
    """The batches without the row of examples. SQLite does not check that text is UTF-8: we do."""
    seen = -1
    with _our_errors(request):
        for batch in reader:
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                _check_text(request, name, column, max(seen, 0))
            yield batch.slice(1) if seen < 0 else batch
            seen += batch.num_rows


def _check_text(request: Request, name: str, column: pa.Array, seen: int) -> None:
    if not pa.types.is_string(column.type):
        return
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raise SourceError(
            f"{request.name} at {request.place}: text that is not UTF-8"
            f" among the {len(column)} rows after row {seen}",
            dataset=request.dataset,
            field=name,
            expected="UTF-8 in a TEXT column",
            next_step="ask the department to repair the values, or to store them as BLOB",
        ) from None


@contextmanager
def _our_errors(request: Request) -> Iterator[None]:
    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        raise failure(request, _reason(str(error))) from None


def _reason(text: str) -> Reason:
    """SQLite's words are looked at, never repeated: they may quote a value."""
    if "not a database" in text or "malformed" in text or "disk image" in text:
        return _NOT_SQLITE
    return BUSY if "locked" in text else unknown("an SQLite error")
