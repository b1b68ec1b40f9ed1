"""Whether some values stand anywhere in some files: in names, bytes, and whatever formats and encodings hide.

A file is looked at as it lies and as its format reads: Parquet (values, footers, statistics), Avro (Iceberg's
manifests with their bounds), zip archives and workbooks (members within members), gzip, zlib, zstd, and SQLite (every
cell; free pages and the write-ahead log as they lie). A value is looked for in every form that `forms` gives. What is
encrypted, hashed or in a picture is not found.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import sqlite3
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyiceberg.avro.file import AvroFile
from pyiceberg.io import InputFile
from pyiceberg.typedef import Record

from lake import store

SHORTEST: Final = 6
"""Bytes of a form at least: a shorter one could stand there by chance."""
BLOCK: Final = 16 << 20
OVERLAP: Final = 1 << 10
DEEP: Final = 4
"""Archives within archives that are opened."""
EXPANDED: Final = 1 << 30
_PACKED: Final = (b"\x1f\x8b", b"\x28\xb5")
_WINDOW, _BUCKETS, _SPREAD = 8, 24, 0x9E3779B97F4A7C15
_WIDE: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}


def forms(value: str) -> set[bytes]:
    """A value as it is, in capitals and small letters, full width, UTF-16, GB18030, JSON and percent escapes,
    hexadecimal, Base64 at each of its three offsets, and backwards."""
    cases = {value, value.upper(), value.lower()}
    texts = cases | {each.translate(_WIDE) for each in cases} | {value[::-1]}
    found = {each.encode(code) for each in texts for code in ("utf-8", "utf-16-le", "utf-16-be")}
    found |= {each.encode("gb18030", "ignore") for each in texts}
    found |= {json.dumps(each)[1:-1].encode() for each in cases}
    found |= {quote(each, safe="").encode() for each in cases} | {
        quote(each, safe="").lower().encode() for each in cases
    }
    for each in cases:
        raw = each.encode()
        found |= {raw.hex().encode(), raw.hex().upper().encode()}
        found |= {part for shift in range(3) for part in _base64(raw, shift)}
    return {form for form in found if len(form) >= SHORTEST}


def _base64(raw: bytes, shift: int) -> Iterator[bytes]:
    """The digits that do not depend on what stands around the value."""
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        digits = alphabet(bytes(shift) + raw)
        first = (shift * 8 + 5) // 6
        last = (shift + len(raw)) * 8 // 6
        yield digits[first:last]


@dataclass
class Needles:
    """Values, each in all its forms, to be looked for together. Values are kept out of `repr`."""

    values: Iterable[str] = field(repr=False)
    exact: bool = False
    _sorted: dict[int, _Tails] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        wanted: dict[int, dict[int, list[tuple[bytes, str]]]] = defaultdict(lambda: defaultdict(list))
        self.count = 0
        for value in {each for each in self.values if len(each.encode()) >= SHORTEST}:
            for form in {value.encode()} if self.exact else forms(value):
                tail = form[-_WINDOW:]
                wanted[len(tail)][int.from_bytes(tail, "little")].append((form, value))
                self.count += 1
        self._sorted = {width: _Tails(dict(tails), width) for width, tails in wanted.items()}

    def among(self, data: bytes) -> set[str]:
        """The values of which a form stands somewhere in the bytes."""
        return {value for tails in self._sorted.values() for value in tails.among(data)}


@dataclass
class _Tails:
    """The last bytes of forms, as numbers: each is looked for at every place at once; what is found is compared
    whole."""

    forms: dict[int, list[tuple[bytes, str]]]
    width: int

    def __post_init__(self) -> None:
        self.tails = np.array(sorted(self.forms), dtype=np.uint64)
        self.flags = np.zeros(1 << _BUCKETS, dtype=np.bool_)
        self.flags[_bucket(self.tails)] = True

    def among(self, data: bytes) -> Iterator[str]:
        for place, tail in self._places(data):
            for form, value in self.forms[tail]:
                if data.endswith(form, 0, place + self.width):
                    yield value

    def _places(self, data: bytes) -> Iterator[tuple[int, int]]:
        keep = np.uint64((1 << 8 * self.width) - 1)
        padded = data + bytes(2 * _WINDOW)
        for offset in range(_WINDOW):
            count = len(data) // _WINDOW + 1
            windows: NDArray[np.uint64] = (
                np.frombuffer(padded, dtype="<u8", offset=offset, count=count) & keep
            )
            likely = np.flatnonzero(self.flags[_bucket(windows)])
            for index in likely[np.isin(windows[likely], self.tails)]:
                yield int(index) * _WINDOW + offset, int(windows[index])


def _bucket(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (numbers * np.uint64(_SPREAD)) >> np.uint64(64 - _BUCKETS)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Looked:
    """How much was looked at, and which values were found in which files. `unread` could not be read as the format
    that their first bytes promise: they were looked at as they lie, and what they pack was not seen."""

    files: int = 0
    bytes: int = 0
    unread: list[str] = field(default_factory=list)
    found: dict[str, set[str]] = field(default_factory=dict, repr=False)


def search(uris: Iterable[str], needles: Needles) -> Looked:
    """Look for the values in the files and their names."""
    looked = Looked()
    for uri in uris:
        with suppress(FileNotFoundError):
            looked.bytes += store.size_of(uri)
            found = {value for view in views(uri, looked.unread) for value in needles.among(view)}
            looked.files += 1
            if found:
                looked.found[uri] = found
    return looked


def files_below(folder: str) -> list[str]:
    """Every file, hidden and unfinished ones too."""
    system, root = store.filesystem(folder)
    prefix = "s3://" if folder.startswith("s3://") else ""
    selector = store.fs.FileSelector(root, recursive=True, allow_not_found=True)
    found = system.get_file_info(selector)
    return sorted(prefix + info.path for info in found if info.type == store.fs.FileType.File)


def views(uri: str, unread: list[str]) -> Iterator[bytes]:
    """The name of a file and all that can be read out of it, in pieces of bounded size that overlap. `unread` gains
    the file if its format cannot be read."""
    yield uri.encode(errors="surrogateescape")
    system, path = store.filesystem(uri)
    with system.open_input_file(path) as stream:
        try:
            yield from _of_stream(stream, 0)
        except _DAMAGED:
            unread.append(uri)


_DAMAGED = (OSError, EOFError, ValueError, pa.ArrowInvalid, zipfile.BadZipFile, zlib.error, sqlite3.Error)


def _of_stream(stream: Any, depth: int) -> Iterator[bytes]:
    """The bytes as they lie, then what they are by their first ones."""
    yield from _blocks(stream)
    stream.seek(0)
    magic = stream.read(16)
    stream.seek(0)
    if depth > DEEP:
        return
    if magic[:4] == b"PAR1":
        yield from _parquet(stream)
    elif magic[:4] == b"Obj\x01":
        yield from _avro(stream.read())
    elif magic.startswith(b"SQLite format 3\0"):
        yield from _sqlite(stream.read())
    elif magic[:2] == b"PK":
        yield from _zip(stream, depth)
    elif (opened := _unpacked(stream, magic)) is not None:
        with opened as inner:
            yield from _of_stream(inner, depth + 1)


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    held = b""
    while block := stream.read(BLOCK):
        yield held + block
        held = block[-OVERLAP:]


def _unpacked(stream: IO[bytes], magic: bytes) -> IO[bytes] | None:
    """gzip, zstd or zlib taken off, on disk."""
    if magic[:2] == b"\x1f\x8b":
        return _spooled(gzip.GzipFile(fileobj=stream))
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return _spooled(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"))
    if magic[:1] == b"\x78" and int.from_bytes(magic[:2]) % 31 == 0:
        return io.BytesIO(zlib.decompressobj().decompress(stream.read(), EXPANDED))
    return None


def _spooled(stream: Any) -> IO[bytes]:
    spool = tempfile.TemporaryFile()  # noqa: SIM115  closed by whoever reads it
    taken = 0
    while (block := stream.read(BLOCK)) and taken < EXPANDED:
        taken += len(block)
        spool.write(block)
    spool.seek(0)
    return spool


def _zip(stream: IO[bytes], depth: int) -> Iterator[bytes]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            yield info.filename.encode(errors="surrogateescape") + b"\n" + info.comment
            with archive.open(info) as member, _spooled(member) as inner:
                yield from _of_stream(inner, depth + 1)


def _parquet(stream: Any) -> Iterator[bytes]:
    with pq.ParquetFile(stream, pre_buffer=False) as file:
        yield json.dumps(file.metadata.to_dict(), default=str, ensure_ascii=False).encode()
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            yield "\n".join(str(group.column(i).statistics) for i in range(group.num_columns)).encode()
        yield str(file.schema_arrow.metadata).encode()
        for batch in file.iter_batches(1 << 14):
            yield from (_column(column) for column in batch.columns)


def _column(column: pa.Array) -> bytes:
    """The values of a column, one a line."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return b"\n".join(value for value in column.to_pylist() if value is not None)
    if pa.types.is_nested(column.type):
        return "\n".join(str(value) for value in column.to_pylist()).encode()
    texts = column.cast(pa.large_string())
    whole = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts.fill_null(""))
    return (pc.binary_join(whole, pa.scalar("\n", pa.large_string()))[0].as_py() or "").encode()


