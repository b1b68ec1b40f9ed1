"""A lake to be looked at: its files by their paths below it, each read and digested once.

Whoever can change the disk may put anything there: pipes, at which a reader waits for ever, folders and links in the
place of files, names that are no text. They are found wrong, and nothing of them is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyarrow import fs

from lake import progress, store
from lake.certificates import Certificate, FileProof

LEFT: Final = "a killed process left it (see upkeep), or someone put it"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and where: a path below the lake, or a table."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass
class Copy:
    """`root` is a path or URI. The counts say how much was looked at; `standing` which metadata each published table
    has by the log, `attested` which each inner one, `downloads` the files that certificates name."""

    root: str
    entries: int = 0
    checkpoint: dict[str, object] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    standing: dict[str, str] = field(default_factory=dict)
    attested: dict[str, str] = field(default_factory=dict)
    downloads: dict[str, FileProof] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def uri(self, path: str) -> str:
        return store.join(self.root, path)

    def exists(self, path: str) -> bool:
        """Whether there is a file."""
        if self._is_local:
            return Path(self._local, path).is_file()
        return store.exists(self.uri(path))

    def read(self, path: str) -> bytes:
        self._require(path)
        return store.read_bytes(self.uri(path))

    def sha256(self, path: str) -> str:
        if path not in self.digests:
            self._require(path)
            self.digests[path], self.sizes[path] = store.digest_of(self.uri(path))
            progress.passed(self.sizes[path])
        return self.digests[path]

    def _require(self, path: str) -> None:
        """FileNotFoundError where what lies there is no file. An object of a store is one."""
        if self._is_local and not self.exists(path):
            raise FileNotFoundError(path)

    @property
    def _is_local(self) -> bool:
        return store.is_local(self.root)

    @property
    def _local(self) -> str:
        return store.filesystem(self.root)[1]

    def below(self, folder: str) -> Generator[Finding, None, list[str]]:
        """Every file below a folder, hidden and unfinished ones too; what is neither file nor folder is found wrong."""
        if self._is_local:
            things = sorted(_things(self._local, folder))
            yield from (Finding(path, odd) for path, odd in things if odd)
            return [path for path, odd in things if not odd]
        filesystem, root = store.filesystem(self.root)
        selector = fs.FileSelector(f"{root}/{folder}", recursive=True, allow_not_found=True)
        found = filesystem.get_file_info(selector)
        return sorted(info.path[len(root) + 1 :] for info in found if info.type == fs.FileType.File)

    def finished(self, folder: str) -> Generator[Finding, None, list[str]]:
        """Every file below a folder, but for those that were never finished, which are found wrong."""
        found = yield from self.below(folder)
        begun = [path for path in found if store.is_unfinished(path)]
        yield from (Finding(path, f"a file that was never finished: {LEFT}") for path in begun)
        return sorted(set(found) - set(begun))

    def same(self, proof: FileProof) -> Iterator[Finding]:
        """The file is there and is, byte for byte, the one that was certified."""
        try:
            same = (self.sha256(proof.path), self.sizes[proof.path]) == (proof.sha256, proof.size)
        except FileNotFoundError:
            yield Finding(proof.path, "the file is missing")
            return
        if not same:
            yield Finding(proof.path, "the file is not the one that was certified: it was changed")


def _things(
    root: str, folder: str, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, str]]:
    """What lies below a local folder, links followed: each thing's path and, where it is no file, what is wrong."""
    found = _status(Path(root, folder))
    if found is None or not stat.S_ISDIR(found.st_mode):
        return
    own = (found.st_dev, found.st_ino)
    if own in above:
        yield folder, "a link that leads back to a folder above it"
        return
    for name in (each.name for each in Path(root, folder).iterdir()):
        path = f"{folder}/{name}"
        known = _status(Path(root, path))
        if any("\udc80" <= each <= "\udcff" for each in name):
            yield (
                os.fsencode(path).decode(errors="backslashreplace"),
                "a name that is no text: someone put it there",
            )
        elif known is not None and stat.S_ISDIR(known.st_mode):
            yield from _things(root, path, above | {own})
        else:
            is_file = known is not None and stat.S_ISREG(known.st_mode)
            yield (
                path,
                "" if is_file else "a pipe, a device or a link to nothing, and no file: someone put it there",
            )


def _status(path: Path) -> os.stat_result | None:
    """None where there is nothing, or a link that leads nowhere."""
    try:
        return path.stat()
    except PermissionError:
        raise
    except OSError:
        return None
