"""What waits for another process or thread ends, and says for what it waited."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Event, Thread

import pytest

from tests.waiting import ended, ended_child, line, ran, together

SLEEPS = "import time; time.sleep(600)"


def process(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_what_comes_in_time_is_given() -> None:
    with process("print('one', flush=True); print('two')") as speaker:
        assert [line(speaker) for _ in range(3)] == ["one\n", "two\n", ""]
        assert ended(speaker) == 0
    if (child := os.fork()) == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(ended_child(child)) == 3
    done: list[int] = []
    together(*(Thread(target=done.append, args=(number,)) for number in range(3)))
    assert sorted(done) == [0, 1, 2]


@pytest.mark.parametrize("waiting", [line, ended])
def test_a_process_that_hangs_is_killed_and_told(
    waiting: Callable[[subprocess.Popen[str], float], object],
) -> None:
    with process(SLEEPS) as hanging:
        with pytest.raises(pytest.fail.Exception, match=r"time\.sleep\(600\).* in 0\.2 s"):
            waiting(hanging, 0.2)
        assert hanging.wait(60) == -9


def test_a_program_that_hangs_is_killed_and_told_with_what_it_said() -> None:
    speaks = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); "
    with pytest.raises(pytest.fail.Exception, match=r"(?s)did not end in 5 s; it said: one\n.*two"):
        ran([sys.executable, "-c", speaks + SLEEPS], 5, capture_output=True, text=True)
    with pytest.raises(pytest.fail.Exception, match=r"did not end in 0\.2 s; it said: $"):
        ran([sys.executable, "-c", SLEEPS], 0.2)
    assert ran([sys.executable, "-c", "print('one')"], capture_output=True, text=True).stdout == "one\n"
    with pytest.raises(subprocess.CalledProcessError):
        ran([sys.executable, "-c", "raise SystemExit(3)"], check=True)


def test_a_child_that_hangs_is_killed_and_told() -> None:
    if (child := os.fork()) == 0:
        time.sleep(600)
        os._exit(0)
    with pytest.raises(pytest.fail.Exception, match=f"child {child} did not end in 0.2 s"):
        ended_child(child, 0.2)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, 0)


def test_threads_that_hang_are_told() -> None:
    go = Event()
    threads = [Thread(target=go.wait, name=f"waits-{number}") for number in range(2)]
    with pytest.raises(
        pytest.fail.Exception, match=r"2 of 3 threads did not end in 0\.2 s: waits-0, waits-1"
    ):
        together(*threads, Thread(target=int), seconds=0.2)
    assert all(each.daemon for each in threads), "the end of the tests does not wait for them"
    go.set()
