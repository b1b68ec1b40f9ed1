"""The sample city, every publication of it: nothing in it is taken for a leak, and long bus rides are left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lake.records import Published
from pipelines.batches import batch_for
from pipelines.context import Context
from pipelines.stages import run_batch
from sample.city import DAYS, write_city
from sample.server import serving

ROWS = 2000


def published(ctx: Context, folder: Path, day: int) -> dict[tuple[str, str], Published]:
    """One day of the city, the whole way; its publications by dataset and part."""
    connections = write_city(folder, day, ROWS)
    found = {}
    with serving(folder) as served:
        connected = replace(ctx, connect={**connections, **served}.__getitem__)
        for dataset in ctx.catalogue.order():
            batch = batch_for(connected, ctx.catalogue.entry(dataset), DAYS[day - 1])
            for stage, part, record in run_batch(connected, batch):
                if stage == "publish":
                    found[dataset, part] = record
    return found  # type: ignore[return-value]


def test_two_days_of_the_city_are_published(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", bytes(range(32)).hex())
    for day in (1, 2):
        found = published(ctx, tmp_path / "city", day)
        shared = {dataset for dataset, part in found if part.startswith("share/")}
        assert len(ctx.catalogue.entries) == 17 and shared == ctx.catalogue.entries.keys() - {
            "statistics.household_survey"
        }
        judged = {dataset: each for (dataset, _), each in found.items() if each.disclosure}
        levels = {dataset: each.disclosure.level for dataset, each in judged.items() if each.disclosure}
        assert levels == {
            "government_services.work_order": 3,
            "transport.bus_ride": 3,
            "theme.district_statistics": 4,
            "theme.enterprise_vitality": 4,
        }
        orders, rides = judged["government_services.work_order"], judged["transport.bus_ride"]
        assert orders.suppressed == 0 < rides.suppressed < 0.05 * rides.rows_in
        for each in (orders, rides):
            assert each.rows_in == each.rows_out + each.suppressed
            assert each.disclosure is not None and (each.disclosure.k or 0) >= 21
            assert (each.disclosure.level, each.disclosure.compared) == (3, day - 1)
