"""What a reader of a folder could find in it, and whether some values are among that."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import Record

SHORTEST, WINDOW = 6, 8
RANDOM = 13
"""So many hexadecimal digits in a run are a snapshot's id, a time in milliseconds, a digest or a token."""
CHANCE = 8
"""Digits of a value, up to which one of thousands stands in such a run by chance."""
_BUCKETS, _SPREAD = 24, 0x9E3779B97F4A7C15


def bytes_below(folder: Path) -> bytes:
    """All that lies there: names, files as they lie, and Parquet, Avro and workbooks as read, with statistics and
    metadata."""
    return b"\n".join(
        part for path in sorted(folder.rglob("*")) if path.is_file() for part in bytes_of(path, folder)
    )


def bytes_of(path: Path, root: Path) -> Iterator[bytes]:
    """One file's name below `root`, its bytes, and what its format hides in them."""
    yield str(path.relative_to(root)).encode()
    yield path.read_bytes()
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield str(file.metadata.to_dict()).encode()
            yield str(file.schema_arrow.metadata).encode()
            for number in range(file.num_row_groups):
                yield str(file.read_row_group(number).to_pylist()).encode()
    elif path.suffix == ".avro":
        with AvroFile[Record](PyArrowFileIO().new_input(str(path))) as records:
            yield from (found for record in records for found in raw_bytes(record))
    elif path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as book:
            yield from (book.read(name) for name in book.namelist())


def raw_bytes(value: Any) -> list[bytes]:
    """Paths and bounds: bounds are single values as bytes."""
    if isinstance(value, bytes | str):
        return [value if isinstance(value, bytes) else value.encode()]
    if isinstance(value, Record):
        value = value._data
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [found for item in items for found in raw_bytes(item)]


def among(values: Iterable[str], data: bytes) -> set[str]:
    """Those of many values, each of six bytes or more, that stand somewhere in the bytes.

    Each value's last bytes, as a number, are looked for at every place at once; what is found is compared whole.
    Among thousands of dates one stands in some snapshot's id or digest by chance (`20210715` in an id of 19
    digits): a value of up to `CHANCE` digits inside a run of `RANDOM` or more is not one that was written.
    """
    wanted: dict[int, dict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for value in {value.encode() for value in values}:
        assert len(value) >= SHORTEST, "a shorter value could stand there by chance"
        tail = value[-WINDOW:]
        wanted[len(tail)][int.from_bytes(tail, "little")].append(value)
    return {
        value.decode()
        for width, tails in wanted.items()
        for place, tail in _places(np.array(list(tails), dtype=np.uint64), width, data)
        for value in tails[tail]
        if data.endswith(value, 0, place + width)
        and not _by_chance(data, place + width - len(value), place + width)
    }


def _by_chance(data: bytes, start: int, end: int) -> bool:
    """Whether what stands there is only part of a long run of hexadecimal digits."""
    if end - start > CHANCE or not _hexadecimal(data[start:end]):
        return False
    first, last = start, end
    while _hexadecimal(data[first - 1 : first]):
        first -= 1
    while _hexadecimal(data[last : last + 1]):
        last += 1
    return last - first >= RANDOM


def _hexadecimal(data: bytes) -> bool:
    return bool(data) and not data.strip(b"0123456789abcdef")


def _places(tails: NDArray[np.uint64], width: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Where one of the numbers stands in the bytes, `width` bytes wide, and which."""
    flags = np.zeros(1 << _BUCKETS, dtype=np.bool_)
    flags[_bucket(tails)] = True
    keep = np.uint64((1 << 8 * width) - 1)
    padded = data + bytes(2 * WINDOW)
    for offset in range(WINDOW):
        windows = np.frombuffer(padded, dtype="<u8", offset=offset, count=len(data) // WINDOW + 1) & keep
        likely = np.flatnonzero(flags[_bucket(windows)])
        for index in likely[np.isin(windows[likely], tails)]:
            yield int(index) * WINDOW + offset, int(windows[index])


def _bucket(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (numbers * np.uint64(_SPREAD)) >> np.uint64(64 - _BUCKETS)
