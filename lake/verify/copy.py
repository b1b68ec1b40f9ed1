"""A lake to be looked at: its files by their paths below it, each read and digested once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
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
    has by the log, `attested` which each inner one."""

    root: str
    entries: int = 0
    checkpoint: dict[str, object] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    standing: dict[str, str] = field(default_factory=dict)
    attested: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def uri(self, path: str) -> str:
        return store.join(self.root, path)

    def exists(self, path: str) -> bool:
        return store.exists(self.uri(path))

    def read(self, path: str) -> bytes:
        return store.read_bytes(self.uri(path))

    def sha256(self, path: str) -> str:
        if path not in self.digests:
            self.digests[path], self.sizes[path] = store.digest_of(self.uri(path))
            progress.passed(self.sizes[path])
        return self.digests[path]

    def below(self, folder: str) -> list[str]:
        """Every file below a folder, hidden and unfinished ones too."""
        filesystem, root = store.filesystem(self.root)
        selector = fs.FileSelector(f"{root}/{folder}", recursive=True, allow_not_found=True)
        found = filesystem.get_file_info(selector)
        return sorted(info.path[len(root) + 1 :] for info in found if info.type == fs.FileType.File)

    def finished(self, folder: str) -> Generator[Finding, None, list[str]]:
        """Every file below a folder, but for those that were never finished, which are found wrong."""
        found = self.below(folder)
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
