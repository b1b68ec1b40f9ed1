"""What a person sees of work under way: on a terminal, in a log, and nothing elsewhere."""

from __future__ import annotations

import io
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lake import progress
from lake.progress import Work
from pipelines.console import showing
from pipelines.console.verifying import verify_lake
from pipelines.stages import run_batch
from pipelines.upkeep import upkeep
from tests.pipelines.badinput.town import KEY, Town, batch_of, csv_of, path_source, rows
from tests.waiting import until

NOW = 1000.0


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (Work("merge", 2_000_000, done=1_500_000, since=NOW - 3), "merge  1,500,000 of 2,000,000 rows  75%"),
        (Work("merge", 2_000_000, done=1_500_000, since=NOW - 3), "500,000/s  1 s left"),
        (Work("collect", None, "bytes", 1024, since=NOW - 1), "collect  1,024 bytes  1,024/s"),
        (Work("check", 9, since=NOW - 75), "check  1:15 min"),
        (Work("x", 36_000, done=1, since=NOW - 1), "9:59:59 h left"),
        (Work("x", 10, done=20, since=NOW - 1), "100%"),
    ],
)
def test_words(work: Work, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.time, "monotonic", lambda: NOW)
    assert words in showing.told(work)


def test_a_terminal_shows_it_and_is_clean_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "LOOKS", 0.01)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with showing.shown(console), progress.going("police.person merge", 40) as work:
        progress.passed(30)
        time.sleep(0.05)
        assert "police.person" not in out.getvalue(), "it has not taken a second"
        work.since -= 5
        assert until(lambda: "30 of 40 rows" in out.getvalue())
    assert out.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in out.getvalue()
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_what_is_no_terminal_gets_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with showing.shown(), progress.going("merge", 40) as work:
        work.since -= 60
        assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
    assert capfd.readouterr() == ("", "")


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    assert showing.LOGGED_EVERY >= 30
    with caplog.at_level(logging.INFO, "pipelines.console.showing"), showing.logged(0.02):
        time.sleep(0.05)
        assert caplog.messages == [], "nothing is under way"
        with progress.going("merge", 40):
            progress.passed(10)
            assert until(lambda: bool(caplog.messages))
    assert caplog.messages[0].startswith("merge  10 of 40 rows  25%")


def test_every_stage_tells_how_many_rows_there_are_and_have_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row counts once a stage; verification counts the bytes that it reads, upkeep tables."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
    town.leave("01", csv_of(rows(1)))
    works: list[Work] = []
    init = Work.__init__

    def noted(work: Work, *arguments: Any, **named: Any) -> None:
        init(work, *arguments, **named)
        works.append(work)

    monkeypatch.setattr(Work, "__init__", noted)
    ctx = town.ctx
    list(run_batch(ctx, batch_of(1)))
    told = {work.what: (work.done, work.total) for work in works if work.unit == "rows"}
    n = len(rows(1))
    assert told["police.person standardise"] == told["police.person merge"] == (n, n)
    assert told["police.person publish share/default"] == told["police.person publish open/open"] == (n, n)
    assert told["police.person csv"] == (n, n)
    assert next(work.done for work in works if work.unit == "bytes") == len(csv_of(rows(1)))
    works.clear()
    monkeypatch.setenv("XUANWU_HOME", str(town.settings.home))
    assert verify_lake(None, [], None, every=True, with_ledger=False)
    (verified,) = (work for work in works if work.unit == "bytes")
    assert verified.total and 0.5 < verified.done / verified.total < 2
    works.clear()
    upkeep(ctx)
    assert all(work.done == work.total for work in works if work.unit == "tables") and works
