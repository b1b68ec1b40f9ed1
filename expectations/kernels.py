"""The identifiers of a batch, judged before its checks: by the Arrow kernels, some ten thousand values at a time.

DuckDB calls a Python function for every 2,048 values, one call at a time, whatever its threads, and again for each
query. Here the kernels see a batch's columns once, in threads, and what they refuse becomes a table of values: a check
asks whether a value is in it, which DuckDB does in a hash join.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.sql import visitors

from expectations import rows
from expectations.functions import KERNELS
from expectations.sqltables import BATCH, refused_table
from expectations.suite import Prepared
from schemas.sql import quote

ROWS = 64 * 1024
"""Values that a kernel sees at a time."""


class Asked(NamedTuple):
    """A kernel, and the column whose values a check asks of it."""

    kernel: str
    column: str


def asked(checks: Sequence[Prepared]) -> list[Asked]:
    """What the conditions of these checks ask, each once."""
    found = {
        Asked(part.name, column): None
        for _, column, _, condition in rows.of_single_rows(checks)
        for part in visitors.iterate(condition)
        if isinstance(part, sa.Function) and part.name in KERNELS
    }
    return list(found)


def judge(connection: duckdb.DuckDBPyConnection, questions: Collection[Asked]) -> None:
    """Make the kernels SQL functions that are right for the values of the columns asked for; NULL is left to the
    conditions, which ask of values alone. What nobody asks is no function. The batch is the view `batch`, and is read
    once."""
    for name in {each.kernel for each in questions}:
        table = quote(refused_table(name))
        connection.execute(f"CREATE TABLE {table} (value VARCHAR)")
        connection.execute(
            f"CREATE MACRO {name}(given) AS CAST(given AS VARCHAR) NOT IN (SELECT value FROM {table})"
        )
    if not questions:
        return
    columns = sorted({each.column for each in questions})
    chosen = ", ".join(f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" for name in columns)
    threads = _threads(connection)
    batches = connection.execute(f"SELECT {chosen} FROM {BATCH}").to_arrow_reader(ROWS)
    with connection.cursor() as beside:
        for question, refused in _judged(batches, questions, threads):
            if len(refused):
                beside.register("refused", pa.table({"value": refused}))
                beside.execute(f"INSERT INTO {quote(refused_table(question.kernel))} FROM refused")
                beside.unregister("refused")


def _threads(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute("SELECT current_setting('threads')").fetchone()
    return int(found[0]) if found else 1


def _judged(
    batches: pa.RecordBatchReader, questions: Collection[Asked], threads: int
) -> Iterator[tuple[Asked, pa.Array]]:
    """What is refused of each batch, while the next one is read."""
    before: list[tuple[Asked, Future[pa.Array]]] = []
    with ThreadPoolExecutor(threads, "kernel") as pool:
        for batch in batches:
            now = [
                (each, pool.submit(_refused, each.kernel, batch.column(each.column))) for each in questions
            ]
            yield from ((question, work.result()) for question, work in before)
            before = now
        yield from ((question, work.result()) for question, work in before)


def _refused(kernel: str, values: pa.Array) -> pa.Array:
    """The values that the kernel does not take, without null, each once."""
    refused = pc.and_(pc.invert(pa.array(KERNELS[kernel](values), pa.bool_())), values.is_valid())
    return values.filter(refused).unique()
