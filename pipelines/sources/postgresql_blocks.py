"""The rows of a PostgreSQL table as whole columns, which the server joins over some of the table's blocks.

To take rows apart value by value is what a driver spends its time on. Here every column of some blocks comes as one
value: texts one behind the other, each behind a SEPARATOR, which come apart by a pass over their bytes, and numbers and
dates as the server's own bytes (src/backend/utils/adt: int8send, timestamp_send …). The server has less to do, too, for
it sends thousands of values at a time. What a value may be is not supposed: how many rows there are and how many values
are null comes beside, and blocks in which these do not agree with what came apart are told as such, to be read row by
row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.sql import literal, quote

BLOCKS: Final = 128
"""Of 8 KiB, that are joined at a time: a megabyte, or what that is uncompressed."""
MOST: Final = 4096
"""That are joined at a time where a table has parts of unequal sizes, each of which gives as many."""
PARTS: Final = 256
"""Of a table at most: each is looked for in every piece."""
SEPARATOR: Final = "\x11"
NULL: Final = "\x12"
SESSION: Final = ("SET LOCAL enable_seqscan = off", "SET LOCAL jit = off")
"""Blocks are found by their place, whatever statistics say; to compile so wide a query takes longer than it saves."""
_SINCE_14: Final = 140_000
_MEMBERS: Final = (
    "WITH RECURSIVE member (oid) AS (SELECT pg_catalog.to_regclass({table})::oid UNION"
    " SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN member ON member.oid = i.inhparent)"
)
_SIZE: Final = "pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8"


class Fixed(NamedTuple):
    """How values of one size come: the server's function, NumPy's type of its bytes, which of them stand for null, and
    what 1970 is for PostgreSQL, which counts from 2000."""

    send: str
    kind: str
    null: str
    epoch: int = 0


FIXED: Final = {
    "bool": Fixed("boolsend", "u1", "02"),
    "int2": Fixed("int2send", ">i2", "8000"),
    "int4": Fixed("int4send", ">i4", "80000000"),
    "int8": Fixed("int8send", ">i8", "8000000000000000"),
    "float4": Fixed("float4send", ">f4", "ffffffff"),
    "float8": Fixed("float8send", ">f8", "ffffffffffffffff"),
    "date": Fixed("date_send", ">i4", "80000000", 10_957),
    "timestamp": Fixed("timestamp_send", ">i8", "8000000000000000", 946_684_800_000_000),
    "timestamptz": Fixed("timestamptz_send", ">i8", "8000000000000000", 946_684_800_000_000),
}


class Column(NamedTuple):
    """A column of the table, the SQL of its values, their type in Arrow, and how they come if not as text."""

    name: str
    sql: str
    kind: pa.DataType
    fixed: Fixed | None


def suiting(table: str) -> str:
    """The query of how many parts a table has, and of how many blocks the largest and all of them are, which tells
    nothing where it cannot be read by them: before PostgreSQL 14 a range of blocks is found by reading all; views and
    foreign tables have none of their own; values outside of the blocks (TOAST) can be of any size; a database that is
    not in UTF-8 may hold what is no text of it; and the place of a row is hidden from whom only some of the columns are
    granted. Partitions and tables that inherit are its parts, and read by its own name: whoever may read it need not be
    granted them, and its row-level policies hold."""
    return (
        f"{_MEMBERS.format(table=literal(table))} SELECT pg_catalog.count(*), pg_catalog.max({_SIZE}),"
        f" pg_catalog.sum({_SIZE})::int8 FROM member JOIN pg_catalog.pg_class c USING (oid)"
        " LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam"
        " HAVING pg_catalog.bool_and(c.relkind = 'p' OR c.relkind IN ('r', 'm') AND m.amname = 'heap'"
        " AND (c.reltoastrelid = 0 OR pg_catalog.pg_relation_size(c.reltoastrelid) = 0))"
        f" AND pg_catalog.has_table_privilege(pg_catalog.to_regclass({literal(table)}), 'SELECT')"
        " AND pg_catalog.current_setting('server_encoding') = 'UTF8'"
        f" AND pg_catalog.current_setting('server_version_num')::int4 >= {_SINCE_14}"
    )


def together(parts: int, largest: int, whole: int) -> int:
    """How many blocks of each of its parts to join at a time, so that mostly BLOCKS come; 0 where there are too many
    parts. Sizes are in blocks."""
    if parts > PARTS:
        return 0
    return max(1, min(-(-BLOCKS * largest // whole) if whole else BLOCKS, MOST // parts))


def joining(table: str, columns: Sequence[Column], blocks: int) -> str:
    """The query of a row for each so many blocks, in their order: how many rows and how many nulls they hold, each
    column's values, and the first of the blocks. These are counted when the table is locked, so that its rows stay."""
    series = quote("xuanwu blocks")
    first = f"{series}.{quote('first')}"
    last = f"({_MEMBERS.format(table=literal(table))} SELECT pg_catalog.max({_SIZE}) FROM member c)"
    values = ", ".join(map(_joined, columns))
    return (
        f"SELECT part.*, {first} FROM pg_catalog.generate_series(0, {last}, {blocks}) {series} ({quote('first')}),"
        f" LATERAL (SELECT pg_catalog.count(*), {_nulls(columns)}, {values} FROM {table}{within(first, blocks)}) part"
    )


