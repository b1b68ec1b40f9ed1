"""What passes is read meanwhile: the same bytes, whoever stops first, and nobody waits for ever."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.passing import HELD, Passing, teed

CHUNKS = [b"ab", b"c", b"defg", b"h"] * 5
WHOLE = b"".join(CHUNKS)


@given(chunks=st.lists(st.binary(min_size=1, max_size=9)), sizes=st.lists(st.integers(1, 12), min_size=1))
def test_the_reader_is_given_what_passes(chunks: list[bytes], sizes: list[int]) -> None:
    def read(stream: Passing) -> list[bytes]:
        head = stream.peek(4)
        found: list[bytes] = []
        while part := stream.read(sizes[len(found) % len(sizes)]):
            found.append(part)
        return [head, *found]

    with teed(iter(chunks), read) as (passed, made):
        taken = list(passed)
    head, *found = made.result()
    assert taken == chunks
    assert b"".join(found) == b"".join(chunks)
    assert head == b"".join(chunks)[:4]
    assert all(len(part) <= sizes[number % len(sizes)] for number, part in enumerate(found))


def test_as_any_stream_it_is_read_through_a_buffer() -> None:
    def read(stream: Passing) -> bytes:
        with io.BufferedReader(stream, 3) as buffered:
            return buffered.read()

    with teed(CHUNKS, read) as (passed, made):
        assert b"".join(passed) == WHOLE
    assert made.result() == WHOLE


def test_both_go_on_at_once() -> None:
    """The reader has the first chunks before the last one is there."""
    read_first = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"first"
        assert read_first.wait(30)
        yield b"last"

    def read(stream: Passing) -> bytes:
        first = stream.read(5)
        read_first.set()
        return first + stream.read(5)

    with teed(chunks(), read) as (passed, made):
        assert list(passed) == [b"first", b"last"]
    assert made.result() == b"firstlast"


def test_a_reader_that_has_seen_enough_holds_nobody_up() -> None:
    with teed(CHUNKS, lambda stream: stream.read(1)) as (passed, made):
        assert len(list(passed)) == len(CHUNKS) > HELD
    assert made.result() == b"a"


def test_a_reader_that_fails_holds_nobody_up_and_its_error_is_told_where_it_is_asked() -> None:
    def read(stream: Passing) -> None:
        stream.read(1)
        raise ValueError("unreadable")

    with teed(CHUNKS, read) as (passed, made):
        assert b"".join(passed) == WHOLE
    with pytest.raises(ValueError, match="unreadable"):
        made.result()


@pytest.mark.parametrize("taken", [0, 1, HELD + 2])
def test_where_whoever_takes_them_fails_the_reader_ends(taken: int) -> None:
    closed: list[bool] = []

    def chunks() -> Iterator[bytes]:
        try:
            yield from CHUNKS
        finally:
            closed.append(True)

    with pytest.raises(OSError, match="full"), teed(chunks(), Passing.readall) as (passed, made):
        for _ in range(taken):
            next(passed)
        raise OSError("full")
    assert made.result() == b"".join(CHUNKS[:taken])
    assert closed == [True] * bool(taken)


def test_a_source_that_fails_ends_both() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), teed(chunks(), Passing.readall) as (passed, made):
        list(passed)
    assert made.result() == b"half"
