"""Files of the lake, on a local disk or on S3, through one set of functions: whole objects or nothing.

Paths without a scheme are local; `s3://bucket/key` goes through pyarrow's S3 client (`lake.s3`). Writes go to a
hidden temporary name first, so that whoever lists or reads a folder never sees half a file; a full disk is a
`LakeError` that says so. Bytes are bytes: pyarrow would unpack a file by its suffix (`.gz`), and is told not to.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from lake import parquet, s3
from lake.closing import first_error
from schemas.errors import LakeError

BLOCK = 1 << 20
ROW_GROUP_ROWS = 128 * 1024
ROW_GROUP_BYTES = 64 << 20
DIGESTED_BESIDE = 64 * 1024
"""Bytes of a block from which on another thread digests it."""
_UNFINISHED = ".tmp"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system that holds `uri`, and the path within it."""
    if uri.startswith("s3://"):
        return s3.filesystem(), uri.removeprefix("s3://").rstrip("/")
    if not is_local(uri):
        scheme = uri.partition("://")[0]
        raise LakeError(f"the lake cannot lie at {scheme}://", expected="a local path or s3://bucket/prefix")
    return fs.LocalFileSystem(), str(Path(uri.removeprefix("file://")).absolute())


def join(root: str, *parts: str) -> str:
    """`root/part/part`; parts are names, never absolute and never `..`."""
    for part in parts:
        if part in {"", ".."} or part.startswith("/") or "/../" in f"/{part}/" or "\0" in part:
            raise LakeError(f"not a name inside the lake: {part!r}", expected="a relative path without `..`")
    return "/".join((root.rstrip("/"), *parts))


@contextmanager
def full_disk_is_ours(uri: str) -> Iterator[None]:
    """Turn the system's `No space left` and quota errors into a message that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _full("the disk is full; nothing was changed", uri) from None


def _full(message: str, place: str | None) -> LakeError:
    return LakeError(message, file=place, next_step="free some space, then run the batch again")


def refused(error: OSError) -> LakeError:
    """What the system refused (a right, a folder that is a file) in our words; such errors hold a path, no value."""
    if code := s3.said(error):
        return LakeError(
            f"the object store did not do what was asked, although asked again: {code}",
            next_step="see whether it answers at AWS_ENDPOINT_URL, the keys and the bucket, then run the batch again",
        )
    place = str(error.filename) if error.filename else None
    if error.errno in _FULL:
        return _full("the disk is full", place)
    return LakeError(
        f"the system refused: {os.strerror(error.errno) if error.errno else type(error).__name__}",
        file=place,
        next_step="see XUANWU_HOME, XUANWU_LAKE and XUANWU_PORTAL, their rights and their space, then run again",
    )


def owner_only() -> None:
    """Whatever this process makes from here on, through whatever library, is for its owner only: files 0600, folders
    0700. Iceberg's metadata, spilled rows and databases are written by code that asks for no mode."""
    os.umask(0o077)


def make_folder(uri: str) -> None:
    """The folder and its parents; new local ones are for their owner only. NotADirectoryError where one is a file."""
    store, path = filesystem(uri)
    if isinstance(store, fs.LocalFileSystem) and not Path(path).is_dir():
        for folder in reversed((Path(path), *Path(path).parents)):
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None


@contextmanager
def output(uri: str, media: str = "") -> Iterator[IO[bytes]]:
    """A stream to a temporary name beside `uri`, flushed to the disk and moved into place on a clean exit. S3 is told
    the media type, and tells it to whoever reads."""
    store, path = filesystem(uri)
    folder, _, name = path.rpartition("/")
    hidden = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}{_UNFINISHED}"
    make_folder(uri.rpartition("/")[0])
    try:
        with full_disk_is_ours(uri):
            with (
                store.open_output_stream(hidden, compression=None, metadata=_told(media)) as stream,
                first_error(stream),
            ):
                yield stream
            _settle(store, hidden)
            _rename(store, hidden, path)
    except BaseException:
        with suppress(OSError):
            store.delete_file(hidden)
        raise


