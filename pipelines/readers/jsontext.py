"""JSON documents and JSON Lines through DuckDB's JSON kernels, every value as a string.

Whole numbers keep all their digits, fractions are doubles (RFC 8259, section 6) in their shortest form,
strings are unescaped, true and false are words, nested values are JSON text, and null or an absent key is
null. So a column has one type in every batch and every file. A column named `a.b` is the key `a.b`, or else
`b` within `a`. A record that has the key of a column more than once is malformed: nobody can tell which value holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import IO, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.engine import ENGINE_ERRORS, kind_of
from pipelines.readers import malformed
from pipelines.readers.seen import Seen
from schemas.errors import EngineError, SourceError

BLOCK = 4 << 20
LINE = 64 << 20
"""Bytes of one JSON line at most."""
DOCUMENT = 256 << 20
"""Bytes of one JSON document at most: it is read whole."""
_ESCAPES: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.S,
)
"""Escapes of a JSON text from left to right, `half` one that is half of a character (RFC 8259, section 8.2)."""


@contextmanager
def _kernels() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(
        config={"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        yield connection


def pointer(path: str) -> str:
    """A dotted path as a JSON pointer (RFC 6901): `data.items` → `/data/items`."""
    return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in path.split(".") if key)


def lines(stream: IO[bytes], columns: Sequence[str], seen: Seen) -> Iterator[pa.RecordBatch]:
    """JSON Lines in UTF-8; `_row` is the line's number. Blank lines are left out; a line that is no object is
    malformed. EngineError with the last line that was read where DuckDB fails."""
    return _told(_lines(stream, columns, seen), "line", seen.name)


def _told(
    batches: Generator[pa.RecordBatch, None, None], unit: str, file: str
) -> Generator[pa.RecordBatch, None, None]:
    """The batches; DuckDB's failures, which may quote values, in our words, with the file and how far it was read."""
    last = 0
    try:
        with closing(batches):
            for batch in batches:
                yield batch
                last = batch["_row"][-1].as_py() if batch.num_rows else last
    except ENGINE_ERRORS as error:
        if (kind := kind_of(error)) is None:
            raise
        raise EngineError(
            f"the local engine could not read the JSON ({kind}) after {unit} {last}",
            file=file,
            next_step="see the memory of this machine, or ask the source for JSON Lines or for smaller files; then run "
            "the batch again",
        ) from None


def _lines(stream: IO[bytes], columns: Sequence[str], seen: Seen) -> Generator[pa.RecordBatch, None, None]:
    before = 0
    with _kernels() as connection:
        for texts in _line_arrays(stream, seen.name):
            rows = np.arange(before + 1, before + 1 + len(texts), dtype=np.int64)
            before += len(texts)
            full = pc.not_equal(pc.ascii_trim_whitespace(texts), "")
            numbers = rows[full.to_numpy(zero_copy_only=False)]
            yield _columns(connection, texts.filter(full), numbers, columns, seen)


def _line_arrays(stream: IO[bytes], file: str) -> Iterator[pa.Array]:
    """Arrays of whole lines, cut at newlines without copying."""
    held = b""
    while chunk := stream.read(BLOCK):
        data = held + chunk
        end = data.rfind(b"\n") + 1
        held = data[end:]
        if len(held) > LINE:
            raise SourceError(
                f"a line is longer than {LINE} bytes",
                file=file,
                expected="one JSON object per line",
                next_step="correct source.format, or have the source send JSON Lines",
            )
        if end:
            yield _cut(data[:end])
    if held:
        yield _cut(held + b"\n")


def _cut(data: bytes) -> pa.Array:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))


def document(
    stream: IO[bytes], columns: Sequence[str], records: str | None, seen: Seen
) -> Iterator[pa.RecordBatch]:
    """The list of records in one JSON document; `_row` is the record's place in it, from 1.

    SourceError with line and column where it is not JSON, and where the path holds no list. EngineError with the last
    record that was read where DuckDB fails."""
    return _told(_document(stream, columns, records, seen), "record", seen.name)


def _document(
    stream: IO[bytes], columns: Sequence[str], records: str | None, seen: Seen
) -> Generator[pa.RecordBatch, None, None]:
    text = stream.read(DOCUMENT + 1)
    if len(text) > DOCUMENT:
        raise SourceError(
            f"more than {DOCUMENT} bytes; a JSON document is read whole",
            file=seen.name,
            next_step="ask the source for JSON Lines, or for smaller files",
        )
    with _kernels() as connection:
        yield from _listed(connection, text.decode(), columns, records, seen)


