"""The classes of a release over its quasi-identifiers, in DuckDB: how big they are, and which rows single somebody out.

A class is all rows that agree in every published quasi-identifier (an empty value agrees with an empty one). Rows are
known by their place; a token is kept as 64 bits of its MD5. DuckDB spills what its memory does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lake import store
from lake.ahead import ahead
from pipelines.gates import measures
from pipelines.gates.limits import Limits
from pipelines.publishing.counting import TIMES
from schemas.sql import quote

PLACE, CLASS = "_place", "_class"
"""No fields' names: those begin with a letter."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """Of the rows that stay: the smallest class (None: no row), how many classes, the least distinct values of a
    sensitive field in a class (l), the greatest distance of a class from the whole (t)."""

    rows: int
    classes: int
    k: int | None
    l: int | None  # noqa: E741  the standard's name
    t: float | None


def compact(names: Iterable[str], tokens: Iterable[str]) -> str:
    """Columns in SQL as a release is kept: tokens by their digest, which is the same in every version of DuckDB."""
    hashed = set(tokens)
    return ", ".join(
        f"md5_number_lower({quote(name)}) AS {quote(name)}" if name in hashed else quote(name)
        for name in names
    )


class Release:
    """The rows about to be released, held to `limits`. `tokens` are columns of tokens; `rows` have been loaded. Where
    they are `counted` each stands for as many as its `_times` says: they can be measured, and none be taken out."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: pa.Schema,
        limits: Limits,
        tokens: Iterable[str],
        *,
        counted: bool = False,
    ) -> None:
        self.connection, self.limits, self.rows = connection, limits, 0
        self._schema = schema.append(pa.field(TIMES, pa.int64())) if counted else schema
        self.size = f"sum({TIMES})::BIGINT" if counted else "count(*)"
        """How many rows some of `kept` are, in SQL."""
        self._own = f"{PLACE}, {self.class_of(limits.quasi)} AS {CLASS}, {compact(schema.names, tokens)}"
        if counted:
            self._own += f", {TIMES}"
        for kind, name in (("VIEW", "units"), ("VIEW", "kept"), ("TABLE", "release"), ("TABLE", "gone")):
            connection.execute(f"DROP {kind} IF EXISTS {name}")
        self._take("CREATE TABLE release AS", self._schema.append(pa.field(PLACE, pa.int64())).empty_table())
        connection.execute(f"CREATE TABLE gone ({PLACE} BIGINT)")
        connection.execute(f"CREATE VIEW kept AS SELECT * FROM release ANTI JOIN gone USING ({PLACE})")
        sensitive = "".join(f", {quote(name)} AS s{n}" for n, name in enumerate(limits.sensitive))
        connection.execute(
            f"CREATE VIEW units AS SELECT {CLASS} AS class{sensitive}, {self.size} AS size FROM kept GROUP BY ALL"
        )

    @staticmethod
    def class_of(names: Iterable[str]) -> str:
        columns = ", ".join(map(quote, names))
        return f"hash({columns})" if columns else "0::UBIGINT"

    def _take(self, sql: str, rows: pa.Table) -> None:
        self.connection.register("batch", rows)
        self.connection.execute(f"{sql} SELECT {self._own} FROM batch")
        self.connection.unregister("batch")

    def load(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Take in the masked rows, in the order in which they will be released."""
        first = 0
        with closing(ahead(store.row_groups(rows, self._schema))) as groups:
            for group in groups:
                places = pa.array(np.arange(first, first + group.num_rows))
                self._take("INSERT INTO release", group.append_column(PLACE, places))
                first += group.num_rows
        self.rows = self.number(f"SELECT coalesce({self.size}, 0) FROM release")

    # ── suppression ──────────────────────────────────────────────────────────────────────────────────────

    def take_out_failing(self) -> None:
        """Take out the rows of every class that is too small, not diverse or too far from the whole, until none is:
        what is taken out moves the whole."""
        failing = measures.failing("units", self.limits)
        before = -1
        while (count := self.out()) != before:
            before = count
            self.connection.execute(f"INSERT INTO gone SELECT {PLACE} FROM kept WHERE {CLASS} IN ({failing})")

    def out(self) -> int:
        """How many rows have been taken out."""
        return self.number("SELECT count(*) FROM gone")

    def gone(self) -> Places:
        """The places of the rows taken out, rising."""
        found = self.connection.execute(f"SELECT {PLACE} FROM gone ORDER BY 1").fetchnumpy()[PLACE]
        return np.asarray(found, dtype=np.int64)

    def small(self) -> int:
        """Rows in classes that fail, before anything is taken out."""
        failing = measures.failing("units", self.limits)
        return self.number(f"SELECT count(*) FROM kept WHERE {CLASS} IN ({failing})")

    # ── measures ─────────────────────────────────────────────────────────────────────────────────────────

    def measure(self) -> Measure:
        sizes = "SELECT sum(size) AS size FROM units GROUP BY class"
        rows, classes, k = self._row(
            f"SELECT coalesce(sum(size), 0)::BIGINT, count(*), min(size)::BIGINT FROM ({sizes})"
        )
        several = range(len(self.limits.sensitive)) if rows else ()
        diversity = [self.number(measures.diversity("units", n)) for n in several]
        return Measure(
            rows, classes, k, min(diversity, default=None), max(self._distances(several), default=None)
        )

    def _distances(self, several: Iterable[int]) -> Iterator[float]:
        for n in several:
            found = measures.distance("units", n, self.limits)
            yield float(self._row(f"SELECT max(distance) FROM ({found})")[0])

    def count_combinations(self) -> None:
        """A table `counted` of every combination of quasi-identifiers and sensitive fields and its rows, for the
        search of coarser ones."""
        names = ", ".join(map(quote, dict.fromkeys((*self.limits.quasi, *self.limits.sensitive))))
        by = f"{names}, " if names else ""
        self.connection.execute(
            f"CREATE OR REPLACE TABLE counted AS SELECT {by}count(*) AS size FROM release GROUP BY ALL"
        )

    def _row(self, sql: str) -> tuple[int, ...]:
        return tuple(self.connection.execute(sql).fetchall()[0])

    def number(self, sql: str) -> int:
        """The one number that a query gives."""
        return int(self._row(sql)[0])
