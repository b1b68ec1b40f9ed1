"""What an earlier publication of a table looked for in curated data files and did not find there.

    <home>/absent/<zone>.<table>.parquet

A data file never changes under its name, and the rows that are left of it only become fewer: what was not in it will
not be. So the next publication looks there only for what is new to it, and for what was found in so few rows that it
may have become rare; and for everything in files that are new. Kept are digests of what is published and of its
pieces, how often each was found, and nothing else. Where the file is lost or does not fit (another DuckDB, whose hash
may be another; a snapshot that is forgotten; rows that came back; a field that was not looked at), everything is looked
for everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lake import store
from lake.deletes import Part
from lake.tables import Tables
from lake.zones import Identifier
from pipelines.publishing import increments
from schemas.errors import LakeError
from schemas.settings import Settings

RULES: Final = 2
"""Raised whenever other values of a field are compared, or compared otherwise."""
MOST: Final = 1_000_000
"""Digests that are kept."""
SCHEMA: Final = pa.schema(
    [
        pa.field("digest", pa.uint64()),
        pa.field("field", pa.string()),
        pa.field("times", pa.int64()),
        pa.field("many_digits", pa.bool_()),
    ]
)
_SAID: Final = b"absent"
_BY: Final = [RULES, duckdb.__version__]


@dataclass(frozen=True)
class Absent:
    """Of these digests, by `SCHEMA`, no row of these snapshots, by table, has one in one of these fields, but for those
    with the name of a field: there it was found, in so many rows at least. `samples` is the highest digest of each
    column's sample."""

    snapshots: Mapping[str, int]
    fields: frozenset[str]
    digests: pa.Table
    samples: Mapping[str, int]


def place(settings: Settings, table: Identifier) -> Path:
    """Where that of a published table is kept."""
    return settings.home.resolve() / "absent" / f"{'.'.join(table)}.parquet"


def load(path: Path) -> Absent | None:
    """What was kept there; None where there is nothing that can be used."""
    with suppress(OSError, ValueError, KeyError, pa.ArrowException):
        found = pq.read_table(path, schema=SCHEMA)  # at most MOST digests
        by, snapshots, fields, samples = json.loads(pq.read_schema(path).metadata[_SAID])
        if by == _BY:
            return Absent(snapshots, frozenset(fields), found, samples)
    return None


def keep(path: Path, absent: Absent) -> None:
    """Keep it for the next publication, unless it is too much."""
    if len(absent.digests) > MOST:
        return
    said = json.dumps([_BY, dict(absent.snapshots), sorted(absent.fields), dict(absent.samples)])
    with store.atomic_parquet(str(path), SCHEMA.with_metadata({_SAID: said.encode()})) as writer:
        writer.write_table(absent.digests)


def forget(settings: Settings, table: Identifier) -> None:
    """For a table that goes, and one that begins anew without a person: digests of what it held stay nowhere."""
    place(settings, table).unlink(missing_ok=True)


@dataclass(frozen=True)
class Parted:
    """The data files of a snapshot: `fresh` are to be looked through for everything, `old` were looked through before.
    Of those `gone` rows have gone since, and none has come back; None where nothing that was found is known of them."""

    fresh: list[Part]
    old: list[Part]
    gone: int | None


def parted(
    tables: Tables, table: Identifier, snapshot: int | None, fields: Collection[str], before: Absent | None
) -> Parted:
    parts = tables.parts(table, snapshot)
    since = before.snapshots.get(".".join(table)) if before else None
    if before is None or since is None or not before.fields.issuperset(fields):
        return Parted(parts, [], None)
    try:
        change = increments.changed(tables.parts(table, since), parts)
    except LakeError:  # upkeep has forgotten the snapshot
        return Parted(parts, [], None)
    if change is None:
        return Parted(parts, [], None)
    fresh = {part.path for part in change.fresh}
    return Parted(change.fresh, [part for part in parts if part.path not in fresh], change.rows_gone)
