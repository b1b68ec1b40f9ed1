"""Aggregates: a row that counts a few persons tells of each of them (the threshold rule of official statistics), and so
does what has changed in a row since an earlier release, where its count has changed by a few. Level 4 of GB/T 42460,
aggregates only, holds for what has neither.

Beside a count stand other numbers of the same persons, a sum or another count: who has both releases subtracts them,
and knows what the few who came or went have in common. So a row's counts, as published, are as they were in every
earlier release that showed the row, or differ by the least count. Numbers that carry noise, bins, and fields of
`risk: none` are not of this kind; a count that stands alone tells that somebody came, and nothing else of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.deletes import NOWHERE
from pipelines.gates import released
from pipelines.gates.classes import PLACE, Places, compact
from pipelines.gates.forms import Shape, common
from schemas.buffers import flags
from schemas.model import Entry
from schemas.rules.masks import NUMBERS
from schemas.sql import quote

Rows = Iterable[pa.RecordBatch]
Source = tuple[Callable[[], Rows], Sequence[str]]
"""Rows, and which of their columns are counts."""
_EXACT = ("keep", "round", "clip")
"""Masks under which a number can be subtracted from another."""


# ── small counts ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Counted:
    """`few` are the places of the rows where a count is below the limit but not zero, by count; `least` the smallest
    count that is not (None: there is none)."""

    few: dict[str, Places]
    least: int | None

    @property
    def places(self) -> Places:
        """The rows where any count is too small."""
        return np.unique(np.concatenate([NOWHERE, *self.few.values()]))


def counted(sources: Sequence[Source], smallest: int, out: Places = NOWHERE) -> Counted:
    """The counts of a release: as curated, or as published where they carry noise, since what is left out by the true
    number would tell it. Rows that are `out` already are no least count."""
    few, least = dict[str, Places](), list[int]()
    for read, names in sources:
        for name in names:
            few[name], lowest = _few(read(), name, smallest, out)
            least += [] if lowest is None else [lowest]
    return Counted(few, min(least, default=None))


def _few(rows: Rows, name: str, smallest: int, out: Places) -> tuple[Places, int | None]:
    found, least, start = [NOWHERE], list[int](), 0
    for batch in rows:
        count = batch[name]
        low = pc.fill_null(pc.and_(pc.greater(count, 0), pc.less(count, smallest)), False)
        found.append(np.flatnonzero(flags(low)) + start)
        shown = flags(pc.fill_null(pc.greater_equal(count, smallest), False))
        shown &= np.isin(np.arange(start, start + batch.num_rows), out, invert=True)
        least += [int(pc.min(count.filter(pa.array(shown))).as_py())] if shown.any() else []
        start += batch.num_rows
    return np.concatenate(found), min(least, default=None)


# ── what changed ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Aggregates:
    """What is released of an entry, and the least count of persons that may come or go."""

    entry: Entry
    shapes: Mapping[str, Shape]
    smallest: int

    @property
    def counts(self) -> tuple[str, ...]:
        return self.entry.open.counts or ()

    @property
    def telling(self) -> list[str]:
        """The numbers that tell of the persons who are counted: the counts, and what is not nobody's."""
        return [
            name
            for name, shape in self.shapes.items()
            if shape.mask.kind in _EXACT
            and shape.field.type in NUMBERS
            and name not in self.entry.key
            and (name in self.counts or self.entry.fields[name].risk != "none")
        ]


def changed(
    connection: duckdb.DuckDBPyConnection,
    new: Aggregates,
    rows: Callable[[], Rows],
    kept: Sequence[released.Kept],
) -> Places:
    """The places, rising, of the rows of which a count differs by too few from an earlier release, where both show
    another telling number. Rows are the same that agree in the published key; releases that publish it, or a number,
    in another form are not compared by it."""
    comparable, found = list(_comparable(new, kept)), [NOWHERE]
    if comparable:
        _load(connection, rows(), new.shapes)
    for form, same, few in comparable:
        connection.execute("DROP TABLE IF EXISTS old")
        released.load(connection, "old", form)
        sql = (
            f"SELECT DISTINCT {PLACE} FROM new JOIN old ON {same} WHERE ({few}) AND old.{released.CHANGE} > 0"
        )
        found.append(np.asarray(connection.execute(sql).fetchnumpy()[PLACE], np.int64))
    return np.unique(np.concatenate(found))


def _comparable(
    new: Aggregates, kept: Sequence[released.Kept]
) -> Iterator[tuple[list[released.Kept], str, str]]:
    """Releases of one form, and in SQL: which rows are the same, and whether too few came or went."""
    for form in released.forms(kept):
        before = form[0].shapes
        alike = {pair.name for pair in common(before, new.shapes) if pair.old == pair.new}
        key = [name for name in new.entry.key if name in new.shapes or name in before]
        shown = [name for name in new.telling if name in alike]
        few = [_by_few(name, shown, new.smallest) for name in shown if name in new.counts]
        if key and alike.issuperset(key) and few and len(shown) > 1:
            same = (f"new.{column} IS NOT DISTINCT FROM old.{column}" for column in map(quote, key))
            yield form, " AND ".join(same), " OR ".join(few)


def _by_few(count: str, shown: list[str], smallest: int) -> str:
    column = quote(count)
    others = (quote(name) for name in shown if name != count)
    both = (f"(new.{other} IS NOT NULL AND old.{other} IS NOT NULL)" for other in others)
    differs = f"abs(new.{column}::HUGEINT - old.{column}::HUGEINT) BETWEEN 1 AND {smallest - 1}"
    return f"{differs} AND ({' OR '.join(both)})"


def _load(connection: duckdb.DuckDBPyConnection, rows: Rows, shapes: Mapping[str, Shape]) -> None:
    """The rows as they would be kept, with their places, in the table `new`."""
    tokens = [name for name, shape in shapes.items() if shape.mask.kind == "hmac"]
    schema = pa.schema([(name, shape.sql_type) for name, shape in shapes.items()])
    sql, start = "CREATE TABLE new AS", 0
    for batch in itertools.chain([pa.RecordBatch.from_pylist([], schema)], rows):
        places = pa.array(np.arange(start, start := start + batch.num_rows))
        connection.register("batch", pa.Table.from_batches([batch]).append_column(PLACE, places))
        connection.execute(f"{sql} SELECT {PLACE}, {compact(shapes, tokens)} FROM batch")
        connection.unregister("batch")
        sql = "INSERT INTO new"