def _joined(column: Column) -> str:
    if column.fixed is None:
        between = literal(SEPARATOR)
        return f"{between} || pg_catalog.string_agg(COALESCE({column.sql}, {literal(NULL)}), {between})"
    sent = f"pg_catalog.{column.fixed.send}({column.sql})"
    null = literal("\\x" + column.fixed.null)
    return f"pg_catalog.string_agg(COALESCE({sent}, {null}), '')"


def _nulls(columns: Sequence[Column]) -> str:
    """PostgreSQL takes up to a hundred arguments."""
    names = [quote(column.name) for column in columns]
    some = (", ".join(names[at : at + 100]) for at in range(0, len(names), 100))
    return f"pg_catalog.sum({' + '.join(f'pg_catalog.num_nulls({each})' for each in some)})"


def within(first: object, blocks: int) -> str:
    """The condition of rows that lie in so many blocks from `first` on, a number or the SQL of one."""
    return f"{since(first)} AND ctid < {_place(f'{first} + {blocks}')}"


def since(first: object) -> str:
    """The condition of rows that lie in the block `first` or behind it."""
    return f" WHERE ctid >= {_place(first)}"


def _place(block: object) -> str:
    return f"pg_catalog.format('(%s,0)', {block})::pg_catalog.tid"


def apart(batch: pa.RecordBatch, columns: Sequence[Column]) -> list[pa.Array] | None:
    """The values of each column of a batch of `joining`; None where they cannot be told from each other.

    Each column has as many values as there are rows, so that none of them holds a separator; and of all columns as many
    values stand for null as there are nulls, so that each of them is one."""
    rows, nulls, *values, _ = batch.columns
    arrays = [
        _texts(each) if column.fixed is None else _numbers(each, column.fixed, column.kind)
        for column, each in zip(columns, values, strict=True)
    ]
    total = pc.sum(rows).as_py()
    if any(len(array) != total for array in arrays):
        return None
    return arrays if sum(array.null_count for array in arrays) == (pc.sum(nulls).as_py() or 0) else None


def _texts(joined: pa.Array) -> pa.Array:
    """Each value begins behind a separator; without these they lie one behind the other, as Arrow has them."""
    sent = _sent(joined, "u1")
    before = np.flatnonzero(sent == ord(SEPARATOR))
    rows = len(before)
    places = np.empty(rows + 1, np.int32)
    places[:-1], places[-1] = before - np.arange(rows), len(sent) - rows
    data = sent.tobytes().translate(None, SEPARATOR.encode())  # of NumPy's ways the best takes twice as long
    buffers = [None, pa.py_buffer(places), pa.py_buffer(data)]
    if NULL.encode() in data:
        held = np.frombuffer(data, "u1").take(places[:-1], mode="clip") == ord(NULL)
        buffers[0] = _valid(held & (np.diff(places) == 1))
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def _numbers(joined: pa.Array, fixed: Fixed, kind: pa.DataType) -> pa.Array:
    sent = _sent(joined, fixed.kind)
    bits = sent.view(f">u{sent.itemsize}")
    null = bits == int(fixed.null, 16)
    values: NDArray[Any] = sent.astype(sent.dtype.newbyteorder("="))
    if fixed.epoch:
        values += fixed.epoch
    if pa.types.is_boolean(kind):
        values = np.packbits(values == 1, bitorder="little")
    return pa.Array.from_buffers(kind, len(sent), [_valid(null), pa.py_buffer(values)])


def _sent(joined: pa.Array, kind: str) -> NDArray[Any]:
    """All of it, from the first one's beginning to the last one's end."""
    _, offsets, data = joined.buffers()
    places = np.frombuffer(offsets, np.int32, len(joined) + 1, 4 * joined.offset)
    return np.frombuffer(data, kind, (places[-1] - places[0]) // np.dtype(kind).itemsize, places[0])


def _valid(null: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(~null, bitorder="little"))
