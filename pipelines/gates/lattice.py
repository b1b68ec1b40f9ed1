"""Coarser masks that bring a release below its limits: searched for, and the ones that lose least taken.

Each quasi-identifier has a ladder from what is published now to not at all: that of its field or element (`ladder:`),
else a place by district, city and province, a day by month, quarter, year and decade, a number by bins that are joined
two by two. All combinations are a lattice. What a combination keeps is the share of each column's entropy (non-uniform
entropy, Gionis and Tassa 2009), the mean over the columns, times the share of the rows that stay.

The search tries the middle one of those that could still be best: where it does not suffice none finer does, where it
does none that keeps less need be tried. So a few dozen of thousands are counted, and the result is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import duckdb
import pyarrow as pa

from pipelines.gates.forms import Shape, coarser
from pipelines.gates.limits import Limits
from pipelines.gates.measures import failing
from schemas.model import Constant, Generalise, Ladder, Mask
from schemas.rules.masks import PLACES, TIMES
from schemas.sql import quote

MOST = 20_000
"""Combinations of a lattice at most: of a larger one the ladders are thinned, the longest first."""
BINS = 32
HIDDEN = Constant(value="*")
"""The last rung: the column stays, and says nothing."""
Height = tuple[int, ...]


@dataclass(frozen=True)
class Rung:
    """One step of a ladder: the value in SQL, and its mask (None: as it is now)."""

    sql: str
    mask: Mask | None


@dataclass(frozen=True)
class Proposal:
    """Masks by field that would do, rows to be left out still, and the share of information they keep."""

    masks: dict[str, Mask]
    height: Height
    suppressed: int
    kept: float

    def __str__(self) -> str:
        return "{" + ", ".join(f"{name}: {_written(mask)}" for name, mask in self.masks.items()) + "}"


def _written(mask: Mask) -> str:
    """As it is written in an entry; a column that says nothing is better left out."""
    if not isinstance(mask, Generalise):
        return "drop"
    what = (
        f"to: {mask.to}" if mask.to else f"bins: [{', '.join(f'{bound:.10g}' for bound in mask.bins or ())}]"
    )
    return f"{{kind: generalise, {what}}}"


def ladder(connection: duckdb.DuckDBPyConnection, shape: Shape) -> list[Rung]:
    """The rungs of one published column of the table `counted`, the finest first and the hidden column last."""
    rungs = [Rung(quote(shape.field.name), None)]
    for mask in _steps(connection, shape):
        sql = coarser(shape, mask)
        if sql is not None and mask != shape.mask:
            rungs.append(Rung(sql, mask))
    return [*rungs, Rung("''", HIDDEN)]


def _steps(connection: duckdb.DuckDBPyConnection, shape: Shape) -> Iterator[Generalise]:
    said: Ladder = shape.field.ladder
    now = shape.mask.bins if isinstance(shape.mask, Generalise) else None
    if said:
        yield from (Generalise(to=s) if isinstance(s, str) else Generalise(bins=s) for s in said)
    elif shape.field.element == "division_code" or (
        shape.mask.kind == "generalise" and _word(shape) in PLACES
    ):
        yield from (Generalise(to=word) for word in PLACES)
    elif shape.field.type in ("date", "timestamp"):
        yield from (Generalise(to=word) for word in TIMES)
    elif now is not None:
        yield from _halved(now)
    elif (
        pa.types.is_integer(kind := shape.sql_type) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    ):
        yield from _numbers(connection, quote(shape.field.name))


def _word(shape: Shape) -> str | None:
    return shape.mask.to if isinstance(shape.mask, Generalise) else None


def _numbers(connection: duckdb.DuckDBPyConnection, column: str) -> Iterator[Generalise]:
    """Bins of a round width, at most so many; then joined two by two."""
    low, high = connection.execute(
        f"SELECT min({column})::DOUBLE, max({column})::DOUBLE FROM counted"
    ).fetchall()[0]
    if low is None or not high > low or math.isnan(high):
        return
    width = 10.0 ** math.floor(math.log10((high - low) / BINS) + 1e-9)
    while (count := math.floor(high / width) - math.floor(low / width) + 1) > BINS:
        width *= 2
    bins = tuple(float(f"{(math.floor(low / width) + step) * width:.10g}") for step in range(count))
    yield Generalise(bins=bins)
    yield from _halved(bins)


def _halved(bins: tuple[float, ...]) -> Iterator[Generalise]:
    while len(bins) > 1:
        bins = bins[::2]
        yield Generalise(bins=bins)


class Lattice:
    """All combinations of the rungs of `shapes`, over the table `counted` of the release: every combination of its
    quasi-identifiers and sensitive fields, and its rows."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, shapes: Mapping[str, Shape], limits: Limits
    ) -> None:
        self._connection, self._limits = connection, limits
        self.ladders = _thinned({name: ladder(connection, shape) for name, shape in shapes.items()})
        self._shares = {name: self._shares_of(rungs) for name, rungs in self.ladders.items()}
        self.rows = int(connection.execute("SELECT coalesce(sum(size), 0) FROM counted").fetchall()[0][0])

    def search(self, most: int, refused: Sequence[Height] = ()) -> Proposal | None:
        """The combination that keeps most, of those that leave out `most` rows at most; none that is as fine as one
        of `refused`."""
        spans = [range(len(rungs)) for rungs in self.ladders.values()]
        left = sorted(((self._share(height), height) for height in product(*spans)), reverse=True)
        left = [each for each in left if not any(_finer(each[1], other) for other in refused)]
        best: Proposal | None = None
        while left:
            share, height = left.pop(len(left) // 2)
            out = self._left_out(height)
            if out > most:
                left = [each for each in left if not _finer(each[1], height)]
                continue
            kept = share * (1 - out / self.rows) if self.rows else share
            if best is None or (kept, height) > (best.kept, best.height):
                best = Proposal(self.masks(height), height, out, kept)
            left = [each for each in left if each[0] > best.kept]
        return best

    @property
    def floor(self) -> Height:
        """As it is now."""
        return tuple(0 for _ in self.ladders)

    def masks(self, height: Height) -> dict[str, Mask]:
        """The masks of a combination, of the fields that become coarser."""
        steps = zip(self.ladders.items(), height, strict=True)
        found = {name: rungs[at].mask for (name, rungs), at in steps}
        return {name: mask for name, mask in found.items() if mask is not None}

    def _share(self, height: Height) -> float:
        shares = [own[at] for own, at in zip(self._shares.values(), height, strict=True)]
        return sum(shares) / len(shares) if shares else 1.0

    def _left_out(self, height: Height) -> int:
        """Rows in classes that fail."""
        fixed = [quote(name) for name in self._limits.quasi if name not in self.ladders]
        columns = [rungs[at].sql for rungs, at in zip(self.ladders.values(), height, strict=True)]
        sensitive = "".join(f"{quote(name)} AS s{n}, " for n, name in enumerate(self._limits.sensitive))
        by = ", ".join([*fixed, *columns])
        units = f"(SELECT hash({by}) AS class, {sensitive}sum(size) AS size FROM counted GROUP BY ALL)"
        sql = f"""WITH tried AS MATERIALIZED {units}
            SELECT coalesce(sum(size), 0)::BIGINT FROM tried WHERE class IN ({failing("tried", self._limits)})"""
        return int(self._connection.execute(sql).fetchall()[0][0])

    def _shares_of(self, rungs: list[Rung]) -> list[float]:
        """The share of a column's entropy that each rung keeps."""
        bits = [self._entropy(rung.sql) for rung in rungs]
        return [each / bits[0] if bits[0] else 1.0 for each in bits]

    def _entropy(self, column: str) -> float:
        sql = f"""
            WITH sizes AS (SELECT sum(size) AS size FROM counted GROUP BY {column}),
                 whole AS (SELECT sum(size) AS rows FROM sizes)
            SELECT -sum(size / rows * log2(size / rows)) FROM sizes, whole"""
        return abs(float(self._connection.execute(sql).fetchall()[0][0] or 0))


def _finer(one: Height, other: Height) -> bool:
    """Whether one is as fine as the other in every field, or finer."""
    return all(a <= b for a, b in zip(one, other, strict=True))


def _thinned(ladders: dict[str, list[Rung]]) -> dict[str, list[Rung]]:
    while math.prod(map(len, ladders.values())) > MOST:
        name = max(ladders, key=lambda each: len(ladders[each]))
        first, *middle, last = ladders[name]
        ladders[name] = [first, *middle[1::2], last]
    return ladders
