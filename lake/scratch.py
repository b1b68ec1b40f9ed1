"""Scratch space: folders on local disk for what a stage spills. They may hold rows as the source gave them.

A folder goes with its stage. A killed process cannot remove its own, so each is locked while it is in use: the
lock goes with the process, and `sweep` removes old folders that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.settings import Settings


@contextmanager
def folder(settings: Settings, purpose: str) -> Iterator[Path]:
    """A new folder, for its owner only, that is gone afterwards."""
    settings.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.scratch, prefix=f"{purpose}-") as made:
        handle = os.open(made, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield Path(made)
        finally:
            os.close(handle)


def sweep(settings: Settings, before: datetime) -> int:
    """Remove the folders of killed processes that have not changed since `before`; returns how many. The age guards
    folders just made, and those of another machine where the disk does not carry locks over."""
    if not settings.scratch.is_dir():
        return 0
    found = [path for path in settings.scratch.iterdir() if path.is_dir() and not path.is_symlink()]
    dead = [path for path in found if _changed(path) < before and not _held(path)]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)


def _changed(path: Path) -> datetime:
    """When something was last made or removed in the folder; now, if it has just gone."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.now(UTC)


def _held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
