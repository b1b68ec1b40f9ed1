"""Fixtures that every room's tests use. Nothing is left behind: state lives under pytest's temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.load import Catalogue, load_catalogue
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


DEPARTMENT = "{title: {zh: 部门, en: Department}, uscc: 11320100MB0000000B}"


@pytest.fixture
def make_catalogue(tmp_path: Path) -> Callable[[dict[str, str]], Catalogue]:
    """Writes a catalogue of these files (path below its root to text) and loads it. Without a departments.yaml of its
    own it gets one that knows the files' folders."""

    def make(files: dict[str, str]) -> Catalogue:
        return load_catalogue(write_catalogue(tmp_path / "catalogue", files))

    return make


def write_catalogue(root: Path, files: dict[str, str]) -> Path:
    """The files under `root`, and a departments.yaml unless they hold one."""
    folders = sorted({Path(name).parent.name for name in files if name.count("/") == 1} - {"codes"})
    departments = "\n".join(f"{folder}: {DEPARTMENT}" for folder in folders)
    for name, text in {"departments.yaml": departments + "\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root
