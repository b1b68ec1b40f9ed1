"""Bytes on their way from one place to another, read by somebody else meanwhile.

A file that is copied into the lake is looked at by its reader while it is copied, not afterwards: both together take as
long as the slower of them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import Queue
from typing import Final, TypeVar

from typing_extensions import Buffer

T = TypeVar("T")
HELD: Final = 4
"""Chunks that the reader may be behind."""
Queued = Queue[bytes | None]
"""Chunks, and None after the last."""


@contextmanager
def teed(
    chunks: Iterable[bytes], read: Callable[[Passing], T]
) -> Iterator[tuple[Iterator[bytes], Future[T]]]:
    """The chunks, none of them empty, for whoever takes them within this context; and what `read` makes of the same
    bytes in a thread of its own, as they are taken: a result to be asked for after the context. Who reads may stop
    early. Where the chunks are not taken to their end, for `read` they end there, and what it makes of them is worth
    nothing."""
    queued: Queued = Queue(HELD)
    with ThreadPoolExecutor(1, "passing") as pool, closing(_passed(chunks, queued)) as passed:
        made = pool.submit(_read, queued, read)
        try:
            yield passed, made
        finally:
            queued.put(None)


def _passed(chunks: Iterable[bytes], queued: Queued) -> Generator[bytes, None, None]:
    for chunk in chunks:
        queued.put(chunk)
        yield chunk


def _read(queued: Queued, read: Callable[[Passing], T]) -> T:
    stream = Passing(queued)
    try:
        return read(stream)
    finally:
        stream.let_pass()


class Passing(io.RawIOBase):
    """What passes, as a stream that can be read once."""

    def __init__(self, queued: Queued) -> None:
        self._queued, self._held, self._ended = queued, b"", False

    def readable(self) -> bool:
        return True

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer than `size` only where the stream ends, without reading them."""
        while len(self._held) < size and (more := self._next()):
            self._held += more
        return self._held[:size]

    def read(self, size: int = -1, /) -> bytes:
        """As `RawIOBase.read`, of which whole chunks are not copied."""
        if size < 0:
            return self.readall()
        chunk = self._held or self._next()
        given, self._held = (chunk, b"") if len(chunk) <= size else (chunk[:size], chunk[size:])
        return given

    def readinto(self, buffer: Buffer) -> int:
        room = memoryview(buffer)
        found = self.read(len(room))
        room[: len(found)] = found
        return len(found)

    def let_pass(self) -> None:
        """Read no more of it, but do not stand in the way."""
        while self._next():
            pass

    def _next(self) -> bytes:
        chunk = None if self._ended else self._queued.get()
        self._ended = chunk is None
        return chunk or b""