def _told(media: str) -> dict[str, str] | None:
    return {"Content-Type": media} if media else None


def _rename(store: fs.FileSystem, hidden: str, path: str) -> None:
    if isinstance(store, fs.S3FileSystem):
        s3.move(store, hidden, path)
    else:
        store.move(hidden, path)


def _settle(store: fs.FileSystem, path: str) -> None:
    if not isinstance(store, fs.LocalFileSystem):
        return
    with Path(path).open("rb") as file:
        os.fchmod(file.fileno(), 0o600)
        os.fsync(file.fileno())


def write_atomic(uri: str, data: bytes, media: str = "") -> None:
    """All of `data` at `uri`, or what was there before; `media` as of `output`. An object of S3 appears whole when its
    upload is completed, so that nothing but the bytes is sent; whoever is killed before leaves none."""
    store, path = filesystem(uri)
    if isinstance(store, fs.S3FileSystem):
        with store.open_output_stream(path, compression=None, metadata=_told(media)) as stream:
            stream.write(data)
        return
    with output(uri, media) as stream:
        stream.write(data)


def write_stream(uri: str, chunks: Iterable[bytes | pa.Buffer]) -> tuple[str, int]:
    """The chunks as one file; returns its sha256 (hex) and size in bytes, of the bytes as they passed."""
    with output(uri) as stream, Digested(stream) as passed:
        for chunk in chunks:
            passed.write(chunk)
    return passed.sha256, passed.size


class Digested(io.RawIOBase):
    """A stream into a file whose bytes are counted and digested (SHA-256) as they pass, large blocks in a thread of its
    own while they are written. Whoever opened the file closes it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.size, self._digest = stream, 0, hashlib.sha256()
        self._beside = ThreadPoolExecutor(1, "digest")

    @property
    def sha256(self) -> str:
        """Hex digest of what has passed."""
        return self._digest.hexdigest()

    def write(self, data: Any) -> int:
        """All of the bytes; their room may be used again afterwards."""
        size = memoryview(data).nbytes
        if size < DIGESTED_BESIDE:
            self._digest.update(data)
            self._stream.write(data)
        else:
            digested = self._beside.submit(self._digest.update, data)
            try:
                self._stream.write(data)
            finally:
                digested.result()
        self.size += size
        return size

    def tell(self) -> int:
        return self.size

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        self._beside.shutdown()
        super().close()


@contextmanager
def atomic_parquet(uri: str, schema: pa.Schema, *, statistics: bool = True) -> Iterator[parquet.Writer]:
    """A zstd Parquet writer whose file appears at `uri` on a clean exit, and nothing at all otherwise. Without
    `statistics` the footer, which tools show and copy, holds no value of a row."""
    with output(uri) as stream, parquet.Writer(stream, schema, statistics=statistics) as writer:
        yield writer


def write_parquet(
    uri: str, groups: Iterable[pa.Table], schema: pa.Schema, *, statistics: bool = True
) -> tuple[str, int]:
    """The tables as the row groups of one zstd Parquet file; its SHA-256 (hex) and size, of the bytes as they passed.
    If the tables raise, no file appears."""
    with (
        output(uri) as stream,
        Digested(stream) as passed,
        # a call of Python for each block, not for each page
        pa.output_stream(passed, buffer_size=BLOCK) as blocks,
        first_error(blocks),
        parquet.Writer(blocks, schema, statistics=statistics) as writer,
    ):
        for group in groups:
            writer.write_table(group)
    return passed.sha256, passed.size


def row_groups(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema | None = None, most: int | None = None
) -> Iterator[pa.Table]:
    """Batches gathered into tables of a row group's size, by rows (`most`, if given) and by bytes: a writer makes one
    row group of each call, and thousands of tiny ones are slow to read. Their schema is that of the batches if none is
    given; text may come as numbers in a dictionary, and where that changes a group ends."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if held and batch.schema.types != held[0].schema.types:
            yield _group(held, schema)
            held, rows, size = [], 0, 0
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= (most or ROW_GROUP_ROWS) or size >= ROW_GROUP_BYTES:
            yield _group(held, schema)
            held, rows, size = [], 0, 0
    if rows:
        yield _group(held, schema)


