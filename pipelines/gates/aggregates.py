"""Small cells of aggregates: a row that counts a few persons tells of each of them (the threshold rule of official
statistics). Level 4 of GB/T 42460, aggregates only, holds for what has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.gates.classes import Places
from schemas.buffers import flags

Rows = Iterable[pa.RecordBatch]
Source = tuple[Callable[[], Rows], Sequence[str]]
"""Rows, and which of their columns are counts."""


@dataclass(frozen=True)
class Counted:
    """`few` are the places of the rows where a count is below the limit but not zero, by count; `least` the smallest
    count that is not (None: there is none)."""

    few: dict[str, Places]
    least: int | None

    @property
    def places(self) -> Places:
        """The rows where any count is too small."""
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *self.few.values()]))


def counted(sources: Sequence[Source], smallest: int) -> Counted:
    """The counts of a release: as curated, or as published where they carry noise, since what is left out by the true
    number would tell it."""
    few, least = dict[str, Places](), list[int]()
    for read, names in sources:
        for name in names:
            few[name], lowest = _few(read(), name, smallest)
            least += [] if lowest is None else [lowest]
    return Counted(few, min(least, default=None))


def _few(rows: Rows, name: str, smallest: int) -> tuple[Places, int | None]:
    found, least, start = [np.zeros(0, dtype=np.int64)], list[int](), 0
    for batch in rows:
        count = batch[name]
        low = pc.fill_null(pc.and_(pc.greater(count, 0), pc.less(count, smallest)), False)
        found.append(np.flatnonzero(flags(low)) + start)
        enough = count.filter(pc.fill_null(pc.greater_equal(count, smallest), False))
        least += [int(pc.min(enough).as_py())] if len(enough) else []
        start += batch.num_rows
    return np.concatenate(found), min(least, default=None)
