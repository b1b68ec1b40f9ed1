"""Rows from the bytes of a MySQL connection, however they are cut: by packets, and by what the network hands over."""

from __future__ import annotations

import io
import struct

import pyarrow as pa
import pymysql
import pytest

from pipelines.sources import mysql_wire

Row = tuple[bytes | None, ...]
END = b"\xfe\x00\x00\x02\x00"
LONGEST = 0xFFFFFF


def length(size: int) -> bytes:
    """protocol::LengthEncodedInteger."""
    if size < 251:
        return bytes([size])
    for mark, room in ((0xFC, 2), (0xFD, 3), (0xFE, 8)):
        if size < 1 << 8 * room:
            return bytes([mark]) + size.to_bytes(room, "little")
    raise AssertionError(size)


def payload(row: Row) -> bytes:
    return b"".join(b"\xfb" if value is None else length(len(value)) + value for value in row)


def packets(*payloads: bytes) -> bytes:
    """Each payload as a packet, or as several where it is longer than one may be."""
    sent = bytearray()
    for whole in payloads:
        for start in range(0, len(whole) + 1, LONGEST):
            part = whole[start : start + LONGEST]
            sent += len(part).to_bytes(3, "little") + b"\x07" + part
            if len(part) < LONGEST:
                break
    return bytes(sent)


class Dribble(io.BytesIO):
    """A stream that hands over a few bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size or 7))


def read(stream: io.BytesIO, width: int) -> list[Row]:
    rows: list[Row] = []
    for columns in mysql_wire.columns(stream, width):
        assert all(column.type == pa.binary() for column in columns)
        rows += zip(*(column.to_pylist() for column in columns), strict=True)
    return rows


def test_values_of_every_length_and_null() -> None:
    sizes = [0, 1, 250, 251, 252, 253, 254, 255, 65_535, 65_536, 70_000]
    rows: list[Row] = [
        (None if n % 3 == 0 else b"a" * n, b"\xfe" * size, None) for n, size in enumerate(sizes)
    ]
    assert read(io.BytesIO(packets(*map(payload, rows), END)), 3) == rows


def test_the_network_may_cut_anywhere() -> None:
    rows: list[Row] = [(str(n).encode(), None if n % 2 else b"x" * (n % 300)) for n in range(600)]
    assert read(Dribble(packets(*map(payload, rows), END)), 2) == rows


@pytest.mark.parametrize("size", [LONGEST - 10, LONGEST - 5, LONGEST, LONGEST + 1, 2 * LONGEST])
def test_a_row_of_several_packets(size: int) -> None:
    rows: list[Row] = [(b"before", b""), (b"big", b"\xff" * size), (None, b"after")]
    assert read(io.BytesIO(packets(*map(payload, rows), END)), 2) == rows


def test_batches_are_of_some_megabytes() -> None:
    sent = packets(*[payload((b"x" * 200_000,))] * 200, END)
    sizes = [columns[0].nbytes for columns in mysql_wire.columns(io.BytesIO(sent), 1)]
    assert sum(sizes) > 200 * 200_000
    assert max(sizes) < mysql_wire.BATCH_BYTES + 400_000


def test_no_rows() -> None:
    assert read(io.BytesIO(packets(END)), 2) == []


def test_an_error_in_the_middle_is_the_servers() -> None:
    said = b"\xff" + struct.pack("<H", 1317) + b"#70100Query execution was interrupted"
    with pytest.raises(pymysql.err.OperationalError, match="1317"):
        read(io.BytesIO(packets(payload((b"1",)), said)), 1)


@pytest.mark.parametrize("kept", [3, 9, -1])
def test_a_stream_that_ends_before_the_result(kept: int) -> None:
    with pytest.raises(ConnectionError):
        read(io.BytesIO(packets(payload((b"1",)), END)[:kept]), 1)


def test_of_packets_that_have_come_whole_none_is_looked_at_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step for each row is what takes the time: there is one for each delivery of the network."""
    looked: list[int] = []
    length_of = mysql_wire._Packets._length

    def counted(packets: mysql_wire._Packets, at: int) -> int:
        looked.append(at)
        return length_of(packets, at)

    monkeypatch.setattr(mysql_wire._Packets, "_length", counted)
    rows: list[Row] = [(b"a" * 10, None)] * 10_000
    assert read(io.BytesIO(packets(*map(payload, rows), END)), 2) == rows
    assert len(looked) <= 2


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_packet_is_no_row(rows: int) -> None:
    sent = packets(*[payload((b"1",))] * rows) + b"\0\0\0\x07" + packets(payload((b"2",)), END)
    with pytest.raises(struct.error):
        read(io.BytesIO(sent), 1)
