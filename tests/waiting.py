"""Waiting for what another thread, process or server brings about; never without a limit: a test that waits for what
does not come fails, and says for what."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

import pytest

LIMIT = 120
"""Seconds for what takes a few: the machine may have much else to do."""
PROGRAM = 600
"""Seconds for a program that loads its libraries and does its work."""


def until(there: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it came to be there within the seconds."""
    end = time.monotonic() + seconds
    while not there() and time.monotonic() < end:
        time.sleep(0.01)
    return there()


def line(process: subprocess.Popen[str], seconds: float = LIMIT) -> str:
    """The next line that a process says, "" at its end. One that says none in time is killed, and the test fails."""
    assert process.stdout is not None
    said: Queue[str] = Queue()
    Thread(target=_read, args=(process.stdout, said), daemon=True).start()
    try:
        return said.get(timeout=seconds)
    except Empty:
        process.kill()
        pytest.fail(f"the process {process.args!r} said nothing in {seconds} s")


def _read(stream: IO[str], said: Queue[str]) -> None:
    said.put(stream.readline())


def ended(process: subprocess.Popen[str], seconds: float = LIMIT) -> int:
    """The code with which a process ends. One that does not in time is killed, and the test fails."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"the process {process.args!r} did not end in {seconds} s")


def ran(command: Sequence[Any], seconds: float = PROGRAM, **options: Any) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` gives, with its options. A program that does not end in time is killed, and the test fails
    with what it said."""
    try:
        return subprocess.run(command, timeout=seconds, **options)
    except subprocess.TimeoutExpired as late:
        said = [_text(each) for each in (late.stdout, late.stderr)]
        pytest.fail(f"the process {command!r} did not end in {seconds} s; it said: {''.join(said)}")


def _text(said: bytes | str | None) -> str:
    """What was read of a stream; nothing of one that was not captured."""
    return said.decode(errors="replace") if isinstance(said, bytes) else said or ""


def ended_child(child: int, seconds: float = LIMIT) -> int:
    """The status with which a forked child ends, as `os.waitpid` gives it. One that does not in time is killed, and the
    test fails."""
    found = [(0, 0)]

    def gone() -> bool:
        if found[0] == (0, 0):
            found[0] = os.waitpid(child, os.WNOHANG)
        return found[0] != (0, 0)

    if not until(gone, seconds):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail(f"the child {child} did not end in {seconds} s")
    return found[0][1]


def together(*threads: Thread, seconds: float = LIMIT) -> None:
    """Start threads and wait for their ends. The test fails where one does not end in time, and no thread is waited
    for after it."""
    for each in threads:
        each.daemon = True
        each.start()
    end = time.monotonic() + seconds
    for each in threads:
        each.join(max(0.0, end - time.monotonic()))
    if late := [each.name for each in threads if each.is_alive()]:
        pytest.fail(f"{len(late)} of {len(threads)} threads did not end in {seconds} s: {', '.join(late)}")
