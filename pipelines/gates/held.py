"""A column's texts, each once with its rows, held until they are many: the gates look at many at the price of a few."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

MOST_TEXTS, MOST_BYTES = 128 * 1024, 4 << 20
"""From where on what is held is full."""


@dataclass
class Held:
    """What came since it was last taken. Batches repeat one another: where they have made it full it is first made one
    of each again."""

    counted: list[pa.RecordBatch] = field(default_factory=list)
    texts: int = 0
    size: int = 0

    def add(self, texts: pa.Array, often: pa.Array | None = None) -> None:
        """Take in a batch's texts, each there once, or as often as `often` says."""
        if often is None:
            found = pc.value_counts(texts.drop_null())
            self._hold(pa.record_batch([found.field(0), found.field(1)], ["text", "rows"]))
        else:
            present = texts.is_valid()
            self._hold(pa.record_batch([texts.filter(present), often.filter(present)], ["text", "rows"]))
            self._hold(self._merged())
        if self.full and len(self.counted) > 1:
            self._hold(self._merged())

    def _hold(self, counted: pa.RecordBatch) -> None:
        self.counted.append(counted)
        self.texts, self.size = self.texts + counted.num_rows, self.size + counted.nbytes

    def _merged(self) -> pa.RecordBatch:
        table = pa.Table.from_batches(self.counted)
        merged = table.group_by("text", use_threads=False).aggregate([("rows", "sum")])
        self.counted, self.texts, self.size = [], 0, 0
        columns = [merged[name].combine_chunks() for name in ("text", "rows_sum")]
        return pa.record_batch(columns, ["text", "rows"])

    @property
    def full(self) -> bool:
        return self.texts >= MOST_TEXTS or self.size >= MOST_BYTES

    def taken(self) -> tuple[pa.Array, pa.Array]:
        """Distinct texts and how many rows have each; nothing is held any more."""
        if not self.counted:
            return pa.array([], pa.string()), pa.array([], pa.int64())
        merged = self.counted[0] if len(self.counted) == 1 else self._merged()
        self.counted, self.texts, self.size = [], 0, 0
        return merged.column(0), merged.column(1)
