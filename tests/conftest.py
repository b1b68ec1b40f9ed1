"""Fixtures that every room's tests use. Nothing is left behind: state lives under pytest's temporary folder."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from stdnum.cn import uscc

from pipelines.loading import SELDOM
from schemas.load import Catalogue, load_catalogue
from schemas.settings import Settings
from tests.s3 import s3

if TYPE_CHECKING:
    from pipelines.context import Context

__all__ = ["s3"]
hypothesis_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("untimed")  # no test fails because a machine is slow
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_finish() -> None:
    """What is imported are millions of objects that stay: the collector, which took a quarter of the tests' time, need not
    go through them."""
    gc.set_threshold(*SELDOM)
    _keep()


@pytest.fixture(scope="module", autouse=True)
def kept() -> Iterator[None]:
    """So are what a module's tests have imported besides."""
    yield
    _keep()


def _keep() -> None:
    gc.collect()
    gc.freeze()


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


ASSESSED = {
    "secrecy": {"day": "2026-01-05", "number": "保审1号"},
    "impact": {"day": "2026-01-06", "number": "评1号"},
    "approved": {"day": "2026-01-07", "number": "审1号"},
}
"""What an entry of graded fields says (Decree 809, Art. 13)."""
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
"""What every test's clock says."""


def the_catalogue() -> Catalogue:
    """The repository's own, read once. What a test puts into it is not there for the next."""
    return replace(_own(), entries=dict(_own().entries))


@cache
def _own() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def ctx(settings: Settings) -> Context:
    """A context on an empty home with the repository's catalogue; connections come from XUANWU_CONN_* variables."""
    from lake.ledger import Ledger
    from pipelines.connections import from_environment
    from pipelines.context import Context

    return Context(
        settings=settings,
        catalogue=the_catalogue(),
        ledger=Ledger(settings.database_url, clock=lambda: NOW),
        connect=from_environment,
        clock=lambda: NOW,
    )


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
    departments = "\n".join(_department(number, folder) for number, folder in enumerate(folders))
    for name, text in {"departments.yaml": departments + "\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def _department(number: int, name: str) -> str:
    body = f"11320100MB{number:07}"
    return f"{name}: {{title: {{zh: 部门, en: Department}}, uscc: {body}{uscc.calc_check_digit(body)}}}"
