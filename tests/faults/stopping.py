"""A forked process that is stopped just before each system call by which it changes files or talks to a server.

Linux only: a seccomp(2) filter picks the calls, ptrace(2) stops the process there, its threads and children too.
Counting calls rather than seconds makes a fault repeatable, and reaches places inside a native library's writes.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Deed = Literal["write", "name", "open", "settle", "send"]
CALLS: Final[dict[str, dict[int, tuple[str, Deed]]]] = {
    "x86_64": {
        1: ("write", "write"),
        18: ("pwrite64", "write"),
        20: ("writev", "write"),
        77: ("ftruncate", "write"),
        285: ("fallocate", "write"),
        74: ("fsync", "settle"),
        75: ("fdatasync", "settle"),
        2: ("open", "open"),
        257: ("openat", "open"),
        82: ("rename", "name"),
        264: ("renameat", "name"),
        316: ("renameat2", "name"),
        87: ("unlink", "name"),
        263: ("unlinkat", "name"),
        83: ("mkdir", "name"),
        258: ("mkdirat", "name"),
        84: ("rmdir", "name"),
        86: ("link", "name"),
        265: ("linkat", "name"),
        44: ("sendto", "send"),
        46: ("sendmsg", "send"),
    },
    "aarch64": {
        64: ("write", "write"),
        68: ("pwrite64", "write"),
        66: ("writev", "write"),
        46: ("ftruncate", "write"),
        47: ("fallocate", "write"),
        82: ("fsync", "settle"),
        83: ("fdatasync", "settle"),
        56: ("openat", "open"),
        38: ("renameat", "name"),
        276: ("renameat2", "name"),
        35: ("unlinkat", "name"),
        34: ("mkdirat", "name"),
        37: ("linkat", "name"),
        206: ("sendto", "send"),
        211: ("sendmsg", "send"),
    },
}
_FLAGS: Final = {"open": 1, "openat": 2}
"""Which argument says whether a file is made."""

_TRACEME, _CONT, _SETOPTIONS, _SYSCALL_INFO = 0, 7, 0x4200, 0x420E
_OPTIONS: Final = 2 | 4 | 8 | 0x80 | 0x100000  # fork, vfork and clone are followed; seccomp; killed with us
_SECCOMP_STOP, _WALL = 7, 0x40000000
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _TRACE = 0x7FFF0000, 0x7FF00000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def unavailable() -> str | None:
    """Why processes cannot be stopped here; None where they can be."""
    if sys.platform != "linux" or platform.machine() not in CALLS:
        return f"stopping at system calls needs Linux on {' or '.join(CALLS)}"
    try:
        return None if run(lambda: None).code == 0 else "a traced process does not run here"
    except OSError as error:
        return f"ptrace or seccomp is not permitted here ({os.strerror(error.errno or 0)})"


@dataclass(frozen=True)
class Call:
    """A call that is about to be made: the `number`-th that counts, by a thread of the process. `place` is the file
    that it writes to, where it names one by a descriptor."""

    number: int
    name: str
    deed: Deed
    thread: int
    arguments: tuple[int, ...]
    place: str

    @property
    def torn(self) -> bool:
        """Whether half of it can be done: a write to a file."""
        return self.name in {"write", "pwrite64"} and self.place.startswith("/")

    def half(self) -> None:
        """Do the first half of a write ourselves: what a process killed within it leaves."""
        if not self.torn:
            return
        descriptor, address, size = self.arguments[:3]
        with Path(f"/proc/{self.thread}/mem").open("rb", 0) as memory:
            memory.seek(address)
            data = memory.read(size // 2)
        told = Path(f"/proc/{self.thread}/fdinfo/{descriptor}").read_text(encoding="ascii")
        at = self.arguments[3] if self.name == "pwrite64" else int(told.split()[1])
        handle = os.open(f"/proc/{self.thread}/fd/{descriptor}", os.O_WRONLY)
        try:
            os.pwrite(handle, data, at)
        finally:
            os.close(handle)


@dataclass(frozen=True)
class Ended:
    """How the process ended: its exit code, negative for a signal; the calls that counted; where it was stopped."""

    code: int
    calls: int
    stopped: Call | None = None

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def run(
    work: Callable[[], None],
    below: Path | None = None,
    at: int = 0,
    fault: Callable[[Call, int], None] | None = None,
) -> Ended:
    """Do the work in a forked process, and where its `at`-th call is about to be made call `fault` with it and the
    process's id. Calls count that name or make a file, send to a server, or write to a file `below` this folder.

    The process ends with 0, with 1 where the work raised, or as the fault leaves it."""
    child = os.fork()
    if child == 0:
        _begin(work)
    os.waitpid(child, 0)
    _ptrace(_SETOPTIONS, child, 0, _OPTIONS)
    _ptrace(_CONT, child)
    return _Watch(child, str(below or "/"), at, fault).ended()


def kill(call: Call, process: int) -> None:
    """The fault that leaves the call undone."""
    os.kill(process, signal.SIGKILL)


def tear(call: Call, process: int) -> None:
    """The fault that leaves half of a write."""
    call.half()
    os.kill(process, signal.SIGKILL)


# ── the watched process ───────────────────────────────────────────────────────────────────────────────────


def _begin(work: Callable[[], None]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        _filter()
        work()
        code = 0
    finally:
        os._exit(code)


def _filter() -> None:
    """Load the filter that stops this process, for the rest of its life, at the calls of `CALLS`."""
    calls = CALLS[platform.machine()]
    plain = [number for number, (name, _) in calls.items() if name not in _FLAGS]
    opening = [(number, _FLAGS[name]) for number, (name, _) in calls.items() if name in _FLAGS]
    size = 1 + len(plain) + 3 * len(opening) + 2
    lines = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for number in plain:
        lines.append(struct.pack("HBBI", _EQUAL, size - len(lines) - 2, 0, number))
    for number, argument in opening:
        lines.append(struct.pack("HBBI", _EQUAL, 0, 2, number))
        lines.append(struct.pack("HBBI", _LOAD, 0, 0, 16 + 8 * argument))
        lines.append(struct.pack("HBBI", _AND, size - len(lines) - 2, size - len(lines) - 3, os.O_CREAT))
    lines += [struct.pack("HBBI", _RETURN, 0, 0, action) for action in (_ALLOW, _TRACE)]
    program = ctypes.create_string_buffer(b"".join(lines))
    head = ctypes.create_string_buffer(struct.pack("HP", len(lines), ctypes.addressof(program)))
    no_new_privileges, set_seccomp, by_filter = 38, 22, 2
    if _libc.prctl(no_new_privileges, 1, 0, 0, 0) or _libc.prctl(set_seccomp, by_filter, head, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _ptrace(request: int, process: int, address: int = 0, data: object = 0) -> int:
    done = int(_libc.ptrace(request, process, address, data))
    if done < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    return done


# ── the watching one ──────────────────────────────────────────────────────────────────────────────────────


class _Watch:
    def __init__(self, process: int, below: str, at: int, fault: Callable[[Call, int], None] | None) -> None:
        self._process, self._below, self._at, self._fault = process, below, at, fault
        self._calls, self._code = 0, 0
        self._stopped: Call | None = None

    def ended(self) -> Ended:
        """Follow the process, its threads and its children until none is left."""
        while True:
            try:
                thread, status = os.waitpid(-self._process, _WALL)
            except ChildProcessError:
                return Ended(self._code, self._calls, self._stopped)
            if os.WIFSTOPPED(status):
                self._pass_on(thread, status)
            elif thread == self._process:
                self._code = os.waitstatus_to_exitcode(status)

    def _pass_on(self, thread: int, status: int) -> None:
        sent, event = os.WSTOPSIG(status), status >> 16
        try:
            if event == _SECCOMP_STOP:
                self._met(thread)
            deliver = 0 if event or sent in {signal.SIGTRAP, signal.SIGSTOP} else sent
            _ptrace(_CONT, thread, 0, deliver)
        except ProcessLookupError:
            pass  # it was killed meanwhile

    def _met(self, thread: int) -> None:
        call = self._call(thread)
        if call is None:
            return
        self._calls += 1
        if self._calls == self._at and self._fault is not None:
            self._stopped = call
            self._fault(call, self._process)

    def _call(self, thread: int) -> Call | None:
        """The call, if it counts."""
        told = ctypes.create_string_buffer(88)
        _ptrace(_SYSCALL_INFO, thread, len(told), ctypes.addressof(told))
        number, *arguments = struct.unpack_from("7Q", told.raw, 24)
        name, deed = CALLS[platform.machine()][number]
        place = self._place(thread, arguments[0]) if deed in {"write", "settle"} else ""
        if place and not place.startswith(f"{self._below.rstrip('/')}/"):
            return None
        return Call(self._calls + 1, name, deed, thread, tuple(arguments), place)

    def _place(self, thread: int, descriptor: int) -> str:
        try:
            return str(Path(f"/proc/{thread}/fd/{descriptor}").readlink())
        except OSError:
            return "none"
