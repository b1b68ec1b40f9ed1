"""Masked rows as distinct ones, each with how often it comes: of a release to the public few are distinct.

Every class of such a release has 21 rows or more, so that hundreds of rows stand for a million. The disclosure gate
judges them, and writing repeats them, without another look at the table. Where a release stands that left nothing out,
only what became of its curated table since is counted: it is what stands, less the rows that are gone, and the new.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lake.ahead import abreast
from lake.deletes import NOWHERE, Part, Positions
from pipelines.engine import ENGINE_ERRORS, engine
from pipelines.publishing import increments
from pipelines.publishing.increments import Way
from pipelines.sqlrows import left
from schemas.errors import XuanwuError
from schemas.settings import Settings
from schemas.sql import quote

TIMES: Final = "_times"
"""No field's name: those begin with a letter."""
REPEATED: Final = 0.25
"""Distinct rows in the first batch, of its rows, up to which rows are counted."""
MOST: Final = 100_000
"""Distinct rows that are held in memory."""
BATCH_ROWS: Final = 32 * 1024
Masking = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def repeats(batch: pa.RecordBatch) -> bool:
    """Whether most rows of the batch are there several times. Not of floats, whose zeros with and without a sign are
    one to whoever counts, nor of what Arrow does not group by."""
    if batch.num_rows == 0 or not all(map(_countable, batch.schema.types)):
        return False
    distinct = pa.Table.from_batches([batch]).group_by(batch.schema.names).aggregate([])
    return bool(distinct.num_rows <= REPEATED * batch.num_rows)


def _countable(kind: pa.DataType) -> bool:
    plain = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_temporal)
    return any(of_kind(kind) for of_kind in plain)


def repeated(counted: pa.RecordBatch, *, encoded: bool = False) -> Iterator[pa.RecordBatch]:
    """Each distinct row as often as it came, in batches of an ordinary size. Of a row that comes very often a batch is
    made once and given again and again. `encoded` is text as numbers in a dictionary, of the batch's own values in
    the order in which they come: a Parquet writer need not look at every value then."""
    form = _encoded if encoded else _plain
    return (batch for batch in _batches(counted, form) if batch.num_rows)