def _avro(data: bytes) -> Iterator[bytes]:
    with AvroFile[Record](_Held(data)) as records:
        for record in records:
            yield b"\n".join(_raw(record))


class _Held(InputFile):
    """Bytes that are here already."""

    def __init__(self, data: bytes) -> None:
        super().__init__("memory")
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def exists(self) -> bool:
        return True

    def open(self, seekable: bool = True) -> Any:
        return io.BytesIO(self._data)


def _raw(value: Any) -> list[bytes]:
    """Paths and bounds: bounds are single values as bytes."""
    if isinstance(value, bytes | str):
        return [value if isinstance(value, bytes) else value.encode()]
    if isinstance(value, Record):
        value = value._data
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [found for item in items for found in _raw(item)]


def _sqlite(data: bytes) -> Iterator[bytes]:
    """Every cell of every table: long ones are cut over pages, and blobs may be packed."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data[:18] + b"\1\1" + data[20:])  # as if it had no write-ahead log of its own
        connection.text_factory = bytes
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            quoted = table.decode().replace('"', '""')
            yield from _cells(connection.execute(f'SELECT * FROM "{quoted}"'))


def _cells(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for cell in (cell for row in rows for cell in row if cell is not None):
        raw = cell if isinstance(cell, bytes) else str(cell).encode()
        held.append(raw)
        size += len(raw)
        if raw[:2] in _PACKED or raw[:1] == b"\x78":
            with suppress(*_DAMAGED):  # any cell may begin like that
                yield from _of_stream(io.BytesIO(raw), DEEP)
        if size > BLOCK:
            yield b"\0".join(held)
            held, size = [], 0
    yield b"\0".join(held)
