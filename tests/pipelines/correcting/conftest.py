"""A desk whose rows are assigned, and the workbook that its department has: set up once for all who leave it as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.correcting.desk import KEY, Desk, set_up


@pytest.fixture(scope="package")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        desk = set_up(tmp_path_factory.mktemp("desk"))
        assert desk.assign() == {"health": 4, "police": 1}
        desk.export()
        yield desk


@pytest.fixture
def book(first: Desk, tmp_path: Path) -> Path:
    """The workbook as it went out."""
    return Path(shutil.copy(first.root / "out.xlsx", tmp_path / "back.xlsx"))
