"""A function over many things, done by processes that are forks of this one, since Python's threads take turns."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, NoReturn, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
_BUFFER = 1 << 16


@contextmanager
def spread(work: Callable[[In], Out], over: Sequence[In], processes: int) -> Iterator[Iterator[Out]]:
    """`map(work, over)`, in the same order: each of so many forks does an equal share, and this process meanwhile what
    the block does. With one process it is `map`.

    What a fork does not give, because `work` raised there or because it was killed, is done here, and what is raised
    is what `work` raises. To be called where no other thread runs that could hold a lock."""
    if processes < 2:
        yield map(work, over)
        return
    with ExitStack() as stack:
        pipes = [stack.enter_context(_fork(work, over[first::processes])) for first in range(processes)]
        yield (_given(pipes[number % processes], work, each) for number, each in enumerate(over))


def _given(pipe: BinaryIO, work: Callable[[In], Out], each: In) -> Out:
    try:
        done: Out = pickle.load(pipe)  # noqa: S301 (our own fork's)
    except (EOFError, pickle.UnpicklingError):
        done = work(each)
    return done


@contextmanager
def _fork(work: Callable[[In], Out], over: Sequence[In]) -> Iterator[BinaryIO]:
    """The pipe that a fork writes its results to. It ends with its work, or when nobody reads it any more."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)  # its own pipe, which would never break while it reads it itself
        _do(work, over, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb", _BUFFER) as pipe:
            yield pipe
    finally:
        os.waitpid(child, 0)


def _do(work: Callable[[In], Out], over: Sequence[In], writing: int) -> NoReturn:
    """Says nothing of an error: this process meets it again where it is told."""
    try:
        with os.fdopen(writing, "wb", _BUFFER) as pipe:
            for each in over:
                pickle.dump(work(each), pipe)
    finally:
        os._exit(0)
