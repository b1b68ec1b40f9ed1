"""Local suppression 局部抑制 (GB/T 37964): of rows that single somebody out cells are emptied, and the row stays.

Of the rows in classes that fail, as few quasi-identifiers as will do are emptied: first those one of which suffices,
the one that rescues most rows before the others, then those of two, and so on. The rows that agree in what is left
are a class as any other. Those that no emptying rescues are left out whole.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pipelines.gates import measures
from pipelines.gates.classes import CLASS, PLACE, Places, Release
from schemas.sql import quote

MOST = 8
"""Quasi-identifiers of which cells are emptied, the first ones; 2 to their power sets are tried."""


def empty(release: Release) -> bool:
    """Empty cells of the loaded rows; whether there were any that fail."""
    connection = release.connection
    failing = measures.failing("units", release.limits)
    connection.execute(f"CREATE OR REPLACE TABLE pool AS SELECT * FROM kept WHERE {CLASS} IN ({failing})")
    connection.execute(f"CREATE OR REPLACE TABLE emptied ({PLACE} BIGINT, field VARCHAR)")
    fields = release.limits.quasi[:MOST]
    for size in range(1, len(fields) + 1):
        sets = list(combinations(fields, size))
        while sets and (best := max(sets, key=lambda each: _rescued(release, each))):
            if not _rescued(release, best):
                break
            _apply(release, best)
            sets.remove(best)
    return bool(release.number("SELECT count(*) FROM emptied"))


def places(release: Release) -> dict[str, Places]:
    """The cells emptied of the rows that stay, by field, rising."""
    found = {name: _places(release, name) for name in release.limits.quasi[:MOST]}
    return {name: places for name, places in found.items() if len(places)}


def _groups(release: Release, emptied: tuple[str, ...]) -> str:
    """What of the pool would be classes that do not fail, were these fields empty."""
    limits = release.limits
    left = release.class_of(name for name in limits.quasi if name not in emptied)
    diverse = "".join(
        f" AND count(DISTINCT {quote(name)}) + max(({quote(name)} IS NULL)::INT) >= {limits.l}"
        for name in limits.sensitive
    )
    return f"SELECT {left} AS rest, count(*) AS size FROM pool GROUP BY 1 HAVING size >= {limits.k}{diverse}"


def _rescued(release: Release, emptied: tuple[str, ...]) -> int:
    return release.number(f"SELECT coalesce(sum(size), 0)::BIGINT FROM ({_groups(release, emptied)})")


def _apply(release: Release, emptied: tuple[str, ...]) -> None:
    connection, limits = release.connection, release.limits
    left = release.class_of(name for name in limits.quasi if name not in emptied)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE rescued AS SELECT {PLACE} FROM pool "
        f"WHERE {left} IN (SELECT rest FROM ({_groups(release, emptied)}))"
    )
    among = f"WHERE {PLACE} IN (SELECT {PLACE} FROM rescued)"
    connection.execute(f"DELETE FROM pool {among}")
    for name in emptied:
        connection.execute(f"INSERT INTO emptied SELECT {PLACE}, ? FROM rescued", [name])
    connection.execute(f"UPDATE release SET {', '.join(f'{quote(name)} = NULL' for name in emptied)} {among}")
    connection.execute(f"UPDATE release SET {CLASS} = {release.class_of(limits.quasi)} {among}")


def _places(release: Release, name: str) -> Places:
    sql = f"SELECT {PLACE} FROM emptied ANTI JOIN gone USING ({PLACE}) WHERE field = ? ORDER BY 1"
    return np.asarray(release.connection.execute(sql, [name]).fetchnumpy()[PLACE], dtype=np.int64)


def rows(release: Release) -> int:
    """Rows that stay with a cell emptied."""
    return release.number(f"SELECT count(DISTINCT {PLACE}) FROM emptied ANTI JOIN gone USING ({PLACE})")
