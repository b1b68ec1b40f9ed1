"""Scratch folders go with their stage, and those of killed processes are swept."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake import scratch
from schemas.settings import Settings
from tests.waiting import ended, line

HOLDER = """
import sys, time
from pathlib import Path
from lake import scratch
from schemas.settings import Settings

with scratch.folder(Settings(home=Path(sys.argv[1])), "rejects") as folder:
    (folder / "rows.arrow").write_bytes(b"raw")
    print(folder, flush=True)
    sys.stdin.readline()
"""
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def aged(path: Path) -> None:
    """As if nothing had changed in the folder for two days."""
    then = (NOW - 2 * DAY).timestamp()
    os.utime(path, (then, then))


def test_a_folder_goes_with_its_stage_even_if_that_fails(settings: Settings) -> None:
    with pytest.raises(ZeroDivisionError), scratch.folder(settings, "duckdb") as folder:
        (folder / "x").write_bytes(b"x")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        raise ZeroDivisionError
    assert list(settings.scratch.iterdir()) == []


def test_only_what_a_killed_process_left_is_swept_and_only_when_old(settings: Settings) -> None:
    command = [sys.executable, "-c", HOLDER, str(settings.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        folder = Path(line(process).strip())
        aged(folder)
        assert scratch.sweep(settings, NOW - DAY) == 0, "its process is at work"
        process.kill()
        ended(process)
    assert (folder / "rows.arrow").exists(), "a killed process cannot clean up"
    assert scratch.sweep(settings, NOW - 3 * DAY) == 0, "it is not old enough"
    assert scratch.sweep(settings, NOW - DAY) == 1
    assert list(settings.scratch.iterdir()) == []


def test_an_empty_home_has_nothing_to_sweep(settings: Settings) -> None:
    assert scratch.sweep(settings, NOW) == 0
