"""What lies in the site's folder, on a disk or on S3. No symbolic link in it is followed: whoever can write in a folder
that is served must not lead a build out of it, to write, to remove or to open up something else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Final

from lake import store
from schemas.errors import SettingsError

READABLE, ENTERED = 0o644, 0o755
"""Rights of files and folders on a disk: a web server is another user."""
_ABANDONED: Final = timedelta(days=1)
"""On S3, where nobody is kept out, what is younger and half-written may be another's."""


@dataclass(frozen=True)
class Ground:
    """Paths below the folder: whole files, half-written ones that a killed build left, and all else but folders: links,
    pipes."""

    files: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def look(folder: str) -> Ground:
    return _on_disk(root_of(folder)) if store.is_local(folder) else _on_s3(folder)


def root_of(folder: str) -> Path:
    """The (local) folder itself, which may be a link."""
    return Path(store.filesystem(folder)[1]).resolve()


def _on_disk(root: Path) -> Ground:
    ground = Ground()
    for place, folders, names in os.walk(root, onerror=_raise):
        for each in (Path(place, name) for name in (*names, *folders)):
            mode, path = each.lstat().st_mode, each.relative_to(root).as_posix()
            if stat.S_ISREG(mode):
                (ground.unfinished if store.is_unfinished(path) else ground.files).add(path)
            elif not stat.S_ISDIR(mode):
                ground.others.add(path)
    return ground


def _raise(error: OSError) -> None:
    raise error


def _on_s3(folder: str) -> Ground:
    start = len(folder.rstrip("/")) + 1
    old = store.files_unchanged_since(folder, datetime.now(UTC) - _ABANDONED)
    return Ground(
        files={uri[start:] for uri in store.list_files(folder)},
        unfinished={uri[start:] for uri in old if store.is_unfinished(uri)},
    )


def require_inside(folder: str, ground: Ground, paths: Iterable[str]) -> None:
    """SettingsError where the way to one of these files leads through a link."""
    ways = {str(way) for path in paths for way in PurePosixPath(path).parents}
    if through := sorted(ways & ground.others):
        raise SettingsError(
            f"{', '.join(through)} in the site is a link, or no folder: nothing was written or removed",
            file=folder,
            expected="folders of its own; the site's folder itself may be a link",
            next_step="see who put it there, remove it and build again",
        )


def open_up(folder: str, path: str) -> None:
    """Let a web server read a file, and enter the folders that it lies in."""
    if store.is_local(folder):
        file = root_of(folder) / path
        _allow(file, READABLE)
        for each in file.parents[: path.count("/") + 1]:
            _allow(each, ENTERED)


def _allow(path: Path, mode: int) -> None:
    """The rights of this very file: had somebody put a link there meanwhile, those of another would be changed."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
