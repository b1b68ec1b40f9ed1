"""The sample city from its sources to the curated tables, reconciled to the row with what was planted in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lake.records import Checked, Landed, Merged, Standardised
from pipelines.batches import batch_for
from pipelines.context import Context
from pipelines.stages import run_stage
from sample.city import DAYS, write_city
from sample.server import serving

ROWS = 2000
DERIVED = {"base.population", "base.legal_person", "theme.enterprise_vitality", "theme.district_statistics"}
INSERTED_ON_DAY_2 = {"ecology.air_quality": 510, "transport.bus_ride": 3968, "health.vaccination": 175}


def way(ctx: Context, dataset: str, day: int) -> tuple[Landed, Standardised, Checked, Merged]:
    """One batch up to the curated table."""
    entry = ctx.catalogue.entry(dataset)
    batch = batch_for(ctx, entry, DAYS[day - 1])
    records = [run_stage(ctx, stage, batch) for stage in ("collect", "standardise", "check", "merge")]
    return tuple(records)  # type: ignore[return-value]


def run_day(ctx: Context, folder: Path, day: int) -> dict[str, tuple[Landed, Standardised, Checked, Merged]]:
    connections = write_city(folder, day, ROWS)
    with serving(folder) as served:
        connected = replace(ctx, connect={**connections, **served}.__getitem__)
        return {dataset: way(connected, dataset, day) for dataset in ctx.catalogue.order()}


def test_two_days_reconcile_to_the_row(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "city"
    for day in (1, 2):
        done = run_day(ctx, folder, day)
        told = json.loads((folder / "faults.json").read_bytes())["days"][DAYS[day - 1].isoformat()]
        assert done.keys() == told.keys() | DERIVED
        for dataset, report in told.items():
            landed, standardised, checked, merged = done[dataset]
            assert landed.rows == report["arrives"], dataset
            assert standardised.quarantined + checked.quarantined == report["set_aside"], dataset
            assert merged.superseded == report["faults"].get("duplicate_key", 0), dataset
            assert merged.deleted == report["changes"].get("vanished", 0), dataset
        if day == 1:
            population = done["public_security.resident"][3].total
            assert done["base.population"][3].total == population == ROWS - 50 - 10
    assert {name: done[name][3].inserted for name in INSERTED_ON_DAY_2} == INSERTED_ON_DAY_2
    assert done["theme.district_statistics"][3].total == 11
    assert all(done[name][3].rows_in and not done[name][2].quarantined for name in DERIVED)
