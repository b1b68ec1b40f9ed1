"""A file on its way out: whole or a range of it (RFC 9110, 14), streamed; and what the log was told of already."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Final, Generic, TypeVar

from fastapi import Request, Response

from exchange.web.streaming import Streamed
from lake import store

BLOCK: Final = 1 << 20
SMALL: Final = 1 << 18
"""Bytes up to which a piece is answered in one, which costs half the turns of threads: most that readers ask for, such
as footers, are smaller. Memory is bounded by so much for each call at one time."""
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
K = TypeVar("K", bound=Hashable)


def answer(request: Request, path: str, headers: Mapping[str, str], before: Callable[[], object]) -> Response:
    """The file of the store at `path`, or the range of it that is asked for; of a HEAD the headers alone. `before` is
    done before a byte leaves, and where it fails none does."""
    size = store.size_of(path)
    wanted = _range(request.headers.get("range"), size)
    if wanted is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    first, last, status = wanted
    told = {**headers, "Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    if status == 206:
        told["Content-Range"] = f"bytes {first}-{last}/{size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=told)
    before()
    blocks = _blocks(path, first, last)
    if last - first < SMALL:
        return Response(b"".join(blocks), status, told)
    return Streamed(blocks, status, told)


def _range(text: str | None, size: int) -> tuple[int, int, int] | None:
    """First and last byte and the status (RFC 9110, 14.1.2); None where there is nothing in it. A header of another
    form, or of several ranges, is as none."""
    parts = _RANGE.fullmatch(text) if text else None
    if parts is None or parts[1] == parts[2] == "":
        return 0, size - 1, 200
    if parts[1] == "":
        first, last = max(0, size - int(parts[2])), size - 1
    else:
        first, last = int(parts[1]), min(int(parts[2] or size), size - 1)
    return None if first >= size or last < first else (first, last, 206)


def _blocks(path: str, first: int, last: int) -> Generator[bytes]:
    filesystem, inner = store.filesystem(path)
    left = last - first + 1
    with filesystem.open_input_file(inner) as file:
        file.seek(first)
        while left and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


class Seen(Generic[K]):
    """What was told to the log, the newest of it: each thing once, not each of its pieces."""

    MOST: Final = 100_000

    def __init__(self) -> None:
        self._seen: OrderedDict[K, None] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def once(self, what: K) -> Iterator[bool]:
        """Whether it is new. Where telling it fails it was not told, and is new the next time."""
        new = self._new(what)
        try:
            yield new
        except BaseException:
            if new:
                with self._lock:
                    self._seen.pop(what, None)
            raise

    def _new(self, what: K) -> bool:
        with self._lock:
            if what in self._seen:
                return False
            self._seen[what] = None
            if len(self._seen) > self.MOST:
                self._seen.popitem(last=False)
            return True
