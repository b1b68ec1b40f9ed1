"""What is to be delivered, to whoever delivers it: rows that stream, what changed of them, and the right to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import pyarrow as pa

from schemas.errors import DeliveryError, DeliveryUnfit

T = TypeVar("T")
_LABEL: Final = re.compile(r"xuanwu (?P<name>\S+ \S+ \d+) snapshot (?P<snapshot>\d+)")


class Change(NamedTuple):
    """From one snapshot to a later one: rows that came, and the keys of rows that went. A row that was written again
    is among both. Each is read once."""

    fresh: pa.RecordBatchReader
    gone: pa.RecordBatchReader


@dataclass(frozen=True)
class Order:
    """One delivery. `name` tells it from all others; `keys` are for an upsert alone. `change` gives what changed since
    a snapshot, None where that is not known any more. `still` raises once the right to deliver has ended."""

    name: str
    place: str
    snapshot: int
    schema: pa.Schema
    rows: int
    whole: Callable[[], pa.RecordBatchReader]
    change: Callable[[int], Change | None]
    still: Callable[[], object]
    keys: tuple[str, ...] = ()

    @property
    def schema_and_table(self) -> tuple[str | None, str]:
        schema, _, table = self.place.rpartition(".")
        return schema or None, table

    @property
    def label(self) -> str:
        """What is written beside the rows, where it changes with them: which delivery they are of, which snapshot."""
        return f"xuanwu {self.name} snapshot {self.snapshot}"

    def delivered(self, label: str | None) -> int:
        """The snapshot that a label tells of. DeliveryUnfit where it is none, or another delivery's."""
        found = _LABEL.fullmatch(label or "")
        if found is None or found["name"] != self.name:
            raise DeliveryUnfit(
                f"{self.place}: a table of this name is there, and this delivery did not make it",
                next_step="rename it or drop it, then `xuanwu deliveries retry`; or declare another table",
            )
        return int(found["snapshot"])

    def fits(self, found: dict[str, str], wanted: dict[str, str], *, more: bool) -> None:
        """DeliveryUnfit where the recipient's table lacks columns or has them in other types; and, unless `more`, where
        it has more, which a new table would not."""
        wrong = [f"{name} {kind}" for name, kind in wanted.items() if found.get(name) != kind]
        rest = [] if more else sorted(found.keys() - wanted.keys())
        if wrong or rest:
            told = "; ".join(
                f"{what} {', '.join(names)}"
                for what, names in (("it lacks", wrong), ("it alone has", rest))
                if names
            )
            raise DeliveryUnfit(
                f"{self.place}: the table has another form than what is delivered: {told}",
                next_step="alter the table, or rename or drop it and have it made anew; then `xuanwu deliveries retry`",
            )

    def balanced(self, found: int) -> None:
        """DeliveryError where the target would not hold as many rows as the snapshot."""
        if found != self.rows:
            raise DeliveryError(
                f"{self.place} would hold {found} rows, the snapshot has {self.rows}; nothing was changed",
                next_step="see who else writes to the table; where it was changed, drop it and have it made anew",
            )


@dataclass
class Told:
    """Rows as they pass: how many, and what the lake could not give, which drivers would hide in an error of theirs."""

    rows: int = 0
    altered: int = 0
    error: BaseException | None = field(default=None)

    def given(self, ask: Callable[[], T]) -> T:
        """What the lake gives when it is asked."""
        try:
            return ask()
        except Exception as error:
            self.error = error
            raise

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in batches:
                self.rows += batch.num_rows
                yield batch
        except Exception as error:
            self.error = error
            raise
