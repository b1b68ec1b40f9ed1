"""A batch whose process ended in the middle is seen, and taken up where it stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from pipelines.cli import app, interrupting
from pipelines.resuming import IDLE, stuck, stuck_at
from pipelines.stages import run_batch, run_stage
from pipelines.status import batch_statuses
from tests.faults.interrupting import hearing
from tests.pipelines.badinput.town import KEY, Town, batch_of, csv_of, rows


@pytest.fixture
def town(town: Town) -> Town:
    town.leave("01", csv_of(rows(1)))
    return town


def dies_before(town: Town, stage: str) -> None:
    """Run the first day, in a process that dies where this stage would begin its work."""
    code = f"""
import os
from pipelines import stages
step = stages._step
stages._step = lambda ctx, entry, stage, *rest: os._exit(9) if stage == {stage!r} else step(ctx, entry, stage, *rest)
from pipelines.cli import main
main()
"""
    assert ended(town, code).returncode == 9


def ended(town: Town, code: str) -> subprocess.CompletedProcess[str]:
    """What came of a process that runs the first day by this code."""
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("XUANWU_")},
        "XUANWU_HOME": str(town.settings.home),
        "XUANWU_CATALOGUE": str(town.catalogue),
        "XUANWU_CONN_POLICE": town.urls["police"],
        "XUANWU_KEY_1": KEY,
    }
    command = [sys.executable, "-c", code, "run", "police.person", "--date", "2026-03-01"]
    return subprocess.run(
        command, env=variables, check=False, capture_output=True, text=True, timeout=100, preexec_fn=hearing
    )


def test_a_stuck_batch_is_seen_and_resumed_by_the_command_line(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before(town, "merge")
    for name, value in (("HOME", town.settings.home), ("CATALOGUE", town.catalogue), ("UNTIL", "2026-03-01")):
        monkeypatch.setenv(f"XUANWU_{name}", str(value))
    monkeypatch.setenv("XUANWU_CONN_POLICE", town.urls["police"])
    shown = CliRunner().invoke(app, ["status"]).output
    assert "stuck" in shown and "merge" in shown and "xuanwu resume police.person" in shown
    resumed = CliRunner().invoke(app, ["resume"])
    assert resumed.exit_code == 0, resumed.output
    assert "collect" not in resumed.output and "merge" in resumed.output and "publish" in resumed.output
    assert "no batch is stuck" in CliRunner().invoke(app, ["resume", "police.person"]).output
    assert [status.state for status in batch_statuses(town.ctx)] == ["done"]
    assert [each.state for each in town.ctx.ledger.runs() if each.stage == "merge"] == ["lost", "done"]


INTERRUPTED = """
import os, signal, time
from pipelines.cli import interrupting, main
interrupting.watch()  # before what is imported begins threads
interrupting.watch = lambda: None
from pipelines import resuming, stages

