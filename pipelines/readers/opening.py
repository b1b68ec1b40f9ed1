"""The bytes of a landed file: gzip and zip are taken off as they stream, and never beyond a bound.

Archives are recognised by their first bytes, not by their names. Members of a zip are read in place: nothing
is ever extracted, so that a member's name cannot choose where bytes go.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from typing_extensions import Buffer

from lake import store
from lake.records import LandedFile
from pipelines.telling import file_name
from schemas.errors import SourceError

GZIP = b"\x1f\x8b"
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
FREE = 64 << 20
"""Bytes that any archive may expand to; beyond this the ratio decides."""
RATIO = 250
"""Expanded size over compressed size; real tables stay below 30, a zip bomb reaches 1,000."""
CHUNK = 1 << 20
_BROKEN = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, ValueError, struct.error)
"""ValueError: seeking where a damaged directory points."""
_JUNK = ("__MACOSX/", "~$", ".")


class Bounded(io.RawIOBase):
    """A decompressing stream whose damage becomes a SourceError, and which stops at a zip bomb."""

    def __init__(self, stream: IO[bytes], name: str, compressed: int) -> None:
        self._stream, self._name = stream, name
        self._limit = max(FREE, RATIO * compressed)
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        try:
            data = self._stream.read(len(room))
        except _BROKEN:
            raise damaged(self._name) from None
        room[: len(data)] = data
        self._given += len(data)
        if self._given > self._limit:
            raise SourceError(
                f"the archive expands beyond {self._limit} bytes, more than {RATIO} times its size",
                file=self._name,
                rule="a zip bomb is not read",
                next_step="ask the source for the file uncompressed, or in smaller parts",
            )
        return len(data)


def damaged(name: str) -> SourceError:
    return SourceError(
        "the archive is damaged or was cut short", file=name, next_step="have the source send the file again"
    )


@contextmanager
def open_raw(path: str) -> Iterator[IO[bytes]]:
    """A landed file's own bytes, seekable, from the local disk or S3."""
    if store.is_local(path):
        with Path(path.removeprefix("file://")).open("rb", buffering=0) as local:
            yield cast(IO[bytes], local)
        return
    system, inner = store.filesystem(path)
    with system.open_input_file(inner) as stream:
        yield cast(IO[bytes], stream)


def is_packed(head: bytes) -> bool:
    """Whether these first four bytes begin a gzip or a zip."""
    return head.startswith((GZIP, *ZIP))


def is_archive(stream: IO[bytes], file_format: str) -> bool:
    """Whether this is a zip of files. A workbook is a zip itself, and is told by what is in it."""
    stream.seek(0)
    zipped = stream.read(4) in ZIP
    stream.seek(0)
    if not zipped or file_format != "excel":
        return zipped
    try:
        names = set(zipfile.ZipFile(stream).namelist())
    except zipfile.BadZipFile:
        return False
    finally:
        stream.seek(0)
    return not names & {"[Content_Types].xml", "mimetype", "content.xml"}


def members(path: str, origin: str, file_format: str, pattern: str | None) -> tuple[str, ...]:
    """The members of a zip archive to read, sorted; nothing where the file is no zip.

    SourceError for a broken or zero-byte archive, and where no member matches."""
    with open_raw(path) as raw:
        if origin.lower().endswith((".zip", ".gz")) and not raw.read(1):
            raise SourceError(
                "zero bytes: not an archive",
                file=file_name(origin),
                next_step="have the source send the file again",
            )
        if not is_archive(raw, file_format):
            if origin.lower().endswith(".zip"):
                raise SourceError(
                    "not a zip archive, though it is named so",
                    file=file_name(origin),
                    next_step="have the source send the file again",
                )
            return ()
        with _archive(raw, file_name(origin)) as archive:
            names = sorted(info.filename for info in archive.infolist() if not _ignored(info))
    chosen = tuple(name for name in names if pattern is None or _matches(name, pattern))
    if not chosen:
        raise SourceError(
            f"no member of the archive matches {pattern!r}; it holds {len(names)}"
            if pattern
            else "the archive is empty",
            file=file_name(origin),
            next_step="correct source.member, or have the source send the file again",
        )
    return chosen


def _ignored(info: zipfile.ZipInfo) -> bool:
    last = info.filename.rpartition("/")[2]
    return info.is_dir() or info.filename.startswith("__MACOSX/") or last.startswith(_JUNK)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name.rpartition("/")[2], pattern)


@contextmanager
def _archive(stream: IO[bytes], name: str) -> Iterator[zipfile.ZipFile]:
    """Names without the UTF-8 flag are GB18030 on Chinese systems, code page 437 by the specification."""
    for encoding in ("gb18030", "cp437"):
        stream.seek(0)
        try:
            archive = zipfile.ZipFile(stream, metadata_encoding=encoding)
        except UnicodeDecodeError:
            continue
        except _BROKEN:
            raise damaged(name) from None
        with archive:
            yield archive
        return
    raise damaged(name)


@contextmanager
def open_bytes(file: LandedFile, pattern: str | None = None) -> Iterator[IO[bytes]]:
    """The file's content as one stream, without its gzip or zip; seekable only if it was not compressed.

    `pattern` finds the member of a zip where the record does not name it."""
    name = file_name(file.name)
    with ExitStack() as stack:
        stream = stack.enter_context(open_raw(file.path))
        if is_archive(stream, file.format):
            member = file.member or members(file.path, file.origin, file.format, pattern)[0]
            archive = stack.enter_context(_archive(stream, file_name(file.origin)))
            stream = stack.enter_context(_member(archive, member, name))
        magic = stream.peek(2)[:2] if isinstance(stream, io.BufferedReader) else _peek(stream)
        if magic == GZIP:
            unzipped = stack.enter_context(gzip.GzipFile(fileobj=stream))
            stream = io.BufferedReader(Bounded(cast(IO[bytes], unzipped), name, file.size), CHUNK)
        yield stream


def _peek(stream: IO[bytes]) -> bytes:
    magic = stream.read(2)
    stream.seek(0)
    return magic


@contextmanager
def _member(archive: zipfile.ZipFile, member: str, name: str) -> Iterator[IO[bytes]]:
    try:
        info = archive.getinfo(member)
        stream = archive.open(info)
    except RuntimeError:
        raise SourceError(
            "the archive is protected by a password",
            file=name,
            next_step="have the source send it without one",
        ) from None
    except (KeyError, NotImplementedError, *_BROKEN):
        raise damaged(name) from None
    with stream:
        yield io.BufferedReader(Bounded(stream, name, info.compress_size), CHUNK)


@contextmanager
def open_seekable(
    file: LandedFile, pattern: str | None = None, limit: int | None = None
) -> Iterator[IO[bytes]]:
    """Like `open_bytes`, but seekable: what was compressed is spooled to a temporary file first.

    `limit` bounds the bytes, for formats that are read whole; SourceError beyond it."""
    with ExitStack() as stack:
        stream = stack.enter_context(open_bytes(file, pattern))
        if isinstance(stream, io.BufferedReader):
            spool = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, spool, CHUNK)
            stream = cast(IO[bytes], spool)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        if limit is not None and size > limit:
            raise SourceError(
                f"{size} bytes; a {file.format} file is read whole, up to {limit} bytes",
                file=file_name(file.origin),
                next_step="ask the source for CSV, JSON Lines or Parquet, or for smaller files",
            )
        yield stream
