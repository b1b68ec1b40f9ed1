"""What a merge asks of the engine that plans it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import pyarrow as pa

from lake import datafiles
from lake.deletes import Part, Positions
from lake.records import Checked
from lake.zones import Identifier
from pipelines.context import Context
from schemas.model import Entry

Counted: TypeAlias = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """One batch on its way into one table; `aside` are the keys of rows that its source holds and that could not be
    standardised, `digest` is of everything that decides the result besides the table."""

    ctx: Context
    entry: Entry
    checked: Checked
    table: Identifier
    aside: pa.Table
    digest: str


class Planner(Protocol):
    """An engine that decides what becomes of a batch's rows, by the statements of `merging.sql`."""

    def plan(self) -> dict[str, int]:
        """Decide; returns rows by action, and `rows_in`."""

    def supersede(self) -> dict[str, int]:
        """Decide that no row changes anything; the same counts."""

    def refused(self) -> Iterable[pa.RecordBatch]:
        """Rows that an append-only table does not take: `file`, `row`, `data`."""

    def going(self) -> dict[str, int]:
        """Of each stored file the rows that are changed or deleted, where there are any."""

    def places(self, path: str) -> Positions:
        """Where in the file they are, rising."""

    def rows(self, rewritten: list[Part], counted: Counted) -> datafiles.Rows:
        """The rows of the new files; `counted` is told how many they are before they are committed."""


Planning: TypeAlias = Callable[[Job, list[Part]], AbstractContextManager[Planner]]
