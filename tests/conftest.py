"""Fixtures that every room's tests use. Nothing is left behind: state lives under pytest's temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.settings import Settings

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared() -> Path:
    """Folder of real third-party files, which are not part of this repository."""
    if not SHARED.is_dir():
        pytest.skip(f"real third-party files are not at {SHARED}")
    return SHARED


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings on an empty home."""
    return Settings(home=tmp_path / "home")
