"""The merge held against a few lines of plain Python, on small batches of every shape."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import settings as quick
from hypothesis import strategies as st

from lake import deletes
from schemas.load import load_catalogue
from schemas.settings import Settings
from tests.conftest import write_catalogue
from tests.pipelines.merging.making import City, Row, counts

FIELDS = {
    "id": {"type": "string"},
    "part": {"type": "integer"},
    "t": {"type": "number"},
    "v": {"type": "string"},
}
KEY = ("id", "part")
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "中"]),
        "part": st.sampled_from([1, None]),
        "t": st.sampled_from([None, math.nan, 1.0, 2.0]),
        "v": st.sampled_from(["x", "", None]),
    }
)
BATCHES = st.lists(
    st.tuples(st.integers(1, 4), st.lists(ROW, max_size=6), st.integers(0, 2)),
    max_size=4,
    unique_by=lambda b: b[0],
)


def time_of(row: Row) -> float:
    return -math.inf if row["t"] is None or math.isnan(row["t"]) else row["t"]


def content(row: Row) -> tuple[Any, ...]:
    return tuple("nan" if isinstance(v, float) and math.isnan(v) else v for v in map(row.get, FIELDS))


class Oracle:
    """A dictionary by key of (row, day of the batch that changed it last)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.rows: dict[tuple[Any, ...], tuple[Row, int]] = {}
        self.newest = 0

    def merge(self, day: int, given: list[Row], rejected: set[int]) -> dict[str, int]:
        counted = dict.fromkeys(
            ("inserted", "updated", "unchanged", "superseded", "quarantined", "deleted"), 0
        )
        rows = [row for i, row in enumerate(given) if i not in rejected]
        if self.kind == "snapshot" and day < self.newest:
            return {"superseded": len(rows)} if rows else {}
        self.newest = max(self.newest, day)
        for key, group in itertools.groupby(sorted(rows, key=self._key), key=self._key):
            same = list(group)
            counted["superseded"] += len(same) - 1
            counted[self._one(day, key, self._winner(same))] += 1
        if self.kind == "snapshot":
            gone = set(self.rows) - {self._raw_key(row) for row in given}
            counted["deleted"] = len(gone)
            for raw in gone:
                del self.rows[raw]
        return {name: n for name, n in counted.items() if n}

    def _raw_key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in KEY)

    def _key(self, row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in KEY)

    def _winner(self, rows: list[Row]) -> Row:
        if self.kind == "append":
            return rows[0]
        if self.kind == "snapshot":
            return rows[-1]
        return max(enumerate(rows), key=lambda item: (time_of(item[1]), item[0]))[1]

    def _one(self, day: int, key: tuple[str, ...], row: Row) -> str:
        raw = self._raw_key(row)
        if raw not in self.rows:
            self.rows[raw] = (row, day)
            return "inserted"
        stored, since = self.rows[raw]
        if content(stored) == content(row):
            return "unchanged"
        if self.kind == "append":
            return "quarantined"
        if self.kind == "upsert" and (time_of(row), day) < (time_of(stored), since):
            return "superseded"
        self.rows[raw] = (row, day)
        return "updated"


@quick(max_examples=18)
@given(
    kind=st.sampled_from(["snapshot", "append", "upsert"]),
    batches=BATCHES,
    small=st.sampled_from([deletes.SMALL_ROWS, 1]),
)
def test_a_merge_does_what_a_dictionary_would(
    kind: str, batches: list[tuple[int, list[Row], int]], small: int
) -> None:
    """`small` is the size from which on a file keeps its place, its rows that go being marked as deleted."""
    with TemporaryDirectory() as home, patch.multiple(deletes, SMALL_ROWS=small, DEAD=0.5):
        folder = Path(home)
        settings = Settings(home=folder / "home")
        city = City(
            settings,
            lambda files: load_catalogue(write_catalogue(folder / "catalogue", files)),
            FIELDS,
            kind=kind,
            key=KEY,
            order_by="t",
        )
        oracle = Oracle(kind)
        for day, rows, bad in batches:
            rejected = set(range(min(bad, len(rows))))
            merged = city.merge(day, rows, sorted(rejected))
            assert counts(merged) == oracle.merge(day, rows, rejected)
            assert merged.total == len(oracle.rows)
            found = sorted((content(row) for row in city.rows()), key=str)
            assert found == sorted((content(row) for row, _ in oracle.rows.values()), key=str)
