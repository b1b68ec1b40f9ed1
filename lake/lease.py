"""Who is at a stage: a process that holds a lease, which it renews for as long as it lives.

A lease that is not renewed expires, so that no lock outlives a machine. A process of our own machine that has died is
known at once: by its number and the moment it began, since numbers are given again, in its own process namespace and
boot, since every container counts from 1. A process elsewhere is believed until its lease expires. Times are of the
machines that write them: their clocks must agree to well within a lease.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from schemas.errors import XuanwuError

LEASE: Final = timedelta(minutes=2)
RENEWALS: Final = 4
"""How often a lease is renewed before it would expire."""
_PROC: Final = Path("/proc")


def holder() -> str:
    """This process, as a lease names it: `<host> <process> <space> <began>`; the last two `-` where /proc is not."""
    return f"{socket.gethostname()} {os.getpid()} {_space()} {_began(os.getpid()) or '-'}"


def said(owner: str) -> str:
    """The holder in words."""
    host, process, *_ = owner.split(" ")
    return f"process {process} on {host}"


def alive(owner: str | None, until: str | None, now: datetime) -> bool:
    """Whether a lease still counts: it has not expired, and its process is not known to be dead."""
    if not owner or not until or now > datetime.fromisoformat(until):
        return False
    return not _dead(owner)


def _dead(owner: str) -> bool:
    _, process, space, began = owner.split(" ")
    return space != "-" and space == _space() and _began(int(process)) != began


@cache
def _space() -> str:
    """Where process numbers mean the same: a boot of a kernel and a namespace of it."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return "-"


def _began(process: int) -> str | None:
    """When a process began, in ticks since the boot; None where there is none, or only what is left of a dead one."""
    try:
        told = (_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = told.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else rest[18]


@contextmanager
def renewing(renew: Callable[[], bool]) -> Iterator[None]:
    """Renew in the background while the block runs, until it ends or `renew` says that the lease is another's. A
    renewal that fails is tried again at the next turn: that is what the lease's length is for."""
    over = threading.Event()

    def keep() -> None:
        held = True
        while held and not over.wait(LEASE.total_seconds() / RENEWALS):
            with suppress(XuanwuError):
                held = renew()

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
