"""A catalogue that was found valid need not be judged again until one of its files, or of these rules, changes.

The stamp is a digest of every file's path, size, times and number, as Git's index has them; it is taken before and
after the check. Files changed in the last two seconds are not trusted, since a second change within one tick of the
file system's clock would not be seen. The stamp's file is written whole or not at all, so that a killed process
leaves the old one; a stamp that does not fit says nothing, and the catalogue is judged.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SETTLED = 2_000_000_000
"""Nanoseconds for which a file must have been as it is."""


@dataclass(frozen=True)
class Stamp:
    """`digest` of the files under a catalogue's root and of this package; `settled` if none changed just now."""

    digest: str
    settled: bool


def taken(root: Path) -> Stamp:
    """The stamp of the catalogue as it lies there now. Reads names and times only."""
    digest, newest = hashlib.sha256(f"{sys.version}\n{root.absolute()}\n".encode()), 0
    for line, changed in _files(root, HERE):
        digest.update(line.encode("utf-8", "surrogateescape"))
        newest = max(newest, changed)
    return Stamp(digest.hexdigest(), newest < time.time_ns() - SETTLED)


def _files(*roots: Path) -> Iterator[tuple[str, int]]:
    folders = [str(root) for root in roots]
    while folders:
        with suppress(NotADirectoryError, FileNotFoundError), os.scandir(folders.pop()) as found:
            for entry in sorted(found, key=lambda each: each.name):
                if entry.name.startswith((".", "__pycache__")):
                    continue
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    told = entry.stat()
                    times = f"{told.st_mtime_ns} {told.st_ctime_ns} {told.st_ino} {told.st_size}"
                    yield f"{entry.path} {times}\n", max(told.st_mtime_ns, told.st_ctime_ns)


def known(folder: Path, root: Path, stamp: Stamp) -> bool:
    """Whether a catalogue of this stamp was found valid before."""
    try:
        return _place(folder, root).read_text(encoding="ascii") == stamp.digest
    except (OSError, ValueError):
        return False


def keep(folder: Path, root: Path, before: Stamp) -> None:
    """Note that a catalogue is valid, if it is still what it was before it was judged. Where the folder cannot be
    written nothing is noted, and it will be judged again."""
    if not before.settled or taken(root) != before:
        return
    place = _place(folder, root)
    new = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.write_text(before.digest, encoding="ascii")
        new.replace(place)


def _place(folder: Path, root: Path) -> Path:
    return folder / hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:16]
