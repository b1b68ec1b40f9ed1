"""Coarser masks that would bring a release below the limit: searched for, and the one that loses least proposed.

Each quasi-identifier has a ladder from what is published now to not at all: a place by district, city and province,
a day by month, quarter, year and decade, a number by bins of doubling width. All combinations are a lattice. What a
combination keeps is the share of each column's entropy (non-uniform entropy, Gionis and Tassa 2009), the mean over
the columns: a column left out keeps nothing. What is coarser than a combination that suffices keeps less and is not
tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import duckdb
import pyarrow as pa

from schemas.model import Field, Generalise, Mask
from schemas.rules.masks import PLACES, TIMES
from schemas.sql import quote

MOST = 3000
"""Combinations that are tried at most."""
BINS = 32


@dataclass(frozen=True)
class Step:
    """One rung: the value in SQL, and the mask as it is written in the entry (empty: as it is now)."""

    sql: str
    written: str


@dataclass(frozen=True)
class Proposal:
    """Masks by field that would do, rows still to be left out, and the share of information they keep."""

    masks: dict[str, str]
    suppressed: int
    kept: float

    def __str__(self) -> str:
        return "{" + ", ".join(f"{name}: {mask}" for name, mask in self.masks.items()) + "}"


def ladder(connection: duckdb.DuckDBPyConnection, field: Field, mask: Mask, kind: pa.DataType) -> list[Step]:
    """The rungs of one published column of the table `counted`, the finest first and the column left out last."""
    column = quote(field.name)
    rungs = [Step(column, "")]
    to = mask.to if isinstance(mask, Generalise) else None
    if to in PLACES or (mask.kind == "keep" and field.element == "division_code"):
        rungs += _places(column, to)
    elif to in TIMES or pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        rungs += _times(column, to, kind, field.timezone)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        rungs += _numbers(connection, column)
    return [*rungs, Step("''", "drop")]


def _places(column: str, to: str | None) -> Iterator[Step]:
    digits = {"district": 6, "city": 4, "province": 2}
    for name in PLACES[PLACES.index(to) + 1 if to in PLACES else 0 :]:
        yield Step(f"left({column}, {digits[name]})", f"{{kind: generalise, to: {name}}}")


def _times(column: str, to: str | None, kind: pa.DataType, zone: str) -> Iterator[Step]:
    local = f"timezone('{zone}', {column})" if pa.types.is_timestamp(kind) else column
    text = column if pa.types.is_string(kind) else f"strftime({local}, '%Y-%m-%d')"
    quarter = (
        f"CASE WHEN {text} LIKE '%Q%' THEN {text} ELSE "
        f"left({text}, 4) || '-Q' || ((substr({text}, 6, 2)::INT + 2) // 3) END"
    )
    forms = {
        "day": text,
        "month": f"left({text}, 7)",
        "quarter": quarter,
        "year": f"left({text}, 4)",
        "decade": f"left({text}, 3)",
    }
    for name in TIMES[TIMES.index(to) + 1 if to in TIMES else 0 :]:
        yield Step(forms[name], f"{{kind: generalise, to: {name}}}")


def _numbers(connection: duckdb.DuckDBPyConnection, column: str) -> Iterator[Step]:
    low, high = connection.execute(
        f"SELECT min({column})::DOUBLE, max({column})::DOUBLE FROM counted"
    ).fetchall()[0]
    if low is None or not high > low:
        return
    width = 10.0 ** math.floor(math.log10((high - low) / BINS) + 1e-9)
    while (count := math.floor(high / width) - math.floor(low / width) + 1) > 1:
        if count <= BINS:
            first = math.floor(low / width)
            bounds = ", ".join(f"{(first + step) * width:.10g}" for step in range(count))
            yield Step(f"floor({column}::DOUBLE / {width})", f"{{kind: generalise, bins: [{bounds}]}}")
        width *= 2


def search(
    connection: duckdb.DuckDBPyConnection, ladders: dict[str, list[Step]], limit: int, suppressible: int
) -> Proposal | None:
    """The combination that keeps most, of those whose small classes hold no more rows than may be left out."""
    keeps = [_shares(connection, rungs) for rungs in ladders.values()]
    heights = product(*(range(len(rungs)) for rungs in ladders.values()))
    best: Proposal | None = None
    enough: list[tuple[int, ...]] = []
    for height in sorted(heights, key=lambda each: (sum(each), each))[:MOST]:
        if any(all(a <= b for a, b in zip(found, height, strict=True)) for found in enough):
            continue
        steps = {name: rungs[at] for (name, rungs), at in zip(ladders.items(), height, strict=True)}
        small = _small(connection, [step.sql for step in steps.values()], limit)
        if small <= suppressible:
            enough.append(height)
            kept = sum(shares[at] for shares, at in zip(keeps, height, strict=True)) / len(keeps)
            if best is None or kept > best.kept:
                best = Proposal({name: s.written for name, s in steps.items() if s.written}, small, kept)
    return best


def _small(connection: duckdb.DuckDBPyConnection, columns: list[str], limit: int) -> int:
    """Rows in classes below the limit."""
    classes = f"SELECT sum(size) AS size FROM counted GROUP BY {', '.join(columns)}"
    sql = f"SELECT coalesce(sum(size) FILTER (size < {limit}), 0)::BIGINT FROM ({classes})"
    return int(connection.execute(sql).fetchall()[0][0])


def _shares(connection: duckdb.DuckDBPyConnection, rungs: list[Step]) -> list[float]:
    """The share of a column's entropy that each rung keeps."""
    bits = [_entropy(connection, step.sql) for step in rungs]
    return [each / bits[0] if bits[0] else 1.0 for each in bits]


def _entropy(connection: duckdb.DuckDBPyConnection, column: str) -> float:
    sql = f"""
        WITH sizes AS (SELECT sum(size) AS size FROM counted GROUP BY {column}),
             whole AS (SELECT sum(size) AS rows FROM sizes)
        SELECT -sum(size / rows * log2(size / rows)) FROM sizes, whole"""
    return float(connection.execute(sql).fetchall()[0][0] or 0)
