"""Unmasked values in the columns of a publication: those of the dataset's own personal fields, and of its inputs'.

Compared are the fields graded 3 or more that the publication does not give as they are: strings, and whole numbers
of eight digits or more. Not compared are fields with a code list and days, sums and small numbers: equal ones are
everyday coincidence. Two questions are asked of every column:

- **The same value?** One is enough, of 4 characters or more, unless it is common: the same text in 21 rows or more
  (a risk below 0.05, GB/T 42460) and with fewer than six digits, such as 暂无备注.
- **Woven in?** A query can join a name to a label. Of up to 1,000 distinct values, half must hold a value of one
  field, and the values held must be nearly as many as those that hold them: one place name in many addresses is no
  person. Shorter values than 4 characters (most names) count at the start or the end or between separators only.

The values seen are kept as 64-bit digests in a table of DuckDB, which spills beyond its memory; the personal values
are streamed past it and never kept. At 10 million values on either side a collision has a chance of 1 in 200,000.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.tables import Identifier, Tables
from pipelines.engine import engine
from pipelines.sqlrows import left
from schemas.settings import Settings
from schemas.sql import quote

COMMON = 21
"""Rows with the same value from which on it singles out nobody: 1/21 is below 0.05."""
SHORTEST, LONGEST = 4, 40
SAMPLE = 1000
FEWEST = 5
"""Distinct values at least of which a column is said to be woven."""
MEMORY = "256MB"
SIEVED = 1_000_000
"""Digests up to which there is a sieve before the join."""
_SIEVE_BITS = 1 << 24
_THROUGH_SIEVE = f"get_bit(?::BLOB::BIT, (hash(text) & {_SIEVE_BITS - 1})::INTEGER) = 1 AND "
_MANY_DIGITS = 10**7


@dataclass(frozen=True)
class Personal:
    """A field whose unmasked values must not be published: where its values lie, at which snapshot."""

    dataset: str
    field: str
    table: Identifier
    snapshot: int | None
    number: bool = False

    @property
    def name(self) -> str:
        return f"{self.dataset}.{self.field}"


class Seen:
    """The distinct values that each column of a publication held, as digests; a sample of them as they are."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._sampled: Counter[str] = Counter()
        self._sieve: bytes | None = None
        connection.execute("CREATE TABLE seen (name VARCHAR, digest UBIGINT)")
        connection.execute("CREATE TABLE sampled (name VARCHAR, text VARCHAR)")

    def add(self, name: str, texts: pa.Array) -> None:
        """Take in distinct texts of one column's batch."""
        long = texts.filter(pc.greater_equal(pc.utf8_length(texts), SHORTEST))
        if len(long):
            self._insert("INSERT INTO seen SELECT ?, hash(text) FROM batch", name, long)
        if (wanted := SAMPLE - self._sampled[name]) > 0:
            some = texts.slice(0, wanted)
            self._sampled[name] += len(some)
            self._insert("INSERT INTO sampled SELECT ?, text FROM batch", name, some)

    def _insert(self, sql: str, name: str, texts: pa.Array) -> None:
        self._connection.register("batch", pa.table({"text": texts}))
        self._connection.execute(sql, [name])
        self._connection.unregister("batch")

    def split(self) -> None:
        """Cut the sample into the pieces that a personal value may be; gather the digests of all that is looked for."""
        self._connection.execute(f"CREATE TABLE pieces AS {_PIECES}")
        self._connection.execute(
            "CREATE TABLE wanted AS SELECT digest FROM seen UNION ALL SELECT hash(piece) FROM pieces"
        )
        self._sieve = self._sifted()

    def _sifted(self) -> bytes | None:
        """A bit for each digest that is looked for, where they are few: most of a large table's values are passed by
        at the price of one bit each. None where they are many."""
        [(count,)] = self._connection.execute("SELECT count(*) FROM wanted").fetchall()
        if count > SIEVED:
            return None
        digests = self._connection.execute("SELECT digest FROM wanted").fetchnumpy()["digest"]
        bits = np.zeros(_SIEVE_BITS, np.bool_)
        bits[np.asarray(digests, np.uint64) & np.uint64(_SIEVE_BITS - 1)] = True
        return np.packbits(bits).tobytes()

    def look(self, field: Personal, tables: Tables) -> None:
        """Pass the field's values by and keep those that are looked for, and how many rows have each. DuckDB reads the
        column from the curated files itself."""
        self._connection.register("form", tables.schema(field.table).empty_table())
        sieve = "" if self._sieve is None else _THROUGH_SIEVE
        self._connection.execute(
            f"CREATE OR REPLACE TABLE hits AS SELECT text, count(*) AS times FROM ({_texts(field, tables)}) "
            f"WHERE {sieve}hash(text) IN (SELECT digest FROM wanted) GROUP BY text",
            [] if self._sieve is None else [self._sieve],
        )

    def same(self) -> dict[str, int]:
        """Distinct values by column that are values of the field looked at."""
        return self._ask(_SAME)

    def woven(self) -> dict[str, int]:
        """Distinct values by column that hold a value of the field looked at, where the column is made of such."""
        return self._ask(_WOVEN)

    def _ask(self, sql: str) -> dict[str, int]:
        return dict(self._connection.execute(sql).fetchall())


