"""A town to spoil, which is searched for planted values when its test is over."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.badinput.town import (
    KEY,
    Found,
    Town,
    leak,
    path_source,
)
from tests.waiting import ran


@pytest.fixture
def found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Found]:
    """Founds a town; when the test is over nothing that was said or written may hold a planted value."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    caplog.set_level(logging.DEBUG)
    towns: list[Town] = []

    def make(source: str = path_source("csv", "csv", encoding="utf-8"), **more: Any) -> Town:
        towns.append(Town(tmp_path, source, **more))
        return towns[-1]

    yield make
    printed = capfd.readouterr()
    for town in towns:
        assert leak(town, caplog.text, printed.out, printed.err) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if ran(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield disk
    ran(["umount", "-l", str(disk)], check=False)
