"""The statements of a merge. Entry names pass through `quote`; two rows are one by their key, where NULL equals NULL.

Within one DuckDB connection these relations stand for the parts of a merge:

    standard   the standardised batch              incoming   the same without the rejected rows
    aside      the keys of rows that could not be standardised, of a snapshot
    stored     the curated rows, with the file and the row in it that hold them
    duplicate  (_seq): the batch's rows for whose key another of its rows stands
    matched    (_seq, file, place, level, older): an upsert's rows beside those stored
    plan       (_seq, file, place, action): what becomes of each other row, and which stored rows go
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lake.batch import Batch
from lake.deletes import Part
from pipelines.sqlrows import AT, FILE, as_json, left, parquet
from schemas.model import Entry
from schemas.sql import literal, quote

BATCH = "_batch"


def _same(names: Iterable[str], left: str, right: str) -> str:
    return " AND ".join(f"{left}.{quote(n)} IS NOT DISTINCT FROM {right}.{quote(n)}" for n in names)


def relations(standard: Sequence[str], rejects: str | None, stored: Sequence[Part]) -> list[str]:
    """Views on the files. `stored_form` is an empty Arrow table of the curated columns, registered beforehand: it
    gives the columns that older files lack."""
    kept = "SELECT * FROM standard"
    if rejects is not None:
        kept += f" ANTI JOIN {parquet([rejects])} USING (_seq)"
    return [
        f"CREATE TEMP VIEW standard AS SELECT * FROM {parquet(standard)}",
        f"CREATE TEMP VIEW incoming AS {kept}",
        f"CREATE TEMP VIEW stored AS {stored_rows(stored)}",
    ]


SHORT_FILE = "file::stored_file AS file"
SHORT_ACTION = "action::fate AS action"
"""In place of columns of text, for DuckDB: a plan has as many rows as the batch, and is held until they are written."""


def short(stored: Sequence[str]) -> list[str]:
    """The types of `SHORT_FILE` and `SHORT_ACTION`: paths of the stored files, and what becomes of a row."""
    fates = ("insert", "update", "delete", "unchanged", "superseded", "quarantine")
    return [
        f"CREATE TYPE {name} AS ENUM ({', '.join(map(literal, texts))})"
        for name, texts in (("stored_file", ["", *stored]), ("fate", fates))
    ]


def stored_rows(parts: Sequence[Part]) -> str:
    """The rows of these data files, with `_lake_file` and `file_row_number`; without files the empty form alone."""
    form = "SELECT * FROM stored_form"
    return f"{form} UNION ALL BY NAME {left(parts)}" if parts else form


def duplicate(entry: Entry, incoming: str = "incoming") -> str:
    """The rows for whose key another stands: the first of an append, the last of a snapshot, the newest of an upsert
    (of equals the last). A row without a time, NULL or NaN, is older than any that has one. The relation `incoming`
    holds at least all rows of those keys that come more than once."""
    order = {"append": "_seq ASC", "snapshot": "_seq DESC"}.get(entry.merge.kind)
    if order is None:
        order = f"{_time(entry, 'i')} DESC NULLS LAST, _seq DESC"
    ranked = f"SELECT _seq, row_number() OVER (PARTITION BY {_keys(entry, 'i')} ORDER BY {order}) AS rank"
    return f"SELECT _seq FROM ({ranked} FROM {incoming} AS i) AS ranked WHERE rank > 1"


def often(entry: Entry) -> str:
    """For DuckDB the rows of keys that come more than once, and maybe a few others: those whose key's hash does. Hashes
    are counted in a third of the memory in which rows are ranked, and there is one for equal keys, however written:
    DuckDB groups and joins by it. Mostly there is nothing left to rank."""
    digest = f"hash({_keys(entry, 'incoming')})"
    several = f"SELECT {digest} FROM incoming GROUP BY {digest} HAVING count(*) > 1"
    return f"(SELECT * FROM incoming WHERE {digest} IN ({several}))"


def _keys(entry: Entry, relation: str) -> str:
    return ", ".join(f"{relation}.{quote(name)}" for name in entry.key)


def _time(entry: Entry, relation: str) -> str:
    """The row's `order_by`, which every upsert has; NaN is no time."""
    name = str(entry.merge.order_by)
    column = f"{relation}.{quote(name)}"
    if entry.fields[name].type == "number":
        return f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END"
    return column


_FIRST = "(SELECT * FROM incoming ANTI JOIN duplicate USING (_seq)) AS i"
"""The rows that stand for their keys."""


def plan(entry: Entry) -> str:
    """What becomes of the row that stands for its key, against the stored row of that key: of a snapshot, an append."""
    other = "quarantine" if entry.merge.kind == "append" else "update"
    return (
        f"SELECT i._seq, s.{FILE} AS file, s.{AT} AS place, "
        f"CASE WHEN s.{FILE} IS NULL THEN 'insert' WHEN {_same(entry.fields, 'i', 's')} THEN 'unchanged' "
        f"ELSE '{other}' END AS action FROM {_FIRST} LEFT JOIN stored AS s ON {_same(entry.key, 'i', 's')}"
    )


