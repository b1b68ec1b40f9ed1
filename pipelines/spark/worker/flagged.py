"""Rows of a standardised batch, with what our rules say of each."""

from __future__ import annotations

from collections.abc import Sequence

from expectations.flags import Flags, raised
from pipelines.spark.frames import Batches, of_file


def rows(flags: Flags, columns: Sequence[str], path: str) -> Batches:
    yield from raised(flags, of_file(columns, path))