def _listed(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    columns: Sequence[str],
    records: str | None,
    seen: Seen,
) -> Iterator[pa.RecordBatch]:
    path = pointer(records or "")
    valid = connection.execute("SELECT json_valid($1)", [text]).fetchone() == (True,)
    kind = connection.execute("SELECT json_type($1, $2)", [text, path]).fetchone() if valid else None
    if kind is None:
        raise _not_json(text, seen.name)
    if kind != ("ARRAY",):
        raise SourceError(
            f"{'nothing' if kind[0] is None else 'a JSON ' + kind[0].lower()} at {records or 'the top'}",
            file=seen.name,
            rule="source.records",
            expected=f"a list of records at {records or 'the top of the document'}",
            next_step="correct source.records, or ask the source why the document changed",
        )
    items = connection.execute(
        "SELECT coalesce(unnest(json_extract($1, $2)::JSON[])::VARCHAR, 'null') AS item", [text, path]
    )
    before = 0
    with _kernels() as other:
        for batch in items.to_arrow_reader(malformed.MAX_BATCH):
            rows = np.arange(before + 1, before + 1 + batch.num_rows, dtype=np.int64)
            before += batch.num_rows
            yield _columns(other, batch.column(0), rows, columns, seen)


def _not_json(text: str, file: str) -> SourceError:
    """Where the document breaks, without a character of it. Numbers are not made: Python has none of so many digits."""
    try:
        json.loads(text, parse_int=len, parse_float=len)
    except json.JSONDecodeError as error:
        return SourceError(
            f"not JSON at line {error.lineno}, column {error.colno}",
            file=file,
            rule="JSON (RFC 8259)",
            next_step="have the source send the file again"
            if text
            else "the file is empty: ask the source for it",
        )
    except RecursionError:
        return SourceError(
            "not JSON; where it breaks is nested too deeply to say",
            file=file,
            rule="JSON (RFC 8259)",
            next_step="have the source send the file again, with flat records",
        )
    half = next((each.start() for each in _ESCAPES.finditer(text) if each["half"]), None)
    return SourceError(
        "not JSON as RFC 8259 has it"
        if half is None
        else f"half of a character is escaped at {_place(text, half)}",
        file=file,
        rule="JSON (RFC 8259)",
        next_step="have the source send the file again",
    )


def _place(text: str, at: int) -> str:
    """As Python's own errors count lines and columns."""
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _columns(
    connection: duckdb.DuckDBPyConnection,
    texts: pa.Array,
    rows: np.ndarray,
    columns: Sequence[str],
    seen: Seen,
) -> pa.RecordBatch:
    """A batch of string columns from JSON texts, one record each; every key is gathered."""
    connection.register("texts", pa.table({"text": texts}))
    kind = connection.sql(
        "SELECT CASE WHEN json_valid(text) THEN json_type(text) ELSE 'none' END AS kind FROM texts"
    )
    good = pc.equal(kind.to_arrow_table()["kind"], "OBJECT").to_numpy().copy()
    bad = [(int(rows[i]), "not a JSON object", texts[int(i)].as_py()) for i in np.flatnonzero(~good)]
    connection.register("objects", pa.table({"text": texts.filter(pa.array(good))}))
    if twice := _twice(connection, columns):
        at = np.flatnonzero(good)[twice]
        bad += [(int(rows[i]), "a key is there more than once", texts[int(i)].as_py()) for i in at]
        good[at] = False
        connection.register("objects", pa.table({"text": texts.filter(pa.array(good))}))
    seen.keys.update(key for (key,) in connection.sql("SELECT DISTINCT unnest(keys) FROM forms").fetchall())
    seen.keys.update(name for name in columns if "." in name and _is_there(connection, name))
    cells = [_cells(connection, name) for name in columns]
    batch = pa.RecordBatch.from_arrays(cells, list(columns))
    return malformed.insert(malformed.marked(malformed.with_markers(batch, rows[good])), bad)


def _twice(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> list[int]:
    """The places of records that have the key of a column more than once. Leaves the different lists of keys in
    `forms`: records of one form are many."""
    found = connection.sql("SELECT DISTINCT json_keys(text) AS keys FROM objects").to_arrow_table()
    connection.register("forms", found)
    if connection.sql("SELECT bool_or(len(keys) <> list_unique(keys)) FROM forms").fetchone() != (True,):
        return []
    wanted = {key for name in columns for key in (name, name.partition(".")[0])}
    keys = connection.sql("SELECT json_keys(text) FROM objects").fetchall()
    return [at for at, (names,) in enumerate(keys) if any(names.count(key) > 1 for key in wanted & {*names})]


def _is_there(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether some record has the key, or all the keys, that a dotted name is; or none has anything in which the last
    of them could be."""
    flat, nested = _pointers(name)
    asked = (
        "SELECT bool_or(json_exists(text, $1) OR json_exists(text, $2))"
        " OR NOT bool_or(coalesce(json_type(text, $3) = 'OBJECT' AND json_extract(text, $3)::VARCHAR <> '{}', FALSE))"
        " FROM objects"
    )
    within = nested.rpartition("/")[0]
    return connection.execute(asked, [flat, nested, within]).fetchone() == (True,)


def _pointers(name: str) -> tuple[str, str]:
    """The key itself, and the dotted path that the name is."""
    return pointer(name.replace(".", "\0")).replace("\0", "."), pointer(name)


def _cells(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Array:
    """One column: by the key itself, or by the dotted path that the name is."""
    found = connection.execute(
        "SELECT coalesce(json_extract_string(text, $1), json_extract_string(text, $2)) AS cell FROM objects",
        [*_pointers(name)],
    )
    return found.to_arrow_table()["cell"].cast(pa.string()).combine_chunks()
