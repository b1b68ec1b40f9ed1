"""What was kept long enough goes, by a moved clock; what something still needs stays, and the proof holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lake import handling, landing
from lake.verify import Copy, verify
from pipelines.context import Context
from pipelines.quarantine.assigning import Selection, dismiss
from pipelines.quarantine.casework import cases
from pipelines.stages import run_stage
from pipelines.upkeep.retention import Expired, expire
from schemas.errors import LakeError, XuanwuError
from tests.pipelines.correcting.desk import BAD, KEY, VISIT, Desk, good

YEAR = 365


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Three days; a row of the first was corrected, one of the second was dismissed, and one waits."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    desk = Desk(tmp_path)
    desk.people(*range(5))
    desk.leave(1, [*good(1), BAD[0]])
    desk.run(1)
    desk.assign()
    desk.round({(12, "日期"): "20260301"})
    desk.replay()
    for day, rows in ((2, [("V92", "P2", "女", "20260302", "8", "139")]), (3, [])):
        desk.leave(day, [*[(f"W{day}{row[0]}", *row[1:]) for row in good(day)], *rows])
        desk.run(day)
    yield desk


def after(desk: Desk, days: int) -> Context:
    return replace(desk.ctx, clock=lambda: desk.clock + timedelta(days=days))


def wrong(desk: Desk) -> list[str]:
    return [str(finding) for finding in verify(Copy(str(desk.lake)))]


def originals(desk: Desk) -> list[int]:
    """The days whose originals are there."""
    return [
        day for day in (1, 2, 3) if list(Path(landing.originals(desk.settings, desk.batch(day))).glob("*"))
    ]


def typed(desk: Desk) -> list[int]:
    return [day for day in (1, 2, 3) if (desk.lake / "standard/health/visit" / desk.batch(day).id).exists()]


def log(desk: Desk) -> list[dict[str, object]]:
    lines = (desk.lake / "proof/log/00000000.jsonl").read_text().splitlines()
    return [entry for line in lines if (entry := json.loads(line)["entry"])["action"] == "retain"]


def test_what_is_old_goes_and_what_is_needed_stays(desk: Desk) -> None:
    assert expire(after(desk, 90)) == Expired()
    assert expire(after(desk, 91)) == Expired(typed=1), (
        "the first day's; the second has work, the third is the newest"
    )
    assert (typed(desk), originals(desk)) == ([2, 3], [1, 2, 3])
    with pytest.raises(
        LakeError, match=r"typed rows of this batch are not there any more.*--from standardise"
    ):
        run_stage(desk.ctx, "check", desk.batch(1))
    assert desk.replay(desk.batch(1).id)[0]["standardise"].corrected == 1, (
        "they are made again from the originals"
    )
    assert expire(after(desk, YEAR)) == Expired(typed=1)
    assert expire(after(desk, YEAR + 1)) == Expired(originals=1)
    assert (typed(desk), originals(desk)) == ([2, 3], [2, 3])
    assert not [a for a in handling.acts(desk.settings, VISIT, desk.batch(1).id) if a.kind == "correct"]
    assert wrong(desk) == []
    told = log(desk)
    assert [(each["zone"], each["days"], each["batches"]) for each in told] == [
        ("standard", 90, 1),
        ("standard", 90, 1),
        ("landing", 365, 1),
    ]
    assert told[2]["rows"] == 11
    assert expire(after(desk, YEAR + 2)) == Expired(), "once is enough"
    for stage in ("collect", "standardise"):
        with pytest.raises(LakeError, match=r"originals of this batch were removed on .* after 365 days"):
            run_stage(desk.ctx, stage, desk.batch(1))  # type: ignore[arg-type]
    assert [len(list(landing.history(desk.settings, VISIT)))] == [3], "positions and digests are known still"
    desk.leave(4, [(f"X{row[0]}", *row[1:]) for row in good(4)])
    assert desk.run(4)["merge"].inserted == 10
    assert wrong(desk) == []


def test_dismissed_rows_go_after_their_time_and_then_their_originals_may(desk: Desk) -> None:
    ctx = after(desk, 10)
    dismiss(ctx, desk.visit, Selection(), by="li", why="已核实")
    assert expire(after(desk, YEAR + 5)) == Expired(originals=2, typed=2), "nothing waits any more"
    assert sum(case.rows for case in cases(desk.ctx, VISIT)) == 1
    assert expire(after(desk, YEAR + 10)).dismissed == 0
    assert expire(after(desk, YEAR + 12)) == Expired(dismissed=1)
    assert cases(desk.ctx, VISIT) == []
    assert log(desk)[-1] | {"at": ""} == {
        "action": "retain",
        "phase": "outcome",
        "dataset": VISIT,
        "zone": "quarantine",
        "days": 365,
        "rows": 1,
        "at": "",
    }
    assert wrong(desk) == []


def test_killed_in_the_middle_it_is_done_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.upkeep.retention.store.remove_tree", die)
        with pytest.raises(Killed):
            expire(after(desk, YEAR + 1))
    assert originals(desk) == [1, 2, 3] and wrong(desk) == []
    assert expire(after(desk, YEAR + 1)) == Expired(originals=1, typed=1)
    assert originals(desk) == [2, 3] and wrong(desk) == []


def test_an_original_that_somebody_removed_is_missing(desk: Desk) -> None:
    """Only what the log says is gone may be gone."""
    (file,) = Path(landing.originals(desk.settings, desk.batch(1))).glob("*")
    file.unlink()
    assert any("the file is missing" in each for each in wrong(desk))


def test_a_batch_that_did_not_come_to_its_end_stays(desk: Desk) -> None:
    run_stage(desk.ctx, "standardise", desk.batch(1))
    assert expire(after(desk, YEAR + 1)) == Expired()
    for stage, part in (("check", ""), ("merge", ""), ("publish", "share/default")):
        run_stage(desk.ctx, stage, desk.batch(1), part)  # type: ignore[arg-type]
    assert expire(after(desk, YEAR + 1)) == Expired(originals=1, typed=1)


def test_what_is_gone_cannot_be_worked_on(desk: Desk) -> None:
    desk.assign()
    landing.expire(desk.settings, desk.batch(2), desk.clock, timedelta(days=365))
    with pytest.raises(XuanwuError, match="originals of this batch were removed"):
        desk.export()