def matched(entry: Entry, batch: Batch) -> str:
    """The stored row of each of an upsert's keys, and which of the two is newer. Only keys and times are read of the
    stored rows: where the times differ the rows do, and `same` compares the others."""
    new, old = _time(entry, "i"), _time(entry, "s")
    return (
        f"SELECT i._seq, s.{FILE} AS file, s.{AT} AS place, "
        f"s.{FILE} IS NOT NULL AND ({new}) IS NOT DISTINCT FROM ({old}) AS level, {_older(entry, batch)} AS older "
        f"FROM {_FIRST} LEFT JOIN stored AS s ON {_same(entry.key, 'i', 's')}"
    )


LEVEL = "SELECT DISTINCT file FROM matched WHERE level"


def same(entry: Entry, stored: str = "stored") -> str:
    """The rows of an upsert that are stored as they come. The relation `stored` holds those of the same time."""
    return (
        f"SELECT m._seq FROM {stored} AS s "
        f"JOIN (SELECT * FROM matched WHERE level) AS m ON s.{FILE} = m.file AND s.{AT} = m.place "
        f"JOIN incoming AS i ON i._seq = m._seq WHERE {_same(entry.fields, 'i', 's')}"
    )


PLANNED = (
    "SELECT _seq, file, place, CASE WHEN file IS NULL THEN 'insert' "
    "WHEN level AND _seq IN (SELECT _seq FROM same) THEN 'unchanged' "
    "WHEN older THEN 'superseded' ELSE 'update' END AS action FROM matched"
)
"""What becomes of an upsert's rows, after `matched` and `same`."""


def _older(entry: Entry, batch: Batch) -> str:
    """Whether the incoming row is older than the stored one: by `order_by`, and where that is equal by the ends of
    the intervals that brought them (a batch id begins with it), so that a late batch undoes nothing."""
    later = f"left(s.{BATCH}, 16) > {literal(batch.id[:16])}"
    new, old = _time(entry, "i"), _time(entry, "s")
    behind = f"({old}) IS NOT NULL AND (({new}) IS NULL OR ({new}) < ({old}))"
    return f"(({behind}) OR (({new}) IS NOT DISTINCT FROM ({old}) AND {later}))"


def deletions(entry: Entry) -> str:
    """Stored rows whose key a snapshot no longer holds. A row that was set aside, by the checks or before them, is
    still held by its source, so its key's last good version stays."""
    return (
        f"SELECT NULL AS _seq, s.{FILE} AS file, s.{AT} AS place, 'delete' AS action FROM stored AS s "
        f"ANTI JOIN standard AS i ON {_same(entry.key, 'i', 's')} "
        f"ANTI JOIN aside AS a ON {_same(entry.key, 'a', 's')}"
    )


COUNTS = """
SELECT 'rows_in', count(*) FROM incoming
UNION ALL SELECT 'duplicate', count(*) FROM duplicate
UNION ALL SELECT action, count(*) FROM plan GROUP BY action
"""
NO_PLAN = "CREATE TEMP TABLE plan (_seq BIGINT, file VARCHAR, place BIGINT, action VARCHAR)"
_GOES = "action IN ('update', 'delete')"
TOUCHED = f"SELECT file, count(*) FROM plan WHERE {_GOES} GROUP BY file"
PLACES = f"SELECT place FROM plan WHERE file = ? AND {_GOES} ORDER BY place"


LAST = "SELECT 'last', coalesce(max(_seq), -1) FROM standard"
WRITTEN = "SELECT _seq FROM plan WHERE action IN ('insert', 'update')"


def stays(rewritten: str, columns: Sequence[str]) -> str:
    """What stays of the rows of the relation `rewritten`."""
    return (
        f"SELECT {', '.join(map(quote, columns))} FROM {rewritten} AS s ANTI JOIN "
        f"(SELECT file, place FROM plan WHERE {_GOES}) AS p ON s.{FILE} = p.file AND s.{AT} = p.place"
    )


def fresh(entry: Entry, batch: Batch) -> str:
    """The batch's new and changed rows."""
    return (
        f"SELECT {', '.join(map(quote, entry.fields))}, {literal(batch.id)} AS {BATCH} FROM incoming "
        f"SEMI JOIN ({WRITTEN}) USING (_seq)"
    )


REFUSED = (
    "SELECT i.* FROM incoming AS i SEMI JOIN (SELECT _seq FROM plan WHERE action = 'quarantine') USING (_seq)"
)


def refused(entry: Entry) -> str:
    """Rows that would change what an append-only table holds: file, row and the row's values as a JSON object."""
    return f"SELECT i._file AS file, i._row AS row, {as_json(entry, 'i')} AS data FROM ({REFUSED}) AS i"
