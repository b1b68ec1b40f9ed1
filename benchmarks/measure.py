"""One program and all it starts, from outside: seconds, processor seconds, peak memory, bytes read and written.

Memory is the kernel's own high-water mark of a process alone; where it has started others, the sum of their
proportional set sizes (PSS: pages that two of them share count once), sampled every 50 ms, if that is higher: a process
waits while its set sizes are read. Processor time and bytes are those of every process that was seen, up to its last
sample. `others` is what the machine's other programs took meanwhile, so that a disturbed measurement shows: busy time
less ours, less the database servers'.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SAMPLE = 0.05
_SERVERS = ("postgres", "mariadbd", "mysqld")
_IO = ("rchar", "wchar", "read_bytes", "write_bytes")


@dataclass
class Run:
    """What one run took. Sizes in bytes; `rchar` and `wchar` are asked of the system (sockets that are read as
    files included), `read_bytes` and `write_bytes` reached the disk."""

    seconds: float
    cpu: float
    peak: int
    io: dict[str, int]
    servers: float
    others: float
    load: float
    report: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass
class _Seen:
    """The last sample of each process, and the highest sum of their memory."""

    cpu: dict[int, float] = field(default_factory=dict)
    io: dict[int, dict[str, int]] = field(default_factory=dict)
    peak: int = 0


def measure(command: Sequence[str], *, cwd: Path, log: Path, env: dict[str, str]) -> Run:
    """Run a program to its end. Its last line of JSON is its report; a program that fails is
    told by `error`, with the end of its log."""
    load, servers, busy = os.getloadavg()[0], _servers(), _busy()
    start = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(  # its output may quote the residents, who are generated
            command,
            cwd=cwd,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | env | {"BENCH_STARTED": str(time.time())},
        )
        try:
            seen = _watch(process.pid)
            seconds = time.perf_counter() - start
            code = process.wait()
        finally:  # an interruption ends what it interrupts
            _end(process)
    cpu, took = sum(seen.cpu.values()), _servers() - servers
    io = {name: sum(each[name] for each in seen.io.values()) for name in _IO}
    run = Run(seconds, cpu, seen.peak, io, took, max(0.0, _busy() - busy - cpu - took), load)
    lines = log.read_text(errors="replace").strip().splitlines()
    if code:
        run.error = f"exit code {code}: " + " | ".join(lines[-3:])[-500:]
    else:
        run.report = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    return run


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        for each in (*_children(psutil.Process(process.pid)), process):
            each.kill()
        process.wait()


def _watch(pid: int) -> _Seen:
    """Sample until the process has ended; it is still there, unreaped, for its last numbers."""
    seen, root = _Seen(), psutil.Process(pid)
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        processes = [root, *_children(root)]
        together = sum(_memory(each.pid) for each in processes) if len(processes) > 1 else 0
        seen.peak = max(seen.peak, together, _high_water(pid))
        for each in processes:
            _note(seen, each)
        time.sleep(SAMPLE)
    _note(seen, root)
    return seen


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


def _note(seen: _Seen, process: psutil.Process) -> None:
    try:
        times = process.cpu_times()
        seen.cpu[process.pid] = times.user + times.system
        lines = Path(f"/proc/{process.pid}/io").read_text().splitlines()
    except (psutil.Error, OSError):
        return
    seen.io[process.pid] = {name: int(number) for name, number in (line.split(": ") for line in lines)}


def _memory(pid: int) -> int:
    return bytes_of(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _high_water(pid: int) -> int:
    return bytes_of(Path(f"/proc/{pid}/status"), "VmHWM:")


def bytes_of(file: Path, name: str) -> int:
    """What a file of /proc tells by this name, in bytes; 0 of a process that has ended."""
    try:
        return next(
            (int(line.split()[1]) << 10 for line in file.read_text().splitlines() if line.startswith(name)), 0
        )
    except OSError:  # the process has ended meanwhile
        return 0


def _servers() -> float:
    """Processor seconds of the database servers so far, those of ended connections included."""
    total = 0.0
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if process.info["name"] in _SERVERS and times is not None:
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