def interrupted(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep({after})
    {then}
    time.sleep(60)

{where}
main()
"""


@pytest.mark.parametrize(
    ("where", "stage"),
    [
        ("stages._step = interrupted", "collect"),
        ("stages.lineage.Turn = lambda *_: interrupted()", "collect"),
        ("from pipelines import merge; merge.merge = interrupted", "merge"),
        ("from pipelines.cli import way; way.line = interrupted", "standardise"),
        ("stages._published = interrupted", "publish"),
    ],
)
def test_an_interrupted_batch_is_stuck_at_once_in_a_stage_and_between_two(
    town: Town, where: str, stage: str
) -> None:
    found = ended(town, INTERRUPTED.format(after=0, then="", where=where))
    assert found.returncode == 130
    assert found.stderr.count("\n") == 1, found.stderr
    assert f"已中断 interrupted: police.person {batch_of(1).id}" in found.stderr
    assert "xuanwu resume police.person" in found.stderr
    assert [(each.state, each.stage) for each in batch_statuses(town.ctx)] == [("stuck", stage)]
    [(batch, start)] = stuck(town.ctx, ["police.person"])
    for _ in run_batch(town.ctx, batch, start):
        pass
    assert [each.state for each in batch_statuses(town.ctx)] == ["done"]


def test_an_interruption_just_as_a_stage_begins_leaves_two_and_the_earlier_is_gone_on_from(
    town: Town,
) -> None:
    """`leave` saw no stage under way and wrote the one before down, while that one's follower began."""
    ctx, batch = town.ctx, batch_of(1)
    run_stage(ctx, "collect", batch)
    for stage in ("standardise", "collect"):
        ctx.ledger.begin(batch, stage)  # type: ignore[arg-type]
    ctx.ledger.leave()
    assert list(stuck(ctx, ["police.person"])) == [(batch, "collect")]
    for _ in run_batch(ctx, batch, "collect"):
        pass
    assert [each.state for each in batch_statuses(ctx)] == ["done"]


def test_an_interruption_before_any_batch_says_to_begin_again(town: Town) -> None:
    where = "import pipelines.cli as cli; cli.seldom_collected = interrupted"
    found = ended(town, INTERRUPTED.format(after=0, then="", where=where))
    assert (found.returncode, found.stdout) == (130, "")
    assert found.stderr == interrupting.AGAIN + "\n"


@pytest.mark.parametrize("then", ["os.kill(os.getpid(), signal.SIGINT)", "interrupting.LIMIT"])
def test_a_ledger_that_does_not_answer_is_not_waited_for(town: Town, then: str) -> None:
    """A second interruption ends the process at once; without one it ends after a while, and has said how to go on."""
    where = "resuming.leave = lambda *_: time.sleep(60); stages._step = interrupted"
    begun = time.monotonic()
    found = ended(town, INTERRUPTED.format(after=0.2, then=then, where=where))
    assert found.returncode == 130
    assert time.monotonic() - begun < 30
    assert ("xuanwu resume police.person" in found.stderr) == ("LIMIT" in then)
    assert [each.state for each in batch_statuses(town.ctx)] == ["stuck"]


def test_a_process_told_to_ignore_interruptions_does(town: Town) -> None:
    code = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from pipelines import stages
from pipelines.cli import main
step = stages._step
stages._step = lambda *given: os.kill(os.getpid(), signal.SIGINT) or step(*given)
main()
"""
    assert ended(town, code).returncode == 0


def later(town: Town, hours: float) -> list[tuple[str, str]]:
    """What is stuck so many hours after the last stage."""
    ctx = town.ctx
    last = max(each.finished for each in ctx.ledger.runs() if each.finished)
    ctx = replace(ctx, clock=lambda: last + timedelta(hours=hours))
    return [(batch.id, stage) for batch, stage in stuck(ctx, ["police.person"])]


def test_a_process_that_ended_between_two_stages(town: Town) -> None:
    """No attempt tells of it: a batch that nobody goes on with for an hour is stuck."""
    ctx, batch = town.ctx, batch_of(1)
    for stage in ("collect", "standardise"):
        run_stage(ctx, stage, batch)  # type: ignore[arg-type]
    assert later(town, IDLE / timedelta(hours=1) - 0.1) == []
    assert later(town, 1.1) == [(batch.id, "check")]
    for stage, part in (("check", ""), ("merge", ""), ("publish", "share/default")):
        run_stage(ctx, stage, batch, part)  # type: ignore[arg-type]
    assert later(town, 1.1) == [(batch.id, "publish")]
    run_stage(ctx, "publish", batch, "open/open")
    assert later(town, 1000) == []


def test_what_is_not_stuck(town: Town) -> None:
    """A batch that failed, one that brought nothing, one that is being done, and a policy that the entry has gained
    since its batches were published."""
    town.run(1)
    first = town.ctx.ledger.runs()
    ctx = town.ctx
    attempt = ctx.ledger.begin(batch_of(2), "collect")
    assert later(town, 1.1) == []
    ctx.ledger.fail(attempt, "no file")
    assert later(town, 1000) == []
    entry = ctx.catalogue.entry("police.person")
    without = [each for each in first if each.part != "open/open"]
    assert stuck_at(entry, without, without, ctx.clock() + timedelta(days=300)) is None
    assert stuck_at(entry, without, first, ctx.clock() + timedelta(days=300)) == "publish"
