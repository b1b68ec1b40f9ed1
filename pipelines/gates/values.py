"""Unmasked values in the columns of a publication: those of the dataset's own personal fields, and of its inputs'.

Compared are the fields graded 3 or more that the publication does not give as they are: strings, and whole numbers
of eight digits or more, of types that may have a fraction of eleven. Not compared are fields with a code list and days,
sums and small numbers: equal ones are everyday coincidence. Two questions are asked of every column:

- **The same value?** One is enough, of 4 characters or more, unless it is common: the same text in 21 rows or more
  (a risk below 0.05, GB/T 42460) and with fewer than six digits, such as 暂无备注.
- **Woven in?** A query can join a name to a label. Of up to 1,000 distinct values, half must hold a value of one
  field, and the values held must be nearly as many as those that hold them: one place name in many addresses is no
  person. Drawn are those with the lowest digests; of what a day brings those up to the highest digest of the sample
  before, so that of a table that grows the same share is looked at, and what was drawn is drawn again. Shorter values
  than 4 characters (most names) count at the start or the end or between separators only.

Texts are compared as they are, and without blanks and with ordinary letters for full-width ones (`leak`); a personal
value that is written so itself is compared as it is only.

The values seen are kept as 64-bit digests in a table of DuckDB, which spills beyond its memory; the personal values
are streamed past it and never kept. At 10 million values on either side a collision has a chance of 1 in 200,000.
In data files that an earlier publication has looked through only what is new is looked for (`absent`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lake.deletes import Part
from lake.tables import Tables
from lake.zones import Identifier
from pipelines.engine import engine
from pipelines.gates import absent
from pipelines.gates.absent import Absent, Parted
from pipelines.sqlrows import AT, FILE, undeleted, written
from schemas.settings import Settings
from schemas.sql import quote

COMMON = 21
"""Rows with the same value from which on it singles out nobody: 1/21 is below 0.05."""
SHORTEST, LONGEST = 4, 40
SAMPLE, DRAWN = 1000, 100
"""Distinct values that are drawn of a column at most, and that are enough where a sample was drawn before."""
FEWEST = 5
"""Distinct values at least of which a column is said to be woven."""
MEMORY = "256MB"
_HIGHEST = 2**64 - 1


@dataclass(frozen=True)
class Personal:
    """A field whose unmasked values must not be published: where its values lie, at which snapshot."""

    dataset: str
    field: str
    table: Identifier
    snapshot: int | None
    least: int | None = None
    """Of a field of numbers the smallest that is compared."""

    @property
    def name(self) -> str:
        return f"{self.dataset}.{self.field}"


class Seen:
    """The distinct values that each column of a publication held, as digests; a sample of them as they are."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._below: dict[str, int] = {}
        self._samples: dict[str, int] = {}
        self._places: dict[tuple[Identifier, int | None], int] = {}
        self._parts: dict[int, Parted] = {}
        self._snapshots: dict[str, int] = {}
        self._fields: set[str] = set()
        connection.execute(f"CREATE TABLE met ({_MET})")
        connection.execute("CREATE TABLE seen (name VARCHAR, digest UBIGINT)")
        connection.execute("CREATE TABLE sampled (name VARCHAR, text VARCHAR)")

    def add(self, name: str, texts: pa.Array) -> None:
        """Take in distinct texts of one column's batch."""
        long = texts.filter(pc.greater_equal(pc.utf8_length(texts), SHORTEST))
        if len(long):
            self._insert("INSERT INTO seen SELECT ?, hash(text) FROM batch", name, long)
        below = f"hash(text) <= {self._below[name]}" if name in self._below else "true"
        self._insert(f"INSERT INTO sampled SELECT ?, text FROM batch WHERE {below}", name, texts)
        if self._number("SELECT count(*) FROM sampled WHERE name = ?", name) > 4 * SAMPLE:
            self._thin(name)

    def _thin(self, name: str) -> None:
        """Keep of a column's sample the distinct texts with the lowest digests: as good as drawn, and of the same
        texts always the same, so that the next publication knows their pieces."""
        self._connection.execute(
            "CREATE OR REPLACE TABLE lowest AS SELECT DISTINCT text, hash(text) AS digest FROM sampled "
            f"WHERE name = ? ORDER BY digest LIMIT {SAMPLE}",
            [name],
        )
        self._connection.execute("DELETE FROM sampled WHERE name = ?", [name])
        self._connection.execute("INSERT INTO sampled SELECT ?, text FROM lowest", [name])
        if self._number("SELECT count(*) FROM lowest") == SAMPLE:
            self._below[name] = self._number("SELECT max(digest) FROM lowest")

    def _draw(self, name: str, highest: int) -> None:
        """Leave of the sample what lies up to this digest, if that is enough."""
        if (
            self._number("SELECT count(*) FROM sampled WHERE name = ? AND hash(text) <= ?", name, highest)
            >= DRAWN
        ):
            self._connection.execute("DELETE FROM sampled WHERE name = ? AND hash(text) > ?", [name, highest])
        self._samples[name] = min(highest, self._below.get(name, _HIGHEST))

    def _insert(self, sql: str, name: str, texts: pa.Array) -> None:
        self._connection.register("batch", pa.table({"text": texts}))
        self._connection.execute(sql, [name])
        self._connection.unregister("batch")

    def split(self, before: Mapping[str, int]) -> None:
        """Cut the sample into the pieces that a personal value may be; gather the digests of all that is looked for.
        `before` is the highest digest of each column's sample of an earlier publication."""
        for (name,) in self._connection.execute("SELECT DISTINCT name FROM sampled").fetchall():
            self._thin(name)
            self._draw(name, before.get(name, _HIGHEST))
        self._connection.execute(f"CREATE TABLE pieces AS {_PIECES}")
        self._connection.execute(
            "CREATE TABLE wanted AS SELECT digest FROM seen UNION ALL SELECT hash(piece) FROM pieces"
        )

    def know(self, tables: Tables, fields: Iterable[Personal], before: Absent | None) -> None:
        """Gather the tables that these fields are of: of each the files in which all that is asked is looked for, and
        those that were looked through before."""
        self._connection.register("known", before.digests if before else absent.SCHEMA.empty_table())
        self._connection.execute(
            "CREATE TABLE unknown AS SELECT DISTINCT digest FROM wanted ANTI JOIN known USING (digest)"
        )
        few = (
            self._number("SELECT (SELECT count(*) FROM known) + (SELECT count(*) FROM unknown)")
            <= absent.MOST
        )
        more = "UNION SELECT digest FROM known" if few else ""
        self._connection.execute(f"CREATE TABLE asked AS SELECT DISTINCT digest FROM wanted {more}")
        places: dict[tuple[Identifier, int | None], list[str]] = {}
        for field in fields:
            places.setdefault((field.table, field.snapshot), []).append(field.name)
        for (table, said), names in places.items():
            number = self._places.setdefault((table, said), len(self._places))
            snapshot = said or tables.current_snapshot(table)
            self._connection.register(f"form{number}", tables.schema(table).empty_table())
            self._parts[number] = absent.parted(tables, table, snapshot, names, before)
            if snapshot is not None:
                self._snapshots[".".join(table)] = snapshot

    def look(self, field: Personal) -> None:
        """Pass the field's values by and keep those that are looked for, and how many rows have each. DuckDB reads the
        column from the curated files itself."""
        number = self._places[field.table, field.snapshot]
        parts = self._parts[number]
        self._recall(field, parts.gone)
        form = f"SELECT *, NULL::VARCHAR AS {FILE}, NULL::BIGINT AS {AT} FROM form{number}"
        texts = [_texts(field, form, parts.fresh, "asked")]
        if parts.old and self._number("SELECT count(*) FROM again"):
            texts.append(_texts(field, form, parts.old, "again"))
        self._connection.execute(
            "CREATE OR REPLACE TABLE hits AS "
            "SELECT digest, sum(times)::BIGINT AS times, bool_or(many_digits) AS many_digits FROM ("
            f"SELECT hash(text) AS digest, count(*) AS times, {_digits('text')} >= 6 AS many_digits "
            f"FROM ({' UNION ALL '.join(texts)}) GROUP BY text UNION ALL FROM recalled ANTI JOIN again USING (digest)"
            ") GROUP BY digest"
        )
        self._connection.execute(
            "INSERT INTO met SELECT digest, ?, times, many_digits FROM hits", [field.name]
        )
        self._fields.add(field.name)

    def _recall(self, field: Personal, gone: int | None) -> None:
        """What was found in the field's old files before, as often at least, now that so many rows are gone; and what
        is to be looked for there again: what is new, and what may have become rare."""
        self._connection.execute(
            "CREATE OR REPLACE TABLE recalled AS SELECT digest, greatest(times - ?, 0) AS times, many_digits "
            "FROM known WHERE field = ? AND ? IS NOT NULL",
            [gone, field.name, gone],
        )
        self._connection.execute(
            "CREATE OR REPLACE TABLE again AS SELECT digest FROM unknown UNION "
            f"SELECT digest FROM recalled SEMI JOIN wanted USING (digest) WHERE times < {COMMON}"
        )

    @property
    def absent(self) -> Absent:
        """What was looked for, and where it was found, now or before."""
        digests = self._connection.execute(
            "SELECT digest, NULL::VARCHAR AS field, NULL::BIGINT AS times, NULL::BOOLEAN AS many_digits FROM asked "
            "UNION ALL FROM met SEMI JOIN asked USING (digest)"
        ).to_arrow_table()  # digests alone
        return Absent(self._snapshots, frozenset(self._fields), digests.cast(absent.SCHEMA), self._samples)

    def _number(self, sql: str, *given: str | int) -> int:
        return int(self._connection.execute(sql, given).fetchall()[0][0])

    def same(self) -> dict[str, int]:
        """Distinct values by column that are values of the field looked at."""
        return self._ask(_SAME)

    def woven(self) -> dict[str, int]:
        """Distinct values by column that hold a value of the field looked at, where the column is made of such."""
        return self._ask(_WOVEN)

    def _ask(self, sql: str) -> dict[str, int]:
        return dict(self._connection.execute(sql).fetchall())


