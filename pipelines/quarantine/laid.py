"""What is laid over the rows of a source: texts that a person wrote in the place of single cells (`corrections`).

It knows files and rows alone: a worker of a cluster lays them over its part of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.records import Landed
from schemas.buffers import Flags, Places, flags
from schemas.errors import LakeError


@dataclass(frozen=True)
class Laid:
    """What is laid over one column of a batch of rows: at the places of `mask`, in their order, `texts`."""

    mask: pa.Array
    texts: pa.Array

    @cached_property
    def places(self) -> Mapping[int, str | None]:
        return dict(zip(np.flatnonzero(flags(self.mask)).tolist(), self.texts.to_pylist(), strict=True))

    def among(self, rows: pa.Array) -> dict[int, str | None]:
        """The texts of some of the rows, by their place among those."""
        wanted = enumerate(rows.to_pylist())
        return {at: self.places[row] for at, row in wanted if row in self.places}


@dataclass(frozen=True)
class Corrections:
    """The corrected cells of one batch: of each file and column the numbers of rows, rising, and texts; and the names
    of the acts that brought them. Corrections are written by people, and lie in memory."""

    cells: Mapping[tuple[str, str], tuple[Places, pa.Array]] = field(default_factory=dict)
    acts: tuple[str, ...] = ()

    @property
    def values(self) -> int:
        return sum(len(texts) for _, texts in self.cells.values())

    def on(self, raw: pa.RecordBatch, file: str) -> dict[str, Laid]:
        """What is laid over a reader's batch of this file, by column."""
        found: dict[str, Laid] = {}
        for (name, column), (rows, texts) in self.cells.items():
            if name == file and (laid := _laid(raw["_row"], rows, texts)) is not None:
                found[column] = laid
        return found

    def require(self, landed: Landed, laid: int) -> None:
        """LakeError unless every correction found its one cell."""
        if laid != self.values:
            raise LakeError(
                f"{laid} values were corrected and {self.values} corrections are there: one names a row that is not",
                dataset=landed.batch.dataset,
                batch=landed.batch.id,
                rule="a correction is of one cell of the batch",
                next_step="keep the batch's folders and report it; nothing more is done with the batch",
            )


def _laid(numbers: pa.Array, rows: Places, texts: pa.Array) -> Laid | None:
    own = numbers.to_numpy(zero_copy_only=False)
    at = np.minimum(np.searchsorted(rows, own), len(rows) - 1)
    mask: Flags = rows[at] == own
    return Laid(pa.array(mask), texts.take(pa.array(at[mask]))) if mask.any() else None


def mended(raw: pa.RecordBatch, laid: Mapping[str, Laid]) -> pa.RecordBatch:
    """A row that could not be read, and was written by a person, is one that can: its cells are those of the
    correction."""
    if not laid or raw["_error"].null_count == raw.num_rows:
        return raw
    whole = np.logical_or.reduce([flags(each.mask) for each in laid.values()])
    blank = pa.nulls(raw.num_rows, pa.string())
    for name in ("_error", "_raw"):
        index = raw.schema.get_field_index(name)
        raw = raw.set_column(index, raw.schema.field(name), pc.if_else(pa.array(whole), blank, raw[name]))
    return raw