_SAME = f"""
    SELECT name, count(DISTINCT digest) FROM seen JOIN (
        SELECT hash(text) AS digest FROM hits
        WHERE length(text) >= {SHORTEST}
          AND (times < {COMMON} OR length(regexp_replace(text, '[^0-9]', '', 'g')) >= 6)
    ) USING (digest) GROUP BY name"""
_WOVEN = f"""
    SELECT name, count(DISTINCT pieces.text) AS holding FROM pieces JOIN hits ON piece = hits.text
    GROUP BY name
    HAVING holding >= {FEWEST} AND 2 * count(DISTINCT piece) >= holding
       AND 2 * holding >= (SELECT count(DISTINCT text) FROM sampled WHERE sampled.name = pieces.name)"""
_PIECES = f"""
    SELECT name, text, piece FROM (
        SELECT name, text, unnest(list_concat(
            [part FOR part IN regexp_split_to_array(text, '[^\\p{{L}}\\p{{N}}]+')],
            [left(text, 2), left(text, 3), right(text, 2), right(text, 3)],
            flatten([[substr(text, start, size) FOR start IN range(1, least(length(text), 60) - size + 2)]
                     FOR size IN range({SHORTEST}, least(length(text), {LONGEST}) + 1)])
        )) AS piece FROM sampled
    ) WHERE length(piece) BETWEEN 2 AND {LONGEST}"""


def _texts(field: Personal, tables: Tables) -> str:
    """A query of the field's values as text; of numbers the long ones."""
    parts, column = tables.parts(field.table, field.snapshot), quote(field.field)
    rows = "SELECT * FROM form" + (f" UNION ALL BY NAME {left(parts)}" if parts else "")
    where = f" WHERE {column} >= {_MANY_DIGITS}" if field.number else ""
    return f"SELECT {column}::VARCHAR AS text FROM ({rows}){where}"


@contextmanager
def seen(settings: Settings) -> Iterator[Seen]:
    """A store of its own with little memory: another engine may be sorting the rows meanwhile."""
    with engine(settings.model_copy(update={"memory": MEMORY})) as connection:
        yield Seen(connection)


def compared(
    store: Seen, columns: Mapping[str, Iterable[Personal]], tables: Tables
) -> Iterator[tuple[str, Personal, str, int]]:
    """Column, field, how (`same` or `woven`) and distinct values, for every column that may not hold the field's."""
    store.split()
    fields = dict.fromkeys(field for several in columns.values() for field in several)
    for field in fields:
        store.look(field, tables)
        for how, found in (("same", store.same()), ("woven", store.woven())):
            for name, count in found.items():
                if field in columns[name]:
                    yield name, field, how, count


__all__ = ["Personal", "Seen", "compared", "seen"]
