"""The classes of a release over its quasi-identifiers, in DuckDB: how big they are, and which rows single somebody out.

A class is all rows that agree in every published quasi-identifier (an empty value agrees with an empty one). Rows and
classes are known by 64-bit digests of what is published; nothing else of a row is kept but its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.sql import quote

DIVERSE = 2
"""Distinct values of a sensitive field that every class holds at least: where all are one, membership tells it."""
_PLACE = "_place"
"""No field's name: those begin with a letter."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """Of the rows that stay: the smallest class (None: no row), how many classes, the least distinct values of a
    sensitive field in a class (l), the greatest distance of a class from the whole (t, equal distances)."""

    rows: int
    classes: int
    k: int | None
    l: int | None  # noqa: E741  the standard's name
    t: float | None


class Release:
    """The rows about to be released. `limit` is the smallest class that may be shown; `rows` are loaded, `compared`
    releases before it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: pa.Schema,
        quasi: list[str],
        sensitive: list[str],
        limit: int,
    ) -> None:
        self._connection, self._limit, self.compared = connection, limit, 0
        self._quasi, self._sensitive, self.rows = quasi, sensitive, 0
        columns = ", ".join(quote(name) for name in schema.names)
        self._digests = f"hash({columns}) AS digest, {_hash(quasi)} AS class"
        self._values = "".join(f", {quote(name)}::VARCHAR AS s{n}" for n, name in enumerate(sensitive))
        self._own = f"{_PLACE} AS place, {self._digests}{self._values}"
        self._combination = ", ".join([f"{_hash(quasi)} AS class", *map(quote, quasi)])
        placed = schema.append(pa.field(_PLACE, pa.int64()))
        self._take(f"CREATE TABLE release AS SELECT {self._own}", placed)
        self._take(f"CREATE TABLE combinations AS SELECT {self._combination}", schema)
        connection.execute("CREATE TABLE gone (place BIGINT)")
        connection.execute("CREATE VIEW kept AS SELECT * FROM release ANTI JOIN gone USING (place)")

    def _take(self, select: str, of: pa.Schema | pa.RecordBatch) -> None:
        table = of.empty_table() if isinstance(of, pa.Schema) else pa.Table.from_batches([of])
        self._connection.register("batch", table)
        self._connection.execute(f"{select} FROM batch")
        self._connection.unregister("batch")

    def load(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Take in the masked rows, in the order in which they will be released."""
        for batch in rows:
            places = pa.array(np.arange(self.rows, self.rows + batch.num_rows))
            self._take(f"INSERT INTO release SELECT {self._own}", batch.append_column(_PLACE, places))
            self._take(f"INSERT INTO combinations SELECT DISTINCT {self._combination}", batch)
            self.rows += batch.num_rows

    def load_earlier(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        """Take in a release that the public has already."""
        name = f"earlier{self.compared}"
        self._take(f"CREATE TABLE {name} AS SELECT {self._digests}", schema)
        for batch in rows:
            self._take(f"INSERT INTO {name} SELECT {self._digests}", batch)
        self.compared += 1

    # ── suppression ──────────────────────────────────────────────────────────────────────────────────────

    def suppress(self) -> None:
        """Take out rows until every class, and every class of what an earlier release did not have, is big enough.

        Each round only takes out more, and what is left after the last one needs none: so it ends."""
        before = -1
        while (count := self._number("SELECT count(*) FROM gone")) != before:
            before = count
            self._connection.execute(
                f"INSERT INTO gone SELECT place FROM kept WHERE class IN ({self._small()})"
            )
            for number in range(self.compared):
                self._connection.execute(self._added(number))

    def _small(self) -> str:
        diverse = "".join(
            f" OR count(DISTINCT s{n}) + max((s{n} IS NULL)::INT) < {DIVERSE}"
            for n in range(len(self._sensitive))
        )
        return f"SELECT class FROM kept GROUP BY class HAVING count(*) < {self._limit}{diverse}"

    def _added(self, earlier: int) -> str:
        """Rows that the earlier release did not have, in classes too small among them. Of equal rows any will do."""
        return f"""
            INSERT INTO gone WITH
                old AS (SELECT digest, count(*) AS times FROM earlier{earlier} GROUP BY digest),
                numbered AS (SELECT place, class, digest,
                             row_number() OVER (PARTITION BY digest ORDER BY place) AS nth FROM kept),
                added AS (SELECT place, class FROM numbered LEFT JOIN old USING (digest)
                          WHERE nth > coalesce(times, 0))
            SELECT place FROM added WHERE class IN
                (SELECT class FROM added GROUP BY class HAVING count(*) < {self._limit})"""

    def departed(self) -> int:
        """Rows of an earlier release that this one does not have, in classes too small among them: whoever has both
        can tell them apart, and nothing that is left out now can hide it. The most of any earlier release."""
        return max((self._number(self._departed(number)) for number in range(self.compared)), default=0)

    def _departed(self, earlier: int) -> str:
        return f"""
            WITH new AS (SELECT digest, count(*) AS times FROM kept GROUP BY digest),
                 old AS (SELECT digest, class, count(*) AS times FROM earlier{earlier} GROUP BY digest, class),
                 lost AS (SELECT class, sum(greatest(old.times - coalesce(new.times, 0), 0)) AS rows
                          FROM old LEFT JOIN new USING (digest) GROUP BY class)
            SELECT coalesce(sum(rows), 0)::BIGINT FROM lost WHERE rows < {self._limit}"""

    def gone(self) -> Places:
        """The places of the rows taken out, rising."""
        found = self._connection.execute("SELECT place FROM gone ORDER BY place").fetchnumpy()["place"]
        return np.asarray(found, dtype=np.int64)

    def small(self) -> int:
        """Rows in classes too small, before anything is taken out."""
        return self._number(f"SELECT count(*) FROM kept WHERE class IN ({self._small()})")

    # ── measures ─────────────────────────────────────────────────────────────────────────────────────────

    def measure(self) -> Measure:
        sizes = "SELECT count(*) AS size FROM kept GROUP BY class"
        rows, classes, k = self._row(
            f"SELECT coalesce(sum(size), 0)::BIGINT, count(*), min(size) FROM ({sizes})"
        )
        several = range(len(self._sensitive)) if rows else ()
        diversity = [self._number(_DIVERSITY.format(n=n)) for n in several]
        distance = [float(self._row(_DISTANCE.format(n=n))[0]) for n in several]
        return Measure(rows, classes, k, min(diversity, default=None), max(distance, default=None))

    def counted_combinations(self) -> None:
        """A table `counted` of every combination of quasi-identifiers and its rows, for the search of coarser ones."""
        names = ", ".join(f"any_value({quote(name)}) AS {quote(name)}" for name in self._quasi)
        self._connection.execute(
            f"CREATE TABLE counted AS SELECT {names}, any_value(size) AS size FROM combinations "
            "JOIN (SELECT class, count(*) AS size FROM release GROUP BY class) USING (class) GROUP BY class"
        )

    def _row(self, sql: str) -> tuple[int, ...]:
        return tuple(self._connection.execute(sql).fetchall()[0])

    def _number(self, sql: str) -> int:
        return int(self._row(sql)[0])


_DIVERSITY = """
    SELECT min(distinct_values) FROM (
        SELECT count(DISTINCT s{n}) + max((s{n} IS NULL)::INT) AS distinct_values FROM kept GROUP BY class)"""
_DISTANCE = """
    WITH valued AS (SELECT class, coalesce(s{n}, '') AS value FROM kept),
         shares AS (SELECT value, count(*) / (SELECT count(*) FROM valued) AS p FROM valued GROUP BY value),
         sizes AS (SELECT class, count(*) AS size FROM valued GROUP BY class),
         own AS (SELECT class, value, count(*) AS times FROM valued GROUP BY class, value)
    SELECT max(distance) FROM (
        SELECT (1 + sum(abs(times / size - p) - p)) / 2 AS distance
        FROM own JOIN sizes USING (class) JOIN shares USING (value) GROUP BY class)"""


def _hash(names: list[str]) -> str:
    return f"hash({', '.join(map(quote, names))})" if names else "0::UBIGINT"
