"""A function over many things, done by processes that are forks of this one, since Python's threads take turns."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, NoReturn, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
_BUFFER = 1 << 16


@contextmanager
def spread(work: Callable[[In], Out], over: Sequence[In], processes: int) -> Iterator[Iterator[Out]]:
    """`map(work, over)`, in the same order: each of so many forks does an equal share, and this process meanwhile what
    the block does. With one process it is `map`.

    What a fork does not give, because `work` raised there, it was killed or there is none, is done here: what is raised
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
    """The pipe that a fork writes its results to, empty where the system grants none. The fork ends with its work, or
    when nobody reads any more."""
    reading, writing = os.pipe()
    child = None
    with suppress(OSError):
        child = os.fork()
    if child == 0:
        os.close(reading)  # a pipe does not break while anybody holds this end
        _do(work, over, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb", _BUFFER) as pipe:
            yield pipe
    finally:
        if child is not None:
            with suppress(ChildProcessError):  # where SIGCHLD is ignored nobody waits
                os.waitpid(child, 0)


def _do(work: Callable[[In], Out], over: Sequence[In], writing: int) -> NoReturn:
    """In the fork. An error is not told here: whoever reads meets it again."""
    try:
        with os.fdopen(writing, "wb", _BUFFER) as pipe:
            for each in over:
                pickle.dump(work(each), pipe)
    finally:
        os._exit(0)
