"""The rows of a territory (本区域): what a grant of them publishes of a curated table, and how many rows it leaves."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lake.tables import Tables
from lake.zones import Identifier
from schemas.model import Entry, Narrowed, Territory, Zone
from schemas.policy import policies


def territory_of(entry: Entry, zone: Zone, policy: str) -> Territory | None:
    """The territory of a grant's own table; None where rows of all are published."""
    own = policies(entry, zone).get(policy)
    return own.rows if isinstance(own, Narrowed) else None


def with_territory(names: list[str], territory: Territory | None) -> list[str]:
    """The columns to read, with the one that tells the territory."""
    return list(dict.fromkeys([*names, territory.field])) if territory else names


def within(batch: pa.RecordBatch, territory: Territory | None) -> pa.Array | None:
    """Which rows lie in the territory, by their division code as curated (GB/T 2260); None for all of them. A row
    without a code lies in none."""
    if territory is None:
        return None
    codes = batch.column(territory.field)
    return pc.fill_null(pc.starts_with(codes, pattern=territory.prefix), False)


def outside(tables: Tables, curated: Identifier, territory: Territory | None, snapshot: int) -> int:
    """Rows of a curated snapshot that do not lie in the territory: counted by themselves, from the one column, so that
    they hold the published rows to account (law 2)."""
    if territory is None:
        return 0
    batches = tables.scan(curated, [territory.field], snapshot)
    return sum(batch.num_rows - (pc.sum(within(batch, territory)).as_py() or 0) for batch in batches)