def _plain(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows


def _encoded(rows: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pc.dictionary_encode(each) if pa.types.is_string(each.type) else each for each in rows.columns]
    return pa.RecordBatch.from_arrays(columns, rows.schema.names)


def _batches(
    counted: pa.RecordBatch, form: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    distinct, often = counted.drop_columns([TIMES]), counted.column(TIMES).to_numpy()
    first, held = 0, 0
    for row, times in enumerate(often.tolist()):
        held += times
        if held < BATCH_ROWS:
            continue
        blocks, rest = divmod(times, BATCH_ROWS)
        yield _several(form(distinct.slice(first, row - first)), often[first:row])
        block = _several(form(distinct.slice(row, 1)), [BATCH_ROWS if blocks else rest])
        yield from itertools.repeat(block, blocks)
        yield block.slice(0, rest)
        first, held = row + 1, 0
    yield _several(form(distinct.slice(first)), often[first:])


def _several(rows: pa.RecordBatch, often: Sequence[int] | NDArray[np.int64]) -> pa.RecordBatch:
    return rows.take(pa.array(np.repeat(np.arange(rows.num_rows), often)))


def count(settings: Settings, schema: pa.Schema, rows: Iterable[pa.RecordBatch]) -> pa.RecordBatch | None:
    """The distinct rows in their order and how often each comes; None where they hardly repeat, or are too many."""
    failures: list[XuanwuError] = []
    with closing(keeping(rows, failures)) as kept:
        first = next(kept, None)
        if first is None or not repeats(first):
            return None
        reader = pa.RecordBatchReader.from_batches(schema, itertools.chain([first], kept))
        try:
            with engine(settings) as connection:
                connection.register("masked", reader)
                return _distinct(connection, schema, f"SELECT *, 1 AS {TIMES} FROM masked")
        except ENGINE_ERRORS:
            if failures:
                raise failures[0] from None
            raise


def keeping(
    rows: Iterable[pa.RecordBatch], failures: list[XuanwuError]
) -> Generator[pa.RecordBatch, None, None]:
    """DuckDB turns what is raised while it reads into an error of its own: ours is kept beside."""
    try:
        yield from rows
    except XuanwuError as error:
        failures.append(error)
        raise


def _distinct(connection: duckdb.DuckDBPyConnection, schema: pa.Schema, rows: str) -> pa.RecordBatch | None:
    """The rows of a query, whose last column says how often each comes, added up; None of more than `MOST`."""
    names = ", ".join(map(quote, schema.names))
    found = connection.execute(
        f"SELECT {names}, sum({TIMES})::BIGINT AS {TIMES} FROM ({rows}) GROUP BY {names} "
        f"HAVING sum({TIMES}) <> 0 ORDER BY {names} LIMIT {MOST + 1}"
    ).to_arrow_table()  # at most so many rows
    if found.num_rows > MOST:
        return None
    form = schema.append(pa.field(TIMES, pa.int64()))
    columns = [column.combine_chunks() for column in found.cast(form).columns]
    return pa.RecordBatch.from_arrays(columns, schema=form)


# ── what became of a release ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Former:
    """A release that left nothing out, and the way from it. `rows` are its own as they were written down, with how many
    more or fewer there are in the column `change`; without them the table is read."""

    settings: Settings
    way: Way
    rows: Iterator[pa.RecordBatch] | None = None
    change: str = ""


def changed(former: Former, schema: pa.Schema, names: list[str], masking: Masking) -> pa.RecordBatch | None:
    """The rows at the end of the way, counted. `names` are the curated columns that `masking` takes. None where little
    can be saved, and where the counts do not add up."""
    way = former.way
    if (curated := way.parts()) is None:
        return None
    old, new = curated
    change = increments.changed(old, new)
    if change is None or change.rows > increments.SHARE * sum(part.rows for part in old):
        return None
    failures: list[XuanwuError] = []
    streams = {
        "gone": _gone(way, old, change, names),
        "fresh": _fresh(way, change, names),
    }
    try:
        with engine(former.settings) as connection:
            for name, rows in streams.items():
                masked = keeping(masking(rows), failures)
                connection.register(name, pa.RecordBatchReader.from_batches(schema, masked))
            found = _distinct(connection, schema, _balance(connection, former, schema))
    except ENGINE_ERRORS:
        if failures:
            raise failures[0] from None
        raise
    if found is None:
        return None
    times = found.column(TIMES).to_numpy()
    return found if (times > 0).all() and times.sum() == sum(part.rows for part in new) else None


def _balance(connection: duckdb.DuckDBPyConnection, former: Former, schema: pa.Schema) -> str:
    names = ", ".join(map(quote, schema.names))
    stands = ""
    rows, way = former.rows, former.way
    if rows is not None and (first := next(rows, None)) is not None:
        told = pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], rows))
        connection.register("stands", told)
        stands = f"SELECT {names}, {former.change} AS {TIMES} FROM stands UNION ALL "
    elif rows is None and (published := way.tables.parts(way.table)):
        stands = f"SELECT {names}, 1 AS {TIMES} FROM ({left(published)}) UNION ALL "
    return f"{stands}SELECT *, -1 AS {TIMES} FROM gone UNION ALL SELECT *, 1 AS {TIMES} FROM fresh"


def _gone(
    way: Way, parts: Sequence[Part], change: increments.Change, names: list[str]
) -> Iterator[pa.RecordBatch]:
    """The rows, as they were, that are no longer there: of whole files, and the few of files that stay."""
    for part in parts:
        if change.gone.get(part.path, NOWHERE) is None:
            for rows, _ in way.tables.read_places(way.curated, part, names):
                yield rows
    few = ((part, change.gone.get(part.path)) for part in parts)
    marked = [(part, going) for part, going in few if going is not None and len(going)]
    for rows in abreast(partial(_marked, way, names), marked, way.threads):
        yield from rows.combine_chunks().to_batches()


def _marked(way: Way, names: list[str], marked: tuple[Part, Positions]) -> pa.Table:
    """The rows of a file at these places."""
    part, going = marked
    return pa.Table.from_batches(way.tables.read_at(way.curated, part, names, going))


def _fresh(way: Way, change: increments.Change, names: list[str]) -> Iterator[pa.RecordBatch]:
    for part in change.fresh:
        for rows, _ in way.tables.read_places(way.curated, part, names):
            yield rows
