"""The rows of a MySQL result set as whole columns, from the bytes that the server sends.

Each row is a packet: three bytes of length (little-endian), a sequence number, and the row's values one behind the
other, a value being its length and its text (protocol::ResultsetRow, protocol::LengthEncodedString). A Python object
for every value is what makes a driver slow: here a loop of few steps walks from packet to packet, and everything
within them is done for all rows of some megabytes at once. PyMySQL has sent the query and read the columns'
descriptions before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pymysql.err import raise_mysql_exception

from lake.ahead import ahead

BATCH_BYTES: Final = 2 << 20
"""Of packets that are worked on at once; one row may be larger."""
_NULL, _TWO, _THREE, _EIGHT = 0xFB, 0xFC, 0xFD, 0xFE
_ERROR, _END = 0xFF, 0xFE
_LONGEST: Final = 0xFFFFFF
"""A packet of this length goes on in the next one."""
Places = NDArray[np.int64]


class Stream(Protocol):
    """What a socket's buffered reader offers: at least one byte of what is there, none at its end."""

    def read1(self, size: int, /) -> bytes: ...


def columns(stream: Stream, width: int) -> Iterator[list[pa.Array]]:
    """The values of each of `width` columns (binary, null where the value is null), some megabytes of rows at a time.

    Raises the server's error as PyMySQL would, ConnectionError where the stream ends before the result does, and
    struct.error where it is no result set."""
    for data, starts in ahead(_packets(stream)):
        yield _columns(data, starts, width)


def _packets(stream: Stream) -> Iterator[tuple[bytearray, Places]]:
    packets = _Packets(stream)
    while not packets.ended:
        data, starts = packets.take()
        if len(starts):
            yield data, starts


class _Packets:
    """Whole packets of rows, as they come; `ended` after the last one."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._data = stream, bytearray()
        self.ended = False

    def take(self) -> tuple[bytearray, Places]:
        """Bytes, and in them the place of each row's first value. A row of several packets comes alone."""
        found: list[Places] = []
        at = 0
        while (at := self._walk(at, found)) < BATCH_BYTES:
            length = self._length(at)
            first = self._data[at + 4]
            if length < 9 and first == _END:
                self.ended = True
                break
            if first == _ERROR:
                raise_mysql_exception(bytes(self._data[at + 4 : at + 4 + length]))
            if length == _LONGEST:
                return self._cut(at, found) if any(map(len, found)) else (self._joined(), np.array([0]))
            found.append(np.array([at + 4]))
            at += 4 + length
        return self._cut(at, found)

    def _walk(self, at: int, found: list[Places]) -> int:
        """Go on over rows that have come whole, to the first packet that has not, or may be something else: from length
        to length, and then a look at all of them at once."""
        data, walked = self._data, [at]
        size = min(len(data), _LONGEST)
        last = min(size - 4, BATCH_BYTES)
        while at < last:
            at += 4 + data[at] + (data[at + 1] << 8) + (data[at + 2] << 16)
            walked.append(at)
        ends = np.array(walked, np.int64)
        starts = ends[:-1] + 4
        other = (
            (ends[1:] > size) | (ends[1:] == starts) | (np.frombuffer(data, np.uint8).take(starts) >= _END)
        )
        rows = int(other.argmax()) if other.any() else len(starts)
        found.append(starts[:rows])
        return int(ends[rows])

    def _length(self, at: int) -> int:
        """The length of the packet that begins there, when all of it has come."""
        self._fill(at + 4)
        length = int.from_bytes(self._data[at : at + 3], "little")
        if not length:
            raise struct.error("a packet of a row is empty")
        self._fill(at + 4 + length)
        return length

    def _fill(self, size: int) -> None:
        while len(self._data) < size:
            more = self._stream.read1(max(size - len(self._data), 1 << 18))
            if not more:
                raise ConnectionError("the server went away")
            self._data += more

    def _cut(self, at: int, found: list[Places]) -> tuple[bytearray, Places]:
        data, self._data = self._data, self._data[at:]
        return data, np.concatenate(found)

    def _joined(self) -> bytearray:
        """The row that begins here, without the headers of its packets."""
        row, length, at = bytearray(), _LONGEST, 0
        while length == _LONGEST:
            self._fill(at + 4)
            length = int.from_bytes(self._data[at : at + 3], "little")
            self._fill(at + 4 + length)
            row += self._data[at + 4 : at + 4 + length]
            at += 4 + length
        self._data = self._data[at:]
        return row


def _columns(data: bytearray, at: Places, width: int) -> list[pa.Array]:
    raw, held = np.frombuffer(data, np.uint8), pa.py_buffer(data)
    found: list[pa.Array] = []
    for _ in range(width):
        starts, ends, null = _extent(raw, at)
        found.append(_values(held, starts, ends, null))
        at = ends
    return found


def _extent(raw: NDArray[np.uint8], at: Places) -> tuple[Places, Places, NDArray[np.bool_]]:
    """Where the values that begin at these places have their text, and which are null."""
    first = raw.take(at)
    null = first == _NULL
    header, length = np.ones(len(at), np.int64), first.astype(np.int64)
    length[null] = 0
    for mark, size in ((_TWO, 2), (_THREE, 3), (_EIGHT, 8)) if (first > _NULL).any() else ():
        here = np.flatnonzero(first == mark)
        header[here] = 1 + size
        length[here] = sum(raw[at[here] + 1 + n].astype(np.int64) << 8 * n for n in range(size))
    starts = at + header
    return starts, starts + length, null


def _values(held: pa.Buffer, starts: Places, ends: Places, null: NDArray[np.bool_]) -> pa.Array:
    """What lies between starts and ends. Both taken by turns are the offsets of an array in which every second element
    is a value and the others are what lies between two values."""
    offsets = np.empty(2 * len(starts), np.int32)
    offsets[0::2], offsets[1::2] = starts, ends
    both = pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), held])
    values = pa.array(np.arange(0, len(offsets), 2, dtype=np.int32), mask=null if null.any() else None)
    return pc.take(both, values, boundscheck=False)


def rows_of(cursor: Any, width: int) -> Iterator[list[pa.Array]]:
    """The columns of the query that a PyMySQL `SSCursor` has just sent, whose rows nobody has begun to read."""
    connection = cursor.connection
    connection._sock.settimeout(connection._read_timeout)
    yield from columns(connection._rfile, width)
    cursor._result.unbuffered_active = False
