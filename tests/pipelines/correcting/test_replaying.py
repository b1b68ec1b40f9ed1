"""A batch that is run again: killed in the middle, after a newer one, and as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lake.records import STAGES, Stage
from pipelines.quarantine.casework import cases
from pipelines.quarantine.corrections import waiting
from pipelines.resuming import last_run, stuck
from pipelines.stages import run_batch, run_stage
from tests.pipelines.correcting.desk import BAD, KEY, VISIT, Desk, good, set_up


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    yield Desk(tmp_path, merge="upsert, order_by: day")


def later(desk: Desk) -> list[tuple[str, Stage]]:
    """What is stuck two hours after the last stage."""
    ctx = desk.ctx
    last = max(each.finished for each in ctx.ledger.runs() if each.finished)
    ctx = replace(ctx, clock=lambda: last + timedelta(hours=2))
    return [(batch.id, stage) for batch, stage in stuck(ctx, [VISIT])]


def test_a_replay_that_ends_between_any_two_stages_is_taken_up(desk: Desk) -> None:
    """After an import too: what is corrected is not lost, and nothing counts twice."""
    desk.people(*range(5))
    desk.leave(1, [*good(1), BAD[0], BAD[2]])
    desk.run(1)
    desk.assign()
    desk.round({(12, "日期"): "20260301", (13, "电话"): "13900000092"})
    batch = desk.batch(1)
    assert list(waiting(desk.ctx, VISIT)) == [batch.id] and later(desk) == []
    for done, following in (("standardise", "check"), ("check", "merge"), ("merge", "publish")):
        run_stage(desk.ctx, done, batch)  # type: ignore[arg-type]
        assert later(desk) == [(batch.id, following)]
    ctx = desk.ctx
    assert [stage for stage, _, _ in run_batch(ctx, batch, "publish")] == ["publish"]
    assert later(desk) == [] and list(waiting(desk.ctx, VISIT)) == []
    assert desk.aside() == set() and len(desk.curated()) == 12
    assert [str(each.sum) for each in ctx.ledger.sums() if not each.sum.holds] == []
    runs = [each.stage for each in last_run(ctx.ledger.runs(VISIT))]
    assert runs == list(STAGES[1:])


def test_an_old_batch_that_is_corrected_undoes_nothing_newer(desk: Desk) -> None:
    """Of the first day two rows failed. The second day brought one of them anew, with a later time; the other one is
    not there yet."""
    desk.people(*range(5))
    desk.leave(
        1,
        [*good(1), ("V90", "P0", "男", "20260301", "1", "139"), ("V91", "P1", "男", "20260301", "1", "139")],
    )
    desk.run(1)
    desk.leave(
        2,
        [
            ("V90", "P0", "女", "20260302", "2", "13900000090"),
            ("V0", "P0", "女", "20260301", "9", "13900000000"),
        ],
    )
    desk.run(2)
    before = desk.curated()
    assert (before["V90"]["gender"], before["V0"]["gender"]) == ("2", "2")
    desk.assign()
    desk.round({(12, "电话"): "13900000099", (13, "电话"): "13900000091"})
    (records,) = desk.replay()
    merged = records["merge"]
    assert (merged.inserted, merged.updated, merged.superseded) == (1, 0, 2), (
        "V91 is new; V90 and V0 are newer"
    )
    after = desk.curated()
    assert after.pop("V91")["phone"] == "13900000091"
    assert after == before
    (again,) = desk.replay(desk.batch(1).id)
    assert again["merge"] == merged, "it is found, and not merged again"
    assert desk.curated() == {**before, "V91": desk.curated()["V91"]}


def test_an_old_snapshot_that_is_corrected_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    desk = set_up(tmp_path, merge="snapshot")
    desk.leave(2, good(2, 4))
    desk.run(2)
    before = desk.curated()
    assert len(before) == 4
    desk.assign()
    desk.round({(12, "日期"): "20260301"})
    (records,) = desk.replay()
    assert records["standardise"].corrected == 1
    assert records["merge"].superseded == records["merge"].rows_in == 11
    assert desk.curated() == before
    assert [str(each.sum) for each in desk.ctx.ledger.sums() if not each.sum.holds] == []
    assert {case.state for case in cases(desk.ctx, VISIT)} == {"assigned"}
