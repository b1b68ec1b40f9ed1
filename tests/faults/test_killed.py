"""Law 5: any stage can be killed at any of its system calls, or meet another run of itself, and nothing comes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.city.running import KEY
from tests.faults.kinds import kills
from tests.faults.lake import Step, all_steps, prepared
from tests.faults.stopping import kill, run, tear, unavailable
from tests.faults.trying import Outcome, all_the_way

pytestmark = pytest.mark.timeout(3600)
KILLS = int(os.environ.get("FAULT_KILLS", "72"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Every stage of the way: killed here and there, and met once by another run of itself."""
    if reason := unavailable():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        with prepared(tmp_path_factory.mktemp("faults")) as lake:
            return list(all_the_way(lake, kills(KILLS, len(all_steps(lake)), met=True)))


def among(outcomes: list[Outcome], word: str) -> list[Outcome]:
    return [each for each in outcomes if word in each.fault]


def test_after_a_kill_and_another_run_all_is_as_without(outcomes: list[Outcome]) -> None:
    killed = among(outcomes, "killed")
    assert [str(each) for each in killed if each.wrong] == []
    assert len(killed) >= min(KILLS, 60)


def test_kills_were_spread_over_the_whole_way(outcomes: list[Outcome]) -> None:
    """Over every stage, inside writes and between them: before names were given, files settled, commits made."""
    killed = among(outcomes, "killed")
    steps: dict[Step, int] = {}
    for each in killed:
        steps[each.step] = steps.get(each.step, 0) + 1
    assert len(steps) == 36
    assert min(steps.values()) >= KILLS // 36 - 1
    assert len(among(outcomes, "killed within")) >= 5
    assert {"write", "pwrite64", "mkdir", "openat"} < {each.name for each in killed}


def test_a_second_run_beside_the_first_and_one_that_outlived_its_lease(outcomes: list[Outcome]) -> None:
    met = [*among(outcomes, "a second run"), *among(outcomes, "overtaken")]
    assert [str(each) for each in met if each.wrong] == []
    assert len(met) >= 30
    assert among(met, "a second run was refused")
    assert among(met, "overtaken")


# ── what stops them ───────────────────────────────────────────────────────────────────────────────────────


def test_a_process_is_stopped_before_each_of_its_calls(tmp_path: Path) -> None:
    """The harness itself: without a fault nothing is missing, and each kill leaves one call more than the last."""
    if reason := unavailable():
        pytest.skip(reason)
    folder, left = tmp_path / "made", []

    def work() -> None:
        folder.mkdir()
        (folder / "a").write_bytes(b"0123456789")
        (folder / "a").rename(folder / "b")

    for at in range(1, 6):
        ended = run(work, tmp_path, at, kill if at != 3 else tear)
        left.append({path.name: path.stat().st_size for path in sorted(tmp_path.rglob("*"))[1:]})
        assert ended.killed == (at < 5), at
        for path in folder.glob("*"):
            path.unlink()
        if folder.exists():
            folder.rmdir()
    assert left == [{}, {}, {"a": 5}, {"a": 10}, {"b": 10}]
