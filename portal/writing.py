"""The folder of the site, on a disk or on S3. It is read while it is written, and whoever writes it may be killed:

- what may not be read any more goes first, before anything else is done;
- what is new comes next, downloads before the pages that lead to them, the first page last;
- `.portal.json` names every file that may be there, and is written before any of them. A folder with files in it and
  without that one is somebody else's, and is not touched;
- `SHA256SUMS` has the digests of the files that are as they should be, at the end of all of them: for whoever carries
  the folder to another network, and for the next build, which leaves alone what has not changed.

A file of the lake that is not what its index says (damaged, or changed by hand) is not taken into the site.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from lake import progress, store
from lake.folderlock import locked
from portal.ground import Ground, look, open_up, require_inside, root_of
from portal.media import media_of
from schemas.errors import LakeError, SettingsError

SUMS: Final = "SHA256SUMS"
MARKER: Final = ".portal.json"
_MARKED: Final = TypeAdapter(list[str])
Texts = Callable[[], Iterable[tuple[str, bytes]]]


@dataclass(frozen=True)
class Original:
    """A file of the lake that the site has a copy of."""

    uri: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Built:
    """What a build did, in files."""

    copied: int
    written: int
    removed: int
    unchanged: int


def build(folder: str, originals: Mapping[str, Original], texts: Texts) -> Built:
    """Make the folder the site of these files (path to original) and texts (path and bytes), in their order. The texts
    are asked for twice, so that they need not all be held.

    SettingsError where the folder is in use for something else, or was changed so that a build could be led out of it;
    LakeError where another process is at it, or a file of the lake is not what its index says or has gone meanwhile:
    the next build goes on from there.
    """
    digests = {path: each.sha256 for path, each in originals.items()}
    digests |= {path: hashlib.sha256(text).hexdigest() for path, text in texts()}
    with locked(folder, _busy(folder)):
        ground = look(folder)
        there = _there(folder, ground)
        require_inside(folder, ground, there | digests.keys())
        store.remove_files(store.join(folder, path) for path in ground.unfinished)
        right = _right(folder, digests, ground)
        gone = sorted((there - digests.keys()) & (ground.files | ground.others))
        _put(folder, MARKER, _listed(there | digests.keys()))
        _put(folder, SUMS, _sums(right))
        for path in gone:
            _remove(folder, path)
        copied = _copy(folder, {path: each for path, each in originals.items() if path not in right})
        written = sum(_put(folder, path, text) for path, text in texts() if path not in right)
        _put(folder, SUMS, _sums(digests))
        _put(folder, MARKER, _listed(digests.keys()))
    return Built(copied, written, len(gone), len(right))


def is_site(folder: str) -> bool:
    """Whether a site was built, or begun, in this folder."""
    return store.exists(store.join(folder, MARKER))


def _busy(folder: str) -> LakeError:
    return LakeError(
        "another process is building this site now", file=folder, next_step="wait for it, or stop it"
    )


def _there(folder: str, ground: Ground) -> set[str]:
    """Paths of the files that earlier builds may have left."""
    if is_site(folder) and MARKER not in ground.others:
        return _marked(folder)
    if ground.files or ground.others:
        raise SettingsError(
            f"{folder} holds files and is no site of ours: nothing was written",
            expected="an empty folder, or one that `xuanwu portal` made",
            next_step="give another folder (XUANWU_PORTAL), or empty this one",
        )
    return set()


def _marked(folder: str) -> set[str]:
    """What the marker names. SettingsError where no build can have written it: a build removes what it names."""
    try:
        listed = _MARKED.validate_json(store.read_bytes(store.join(folder, MARKER)))
        return {path for path in listed if store.join(folder, path)}
    except (ValueError, LakeError):
        raise SettingsError(
            f"{MARKER} is not as a build left it: nothing was written or removed",
            file=folder,
            expected="a list of paths below the folder",
            next_step="see who changed it; empty the folder and build again",
        ) from None


def _right(folder: str, digests: Mapping[str, str], ground: Ground) -> dict[str, str]:
    """The files that are there as they should be. What the sums do not tell so that it can be read is written anew."""
    if SUMS not in ground.files:
        return {}
    lines = store.read_bytes(store.join(folder, SUMS)).decode(errors="replace").splitlines()
    before = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    return {
        path: digest
        for path, digest in digests.items()
        if before.get(path) == digest and path in ground.files
    }


def _listed(paths: Iterable[str]) -> bytes:
    return json.dumps(sorted(paths), ensure_ascii=False, indent=0).encode()


def _sums(digests: Mapping[str, str]) -> bytes:
    """As `sha256sum -c` reads them."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def _copy(folder: str, originals: Mapping[str, Original]) -> int:
    with progress.going("portal", sum(each.size for each in originals.values()), unit="bytes"):
        for path, each in originals.items():
            try:
                _copy_one(store.join(folder, path), each)
            except FileNotFoundError:
                raise _changed(each, "has gone: it was published anew or withdrawn meanwhile") from None
            open_up(folder, path)
    return len(originals)


def _copy_one(uri: str, original: Original) -> None:
    with store.output(uri, media_of(uri)) as stream, store.Digested(stream) as passed:
        for block in store.blocks(original.uri):
            passed.write(block)
            progress.passed(len(block))
        if (passed.sha256, passed.size) != (original.sha256, original.size):
            raise _changed(original, "is not what its index says")


def _changed(original: Original, what: str) -> LakeError:
    return LakeError(
        f"a download of the lake {what}: the site was not finished",
        file=original.uri,
        next_step="build again; if it stays so, `xuanwu verify` says what was changed",
    )


def _put(folder: str, path: str, text: bytes) -> int:
    store.write_atomic(store.join(folder, path), text, media_of(path))
    open_up(folder, path)
    return 1


def _remove(folder: str, path: str) -> None:
    """The file, and the folders that are empty without it."""
    store.remove_file(store.join(folder, path))
    if store.is_local(folder):
        with suppress(OSError):
            for each in (root_of(folder) / path).parents[: path.count("/")]:
                each.rmdir()
