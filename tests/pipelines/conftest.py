"""A town with one dataset, searched for planted values when its test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.badinput.town import KEY, Town, leak, path_source


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
    yield town
    assert leak(town) is None
