"""Which batch a command is for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lake.batch import Batch
from lake.records import Landed, LandedFile, Standardised
from pipelines.batches import batch_for, newest_batch
from pipelines.context import Context
from schemas.errors import XuanwuError

DATASET = "education.school"


def collected(ctx: Context, end: datetime, files: int = 1) -> Batch:
    """A batch that the ledger knows as collected, with files of no rows."""
    batch = Batch(dataset=DATASET, start=end - timedelta(days=1), end=end)
    file = LandedFile(path="x", origin="x", sha256="", size=0, rows=0, format="csv")
    attempt = ctx.ledger.begin(batch, "collect")
    ctx.ledger.finish(attempt, Landed(batch=batch, files=(file,) * files, rows=0, collected_at=end))
    return batch


def test_a_later_stage_is_run_for_the_newest_interval_not_the_last_one_run(ctx: Context) -> None:
    entry = ctx.catalogue.entry(DATASET)
    newest = collected(ctx, datetime(2026, 3, 3, 19, tzinfo=UTC))
    collected(ctx, datetime(2026, 3, 2, 19, tzinfo=UTC))
    assert newest_batch(ctx, entry, "standardise") == newest


def test_a_later_stage_is_run_for_the_newest_batch_that_has_come_so_far(ctx: Context) -> None:
    entry = ctx.catalogue.entry(DATASET)
    first = collected(ctx, datetime(2026, 3, 2, 19, tzinfo=UTC))
    done = Standardised(batch=first, path="x", rows_in=0, rows_out=0, quarantined=0)
    ctx.ledger.finish(ctx.ledger.begin(first, "standardise"), done)
    second = collected(ctx, datetime(2026, 3, 3, 19, tzinfo=UTC))
    collected(ctx, datetime(2026, 3, 4, 19, tzinfo=UTC), files=0)
    assert newest_batch(ctx, entry, "standardise") == second
    assert newest_batch(ctx, entry, "check") == first


def test_a_later_stage_of_nothing_says_what_to_run_first(ctx: Context) -> None:
    with pytest.raises(XuanwuError, match=rf"xuanwu run {DATASET}"):
        newest_batch(ctx, ctx.catalogue.entry(DATASET), "publish")


def test_a_day_gives_the_interval_that_starts_on_it_and_none_the_latest(ctx: Context) -> None:
    entry = ctx.catalogue.entry(DATASET)
    assert entry.schedule is not None
    assert batch_for(ctx, entry, date(2026, 3, 2)).start == datetime(2026, 3, 1, 19, tzinfo=UTC)
    assert batch_for(ctx, entry).end == datetime(2026, 3, 4, 19, tzinfo=UTC)


def test_a_day_that_has_not_ended_is_no_batch_yet(ctx: Context) -> None:
    """Those before it would count as late ones, and change nothing."""
    entry = ctx.catalogue.entry(DATASET)
    latest = batch_for(ctx, entry)
    assert batch_for(ctx, entry, date(2026, 3, 4)) == latest
    for day in (date(2026, 3, 5), date(2062, 3, 4)):
        with pytest.raises(XuanwuError, match="still to come") as caught:
            batch_for(ctx, entry, day)
        assert f"xuanwu run {DATASET}" in str(caught.value) and "2026-03-04" in str(caught.value)


def test_a_derived_dataset_without_inputs_says_what_to_run_first(ctx: Context) -> None:
    with pytest.raises(XuanwuError, match="xuanwu run") as caught:
        batch_for(ctx, ctx.catalogue.entry("base.population"))
    assert "public_security.resident" in str(caught.value)
