"""What became of a curated table since its last publication: the rows that are gone, and the files of new ones.

A share table of many rows, of which few have changed, is not written anew: its published rows of curated rows that are
gone are marked as deleted (`lake.deletes`), found by where they came from (`origins`), and only new rows are masked,
looked through and written. None is planned, and the whole table published, where much has changed, where the masks
have, or where an origin is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from lake.ahead import abreast
from lake.deletes import Part, Positions, rewritten
from lake.tables import Tables
from lake.zones import Identifier
from pipelines.publishing.origins import Origins
from schemas.errors import LakeError

LEAST_ROWS: Final = 100_000
"""Smaller tables are published whole, which takes a second."""
SHARE: Final = 0.2
"""Rows that are gone or new, of those published, from which on the whole is published."""


@dataclass(frozen=True)
class Increment:
    """`fresh` are the curated files whose rows are new; `marked` places of published rows that go, by data file;
    `anew` published files that are written again without theirs (`going`)."""

    fresh: list[Part]
    marked: dict[str, Positions]
    anew: list[Part] = field(default_factory=list)
    going: dict[str, Positions] = field(default_factory=dict)
    rows: int = 0
    """Rows that the table has afterwards."""

    @property
    def written(self) -> int:
        """Rows that are written."""
        left = sum(part.rows - len(self.going.get(part.path, ())) for part in self.anew)
        return sum(part.rows for part in self.fresh) + left


@dataclass(frozen=True)
class Change:
    """What became of a curated table: places of rows that are gone, by data file (None: the whole file), how many they
    are, and the files of new rows."""

    gone: dict[str, Positions | None]
    rows_gone: int
    fresh: list[Part]

    @property
    def rows(self) -> int:
        """Rows that are gone or new."""
        return self.rows_gone + sum(part.rows for part in self.fresh)


@dataclass(frozen=True)
class Way:
    """From the publication that stands in `table`, made of the snapshot `since` of `curated`, to the snapshot `until`;
    so many `threads` read what lies on it."""

    tables: Tables
    curated: Identifier
    table: Identifier
    since: int
    until: int
    threads: int

    def parts(self) -> tuple[list[Part], list[Part]] | None:
        """The curated files at its beginning and at its end; None where upkeep has forgotten a snapshot."""
        try:
            before, after = (self.tables.parts(self.curated, each) for each in (self.since, self.until))
        except LakeError:
            return None
        return before, after


def plan(way: Way, origins: Origins) -> Increment | None:
    """The increment that leads from the publication that stands to the way's end."""
    published = way.tables.parts(way.table)
    rows = sum(part.rows for part in published)
    if rows < LEAST_ROWS or (curated := way.parts()) is None:
        return None
    change = changed(*curated)
    if change is None or change.rows > SHARE * rows:
        return None
    going = _going(published, origins, change, way.threads)
    if going is None:
        return None
    anew = rewritten(published, {path: len(places) for path, places in going.items()})
    names = {part.path for part in anew}
    marked = {path: places for path, places in going.items() if path not in names}
    after = rows - change.rows_gone + sum(part.rows for part in change.fresh)
    return Increment(change.fresh, marked, anew, {path: going[path] for path in names & going.keys()}, after)


def changed(before: Sequence[Part], after: Sequence[Part]) -> Change | None:
    """What leads from the one snapshot's files to the other's; None where rows have come back, which no merge does."""
    old, new = ({part.path: part for part in parts} for parts in (before, after))
    gone: dict[str, Positions | None] = dict.fromkeys(old.keys() - new.keys())
    rows = sum(old[path].rows for path in gone)
    for path in old.keys() & new.keys():
        if old[path].deleting == new[path].deleting:
            continue
        was, now = old[path].gone, new[path].gone
        if len(np.setdiff1d(was, now, assume_unique=True)):
            return None
        gone[path] = np.setdiff1d(now, was, assume_unique=True)
        rows += len(now) - len(was)
    return Change(gone, rows, [part for part in after if part.path not in old])


def _going(
    published: Sequence[Part], origins: Origins, change: Change, threads: int
) -> dict[str, Positions] | None:
    """Places of the published rows that go, by data file; None unless every one of them is found."""
    found: dict[str, Positions] = {}
    for part, places in abreast(partial(_places, origins, change), published, threads):
        if places is None:
            return None
        if len(places):
            found[part.path] = places
    return found if sum(map(len, found.values())) == change.rows_gone else None


def _places(origins: Origins, change: Change, part: Part) -> tuple[Part, Positions | None]:
    """Those of one published file; None where nothing says where its rows came from."""
    origin = origins.read(part.path)
    if origin is None:
        return part, None
    return part, np.setdiff1d(origin.of_rows(change.gone), part.gone, assume_unique=True)