def _group(batches: list[pa.RecordBatch], schema: pa.Schema | None) -> pa.Table:
    return pa.Table.from_batches(batches, schema and parquet.encoded_as(schema, batches[0].schema))


def read_bytes(uri: str) -> bytes:
    """The whole file; FileNotFoundError if there is none."""
    store, path = filesystem(uri)
    with store.open_input_stream(path, compression=None) as stream:
        return bytes(stream.read())


def exists(uri: str) -> bool:
    store, path = filesystem(uri)
    return bool(store.get_file_info(path).type != fs.FileType.NotFound)


def size_of(uri: str) -> int:
    """Bytes of a file; FileNotFoundError if there is none."""
    store, path = filesystem(uri)
    info = store.get_file_info(path)
    if info.type != fs.FileType.File:
        raise FileNotFoundError(uri)
    return int(info.size)


def _entries(uri: str, kind: fs.FileType, *, recursive: bool) -> list[str]:
    store, path = filesystem(uri)
    prefix = "s3://" if uri.startswith("s3://") else ""
    selector = fs.FileSelector(path, recursive=recursive, allow_not_found=True)
    found = [info for info in store.get_file_info(selector) if info.type == kind]
    return sorted(prefix + info.path for info in found if not info.base_name.startswith("."))


def list_files(uri: str) -> list[str]:
    """Every finished file below a folder, sorted; none where the folder is absent."""
    return _entries(uri, fs.FileType.File, recursive=True)


def files_unchanged_since(uri: str, moment: datetime) -> list[str]:
    """Every file below a folder, half-written ones too, that was last changed before the moment. None where somebody
    is removing folders just now: whoever asks will ask again."""
    store, path = filesystem(uri)
    prefix = "s3://" if uri.startswith("s3://") else ""
    try:
        found = store.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    except FileNotFoundError:
        return []
    files = (info for info in found if info.type == fs.FileType.File)
    return sorted(prefix + info.path for info in files if info.mtime and info.mtime < moment)


def is_unfinished(uri: str) -> bool:
    """Whether this is a file being written, or one that was when its process was killed."""
    name = uri.rsplit("/", 1)[-1]
    return name.startswith(".") and name.endswith(_UNFINISHED)


def parts(uri: str) -> list[str]:
    """The files of what is one Parquet file, or a folder of several that several processes wrote."""
    return [uri] if uri.endswith(".parquet") else list_files(uri)


def list_folders(uri: str) -> list[str]:
    """The folders directly in a folder, sorted; none where it is absent."""
    return _entries(uri, fs.FileType.Directory, recursive=False)


def remove_file(uri: str) -> None:
    """Gone afterwards, whether or not it was there."""
    store, path = filesystem(uri)
    with suppress(FileNotFoundError):
        store.delete_file(path)


def remove_files(uris: Iterable[str]) -> None:
    """As many of them as can be removed are gone afterwards: for clearing up after an error that matters more."""
    for uri in uris:
        with suppress(OSError):
            remove_file(uri)


def remove_tree(uri: str) -> None:
    """The folder and all in it are gone afterwards, whether or not it was there."""
    store, path = filesystem(uri)
    if store.get_file_info(path).type == fs.FileType.Directory:
        with suppress(FileNotFoundError):
            store.delete_dir(path)


def sha256_of(uri: str) -> str:
    """Hex digest of a file, read in blocks."""
    return digest_of(uri)[0]


def digest_of(uri: str) -> tuple[str, int]:
    """Hex digest (SHA-256) and size of a file, read once, in blocks; FileNotFoundError if there is none."""
    digest, size = hashlib.sha256(), 0
    for block in blocks(uri):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def blocks(uri: str) -> Iterator[bytes]:
    """A file's bytes, a megabyte at a time; FileNotFoundError if there is none."""
    store, path = filesystem(uri)
    with store.open_input_stream(path, compression=None) as stream:
        while block := stream.read(BLOCK):
            yield block
