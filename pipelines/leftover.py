"""What the lake still holds of datasets whose entry was taken out of the catalogue: `retention:` passes it by, since it
goes by entries, and nobody else would tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lake import releases, store, zones
from pipelines.context import Context


@dataclass(frozen=True)
class Left:
    """`batches` have a folder in the landing zone. `tables` stay; `readable` are the published ones, and the places
    of releases, all of which the next upkeep withdraws."""

    dataset: str
    batches: int
    tables: tuple[str, ...]
    readable: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def left_over(ctx: Context) -> list[Left]:
    """Every dataset that the ledger knows and the catalogue does not, and of which anything is there."""
    gone = sorted({run.batch.dataset for run in ctx.ledger.runs()} - ctx.catalogue.entries.keys())
    found = [_left(ctx, dataset) for dataset in gone]
    return [each for each in found if each.batches or each.tables or each.readable]


def _left(ctx: Context, dataset: str) -> Left:
    own = zones.identifier("curated", dataset)[1]
    batches = store.list_folders(zones.folder(ctx.settings, "landing", dataset))
    kept = [zones.identifier(zone, dataset) for zone in ("curated", "quarantine")]
    published = [
        table
        for zone in ("share", "open")
        for table in ctx.tables.identifiers(zone)
        if f"{table[1]}__".startswith(f"{own}__")
    ]
    return Left(
        dataset,
        len(batches),
        tuple(".".join(table) for table in kept if ctx.tables.exists(table)),
        (
            *(".".join(table) for table in published),
            *releases.places(ctx.settings.lake_root, dataset),
        ),
    )
