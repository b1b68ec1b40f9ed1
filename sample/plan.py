"""What the sample city's files have in common: the calendar, rows drawn chunk by chunk, and the faults
planted in them.

Row number i of a dataset is the same whatever the city's size, because numbers are drawn for whole chunks. A
fault sits at fixed places of a period, so that no row has two, and how many there are is counted, not
estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sample import people

Flags = NDArray[np.bool_]
Times = NDArray[np.datetime64]

DAYS = (date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4))
"""The sample city's calendar: working days. A source on day n holds what happened until the evening of that
day."""
CHUNK = 16_384
SET_ASIDE = {
    "wrong_check_digit",
    "missing_name",
    "impossible_date",
    "birth_date_mismatch",
    "unknown_code",
    "wrong_form",
    "negative_number",
    "out_of_bounds",
    "ragged_row",
    "nul_byte",
    "closed_before_opened",
}
"""Faults whose rows the catalogue's types and checks quarantine. The others are repaired, superseded or
warned of."""


@dataclass(frozen=True)
class City:
    """Where the city is written, as it stands on `day` (1 to 3). `rows` is the number of residents on day
    1."""

    folder: Path
    day: int
    rows: int
    seed: int

    @property
    def date(self) -> date:
        return DAYS[self.day - 1]

    def share(self, part: float, least: int) -> int:
        """A number of rows in proportion to the residents."""
        return max(least, int(self.rows * part))


@dataclass(frozen=True)
class Faults:
    """Kinds of faults, the j-th at the rows whose number is 3j+1 modulo `period`."""

    period: int
    kinds: tuple[str, ...]

    def masks(self, number: people.Numbers) -> dict[str, Flags]:
        return {kind: number % self.period == 3 * j + 1 for j, kind in enumerate(self.kinds)}

    def clean(self, number: people.Numbers) -> Flags:
        """Rows that have no fault and stand next to none."""
        return number % self.period >= 3 * len(self.kinds) + 1


@dataclass
class Account:
    """What was written for one dataset on one day: `rows` in the source, `arrives` of them in the day's
    batch, planted `faults` among those, how many of these are `set_aside`, and what changed since the day
    before."""

    rows: int = 0
    arrives: int = 0
    set_aside: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)

    def add(self, part: Part) -> None:
        self.rows += part.size
        arrives = np.ones(part.size, dtype=bool) if part.arrives is None else part.arrives
        self.arrives += int(arrives.sum())
        for kind, mask in part.faults.items():
            self.faults[kind] += int((mask & arrives).sum())
        for kind, mask in part.changes.items():
            self.changes[kind] += int(mask.sum())
        self.set_aside = sum(count for kind, count in self.faults.items() if kind in SET_ASIDE)

    def report(self) -> dict[str, Any]:
        counts = {name: dict(sorted((+getattr(self, name)).items())) for name in ("faults", "changes")}
        return {"rows": self.rows, "arrives": self.arrives, "set_aside": self.set_aside, **counts}


class Part(NamedTuple):
    """Some rows of a source: its columns, the rows that the day's batch gets (None: all), faults and
    changes."""

    columns: dict[str, pa.Array]
    faults: dict[str, Flags]
    changes: Mapping[str, Flags] = MappingProxyType({})
    arrives: Flags | None = None

    @property
    def size(self) -> int:
        return len(next(iter(self.columns.values())))

    def only(self, kept: Flags) -> Part:
        """The part without the rows that no longer stand in the source; changes speak of those too and
        stay."""
        mask = pa.array(kept)
        return Part(
            {name: column.filter(mask) for name, column in self.columns.items()},
            {kind: flags[kept] for kind, flags in self.faults.items()},
            self.changes,
            None if self.arrives is None else self.arrives[kept],
        )


class Draw:
    """Random columns of one chunk. Whole chunks are drawn and cut, so that a longer dataset begins as a
    shorter one."""

    def __init__(self, city: City, dataset: str, number: people.Numbers, salt: int = 0) -> None:
        self.size = len(number)
        self.number = number
        chunk = int(number[0]) // CHUNK if self.size else 0
        self._rng = np.random.default_rng([city.seed, crc32(dataset.encode()), salt, chunk])

    def below(self, high: int) -> people.Numbers:
        return self._rng.integers(0, high, CHUNK)[: self.size]

    def pick(self, values: tuple[str, ...]) -> pa.Array:
        return people.take(np.array(values), self.below(len(values)))

    def names(self) -> pa.Array:
        return people.names(self._rng, CHUNK).slice(0, self.size)

    def phones(self) -> pa.Array:
        return people.phones(self._rng, CHUNK).slice(0, self.size)

    def dates(self, day: Times) -> pa.Array:
        """Dates as four kinds of people write them."""
        text = people.iso(day)
        year, month, rest = (pc.utf8_slice_codeunits(text, a, b) for a, b in ((0, 4), (5, 7), (8, 10)))
        forms = (
            text,
            people.join(year, month, rest),
            people.join(year, "/", month, "/", rest),
            people.join(year, "年", month, "月", rest, "日"),
        )
        return pc.choose(pa.array(self.below(4)), *forms)


def chunks(first: int, last: int, cuts: tuple[int, ...] = ()) -> Iterator[people.Numbers]:
    """Row numbers from `first` to `last`, cut where chunks begin and at `cuts`."""
    while first < last:
        end = min(last, (first // CHUNK + 1) * CHUNK, *(cut for cut in cuts if cut > first))
        yield np.arange(first, end, dtype=np.int64)
        first = end


def edit(column: pa.Array, mask: Flags, change: Callable[[str], str | None]) -> pa.Array:
    """The column with `change` made to the rows of `mask`, which are few."""
    if not mask.any():
        return column
    where = pa.array(mask)
    changed = [change(value) for value in column.filter(where).to_pylist()]
    return pc.replace_with_mask(column, where, pa.array(changed, column.type))


# ── faults, a value at a time ─────────────────────────────────────────────────────────────────────────────


def wrong_check(value: str) -> str:
    """Another check character."""
    return value[:-1] + ("1" if value[-1] == "0" else "0")


def full_width(value: str) -> str:
    """As typed with a Chinese input method: １２３."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)


def spaced(value: str) -> str:
    """Blanks around, an ideographic one (U+3000) among them."""
    return f" {value}\u3000 "


def thousands(value: str) -> str:
    """1234567.50 as 1,234,567.50."""
    whole, point, rest = value.partition(".")
    return f"{int(whole):,}{point}{rest}"
