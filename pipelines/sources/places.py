"""Where a department leaves its files: a local folder or an S3 prefix, and the files there that match a glob.

A path never leaves its connection's folder: not by `..`, not by being absolute, not by a symbolic link.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pyarrow import ArrowException, fs

from pipelines.telling import file_name
from schemas.errors import SettingsError, SourceError

CHUNK = 1 << 20
_WILD = frozenset("*?[")
_S3_KEYS = frozenset({"endpoint_override", "region", "scheme", "anonymous"})


@dataclass(frozen=True)
class Place:
    """A folder on a file system. `confined` folders are not left by a symbolic link."""

    system: fs.FileSystem
    root: str
    confined: bool = True


@dataclass(frozen=True)
class Found:
    """A file: its path in the file system, its name below the place, and what its bytes were when it was
    seen."""

    path: str
    name: str
    size: int
    modified: datetime


def place(url: str) -> Place:
    """The folder that a connection names: a path, `file://…`, or
    `s3://bucket/prefix?endpoint_override=…&region=…`.

    SettingsError for any other form; it shows no part of the URL, which may hold keys."""
    if url.startswith("s3://"):
        return _s3(url)
    if "://" in url and not url.startswith("file://"):
        raise SettingsError(
            "a file source's connection is not a place for files",
            expected="a folder, file:// or s3://bucket/prefix",
        )
    return Place(
        fs.LocalFileSystem(),
        str(Path(unquote(url.removeprefix("file://")) if "://" in url else url).absolute()),
    )


def _s3(url: str) -> Place:
    """Keys come from the URL's userinfo (percent-encoded), or are found where AWS's own tools find them."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if set(options) - _S3_KEYS:
        raise SettingsError("unknown option of an s3:// connection", expected=", ".join(sorted(_S3_KEYS)))
    user, _, bucket = parts.netloc.rpartition("@")
    key, _, secret = user.partition(":")
    keys = {"access_key": unquote(key), "secret_key": unquote(secret)} if user else {}
    anonymous = options.pop("anonymous", "false").lower() == "true"
    system = fs.S3FileSystem(**keys, **options, anonymous=anonymous, connect_timeout=10, request_timeout=60)
    return Place(system, f"{bucket}{unquote(parts.path)}".rstrip("/"))


def outside(path: str) -> tuple[Place, str]:
    """A source without a connection: the folder of its absolute path or URI, and the glob within it."""
    base, _, query = path.partition("?") if path.startswith("s3://") else (path, "", "")
    if not base.startswith(("/", "file:///", "s3://")):
        raise SourceError(
            "a relative path needs a connection",
            file=path,
            expected="source.connection, an absolute path or a URI",
        )
    parts = base.split("/")
    fixed = next((i for i, part in enumerate(parts) if _WILD & set(part)), len(parts) - 1)
    folder = "/".join(parts[:fixed]) or "/"
    found = place(f"{folder}?{query}" if query else folder)
    return Place(found.system, found.root, confined=False), "/".join(parts[fixed:])


def find(where: Place, pattern: str) -> list[Found]:
    """Files below the place whose path matches the glob, sorted by name. `**` stands for any folders; names
    that begin with `.` or `~$` (locks and half-written files) are matched only if the pattern names them so.

    SourceError if the pattern, or a link among the files, leads out of the place, or the place cannot be
    read."""
    parts = _inside(pattern)
    fixed = next((i for i, part in enumerate(parts) if _WILD & set(part)), len(parts) - 1)
    root = "/".join((where.root.rstrip("/"), *parts[:fixed]))
    deep = len(parts) - fixed > 1
    try:
        infos = where.system.get_file_info(fs.FileSelector(root, recursive=deep, allow_not_found=True))
    except (OSError, ArrowException) as error:
        raise SourceError(
            f"the place of the files cannot be read ({type(error).__name__})",
            file=pattern,
            next_step="check the connection and its rights",
        ) from None
    skip = len(where.root.rstrip("/")) + 1
    found = [
        Found(info.path, info.path[skip:], int(info.size), info.mtime)
        for info in infos
        if info.type == fs.FileType.File and _matches(info.path[skip:].split("/"), parts)
    ]
    for file in found:
        _refuse_escape(where, file)
    return sorted(found, key=lambda file: file.name)


def absent(where: Place) -> bool:
    """Whether the folder of a connection is not there at all. A store has no folders, only names that begin alike."""
    local = where.confined and isinstance(where.system, fs.LocalFileSystem)
    return local and not Path(where.root).is_dir()


def _inside(pattern: str) -> list[str]:
    parts = pattern.split("/")
    if pattern.startswith("/") or "://" in pattern or ".." in parts or "\0" in pattern:
        raise SourceError(
            "a path leads out of its connection's folder",
            file=pattern,
            rule="source.path",
            expected="a path relative to the connection, without `..`",
        )
    return [part for part in parts if part not in {"", "."}]


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_matches(names[i:], patterns[1:]) for i in range(len(names)))
    if not names or (names[0].startswith((".", "~$")) and patterns[0][0] in _WILD):
        return False
    return fnmatch.fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])


def _refuse_escape(where: Place, file: Found) -> None:
    if not where.confined or not isinstance(where.system, fs.LocalFileSystem):
        return
    if not Path(file.path).resolve().is_relative_to(Path(where.root).resolve()):
        raise SourceError(
            "a symbolic link leads out of its connection's folder",
            file=file_name(file.name),
            rule="source.path",
        )


def chunks(where: Place, file: Found) -> Iterator[bytes]:
    """The file's bytes. ChangedError if it is not at the end what it was when it was found."""
    try:
        with where.system.open_input_stream(file.path, compression=None) as stream:
            while block := stream.read(CHUNK):
                yield block
        now = where.system.get_file_info(file.path)
    except FileNotFoundError:
        raise ChangedError(file_name(file.name)) from None
    except OSError as error:
        raise SourceError(
            f"the file cannot be read ({type(error).__name__})",
            file=file_name(file.name),
            next_step="check its rights, run again",
        ) from None
    if (now.size, now.mtime) != (file.size, file.modified):
        raise ChangedError(file_name(file.name))


class ChangedError(Exception):
    """A file changed while it was read: it is still being written. It says which, as others may be told."""
