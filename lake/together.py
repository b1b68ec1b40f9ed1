"""Work that several threads bring at one time, done by one of them for all: many entries cost one flush of the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass
class _Brought(Generic[In, Out]):
    what: In
    done: bool = False
    made: Out | None = None
    error: Exception | None = None


class Together(Generic[In, Out]):
    """`work` does a list of things, `most` at a time, and gives what came of each, in their order. Where it fails it
    has failed for each of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[_Brought[In, Out]] = deque()
        self._turn = Lock()

    def do(self, what: In, work: Callable[[list[In]], Sequence[Out]]) -> Out:
        """What came of it, once it is done: by this thread, or by the one whose turn it was."""
        mine: _Brought[In, Out] = _Brought(what)
        self._waiting.append(mine)
        with self._turn:
            while not mine.done:
                self._next(work)
        if mine.error is not None:
            raise mine.error
        return mine.made  # type: ignore[return-value]

    def _next(self, work: Callable[[list[In]], Sequence[Out]]) -> None:
        taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            made = work([each.what for each in taken])
        except Exception as error:
            for each in taken:
                each.error, each.done = error, True
            return
        except BaseException:  # this thread is being stopped: the others' turn is to come
            self._waiting.extendleft(reversed(taken))
            raise
        for each, found in zip(taken, made, strict=True):
            each.made, each.done = found, True