_MET = "digest UBIGINT, field VARCHAR, times BIGINT, many_digits BOOLEAN"
_SAME = f"""
    SELECT name, count(DISTINCT digest) FROM seen SEMI JOIN (
        FROM hits WHERE times < {COMMON} OR many_digits
    ) USING (digest) GROUP BY name"""
_WOVEN = f"""
    SELECT name, count(DISTINCT pieces.text) AS holding FROM pieces JOIN hits ON hash(piece) = digest
    GROUP BY name
    HAVING holding >= {FEWEST} AND 2 * count(DISTINCT piece) >= holding
       AND 2 * holding >= (SELECT count(DISTINCT text) FROM sampled WHERE sampled.name = pieces.name)"""
_PIECES = f"""
    SELECT name, hash(text) AS text, piece FROM (
        SELECT name, text, unnest(list_concat(
            [part FOR part IN regexp_split_to_array(text, '[^\\p{{L}}\\p{{N}}]+')],
            [left(text, 2), left(text, 3), right(text, 2), right(text, 3)],
            flatten([[substr(text, start, size) FOR start IN range(1, least(length(text), 60) - size + 2)]
                     FOR size IN range({SHORTEST}, least(length(text), {LONGEST}) + 1)])
        )) AS piece FROM sampled
    ) WHERE length(piece) BETWEEN 2 AND {LONGEST}"""


def _digits(text: str) -> str:
    return f"length(regexp_replace({text}, '[^0-9]', '', 'g'))"


def _texts(field: Personal, form: str, parts: Sequence[Part], digests: str) -> str:
    """A query of the field's values in these files, as text, that are among the digests; of numbers the long ones.
    Which rows are deleted is asked of those alone that are found. `form` is an empty query of all columns."""
    column = quote(field.field)
    rows = f"{form} UNION ALL BY NAME {written(parts)}" if parts else form
    text, long = f"{column}::VARCHAR", ""
    if field.least is not None:
        text, long = (
            f"TRY_CAST({column} AS HUGEINT)::VARCHAR",
            f" AND {column} >= {field.least} AND {column} % 1 = 0",
        )
    found = f"SELECT {text} AS text, {FILE}, {AT} FROM ({rows}) WHERE hash(text) IN (FROM {digests}){long}"
    return f"SELECT text FROM ({undeleted(found, parts)})"


@contextmanager
def seen(settings: Settings) -> Iterator[Seen]:
    """A store of its own with little memory: another engine may be sorting the rows meanwhile."""
    with engine(settings.model_copy(update={"memory": MEMORY})) as connection:
        yield Seen(connection)


def compared(
    store: Seen, columns: Mapping[str, Iterable[Personal]], tables: Tables, kept: Path
) -> Iterator[tuple[str, Personal, str, int]]:
    """Column, field, how (`same` or `woven`) and distinct values, for every column that may not hold the field's.
    `kept` is the file of what the table's publication before looked for."""
    before = absent.load(kept)
    store.split(before.samples if before else {})
    fields = dict.fromkeys(field for several in columns.values() for field in several)
    store.know(tables, fields, before)
    for field in fields:
        store.look(field)
        for how, found in (("same", store.same()), ("woven", store.woven())):
            for name, count in found.items():
                if field in columns[name]:
                    yield name, field, how, count
    absent.keep(kept, store.absent)


__all__ = ["Personal", "Seen", "compared", "seen"]
