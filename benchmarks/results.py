"""From runs to numbers: medians, ratios within one repetition, and whether the goals of the project are met."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.contest import FLOOR, NEXT, OURS, RECEIVED, WAY
from benchmarks.environments import ROOT, java
from benchmarks.measure import Run

STARTING = {"start and import", "open the context", "start Spark", "stop Spark"}
GIB = 1 << 30


@dataclass
class Measured:
    """One run of one contender; `same` says whether it published the rows that Xuanwu did."""

    group: str
    contender: str
    repetition: int
    run: Run
    same: bool | None = None

    @property
    def starting(self) -> float:
        """Seconds in which nothing but programs and libraries was loaded."""
        return sum(took for phase, took in self.run.report.get("phases", {}).items() if phase in STARTING)

    @property
    def working(self) -> float:
        return self.run.seconds - self.starting


@dataclass
class Line:
    """A contender in a group: medians over the repetitions. Ratios are to Xuanwu and to the floor of the same
    repetition; `work_` leaves out what starting took on both sides."""

    group: str
    contender: str
    seconds: float
    best: float
    starting: float
    rows_per_second: float
    cpu: float
    servers: float
    others: float
    peak: int
    read: int
    written: int
    to_ours: float | None
    to_floor: float | None
    work_to_ours: float | None
    work_to_floor: float | None
    cpu_to_ours: float | None
    cpu_to_floor: float | None
    same: bool | None
    day: float | None = None
    """Seconds of the batch in which one row in a hundred changed, per second of the first load."""


def compare(measured: list[Measured]) -> None:
    """Set `same` on every run that published rows: whether they are those of Xuanwu's run beside it."""
    for each in measured:
        mine = (other for other in measured if other.group == each.group and other.contender == OURS)
        ours = next((other for other in mine if other.repetition == each.repetition), None)
        if "published" in each.run.report and ours is not None:
            each.same = each.run.report["published"] == ours.run.report.get("published")


def lines(measured: list[Measured], rows: int) -> list[Line]:
    """A line for each contender that finished, in the order in which they are compared."""
    done = [each for each in measured if not each.run.error]
    names = dict.fromkeys((each.group, each.contender) for each in done)
    return [
        _line(done, group, contender, rows)
        for group, contender in sorted(names, key=lambda n: _order(n, done))
    ]


def _order(name: tuple[str, str], done: list[Measured]) -> tuple[int, int, int]:
    group, contender = name
    place = next(i for i, each in enumerate(done) if each.group == group)
    rank = {RECEIVED: 0, FLOOR: 1, OURS: 2}.get(contender, 3)
    return place, rank, next(i for i, each in enumerate(done) if (each.group, each.contender) == name)


def _line(done: list[Measured], group: str, contender: str, rows: int) -> Line:
    mine = [each for each in done if (each.group, each.contender) == (group, contender)]
    seconds = median(each.run.seconds for each in mine)

    def ratio(other: str, what: str) -> float | None:
        against = {e.repetition: e for e in done if (e.group, e.contender) == (group, other)}
        pairs = [(each, against[each.repetition]) for each in mine if each.repetition in against]
        return median(_value(a, what) / _value(b, what) for a, b in pairs) if pairs else None

    return Line(
        group=group,
        contender=contender,
        seconds=seconds,
        best=min(each.run.seconds for each in mine),
        starting=median(each.starting for each in mine),
        rows_per_second=rows / seconds,
        cpu=median(each.run.cpu for each in mine),
        servers=median(each.run.servers for each in mine),
        others=median(each.run.others for each in mine),
        peak=max(each.run.peak for each in mine),
        read=int(median(each.run.io["rchar"] for each in mine)),
        written=int(median(each.run.io["wchar"] for each in mine)),
        to_ours=ratio(OURS, "seconds"),
        to_floor=ratio(FLOOR, "seconds"),
        work_to_ours=ratio(OURS, "working"),
        work_to_floor=ratio(FLOOR, "working"),
        cpu_to_ours=ratio(OURS, "cpu"),
        cpu_to_floor=ratio(FLOOR, "cpu"),
        same=all(each.same for each in mine) if mine[0].same is not None else None,
        day=median(map(_day, mine)) if group == NEXT else None,
    )


def _day(each: Measured) -> float:
    phases = each.run.report["phases"]
    day, first = (
        sum(took for name, took in phases.items() if name.startswith(f"{what} ")) for what in ("day", "first")
    )
    return float(day / first)


def _value(each: Measured, what: str) -> float:
    if what == "working":
        return each.working
    return each.run.seconds if what == "seconds" else each.run.cpu


# ── the goals ─────────────────────────────────────────────────────────────────────────────────────────────


DAY_ROWS = 20_000_000


@dataclass(frozen=True)
class Goal:
    """A promise and what was measured: by the whole process, and without what starting took."""

    goal: str
    measured: str
    met: bool


def goals(table: list[Line], rows: int) -> list[Goal]:
    """Those that one run of `make bench` can judge; a contender that is missing leaves its goal out. That of the day
    after is meant of a table of `DAY_ROWS`: of a smaller one what never changes with the rows is most of it."""
    found: list[Goal] = []
    for group in dict.fromkeys(line.group for line in table):
        by = {line.contender: line for line in table if line.group == group}
        if OURS not in by:
            continue
        ours = by[OURS]
        found += _at_most(group, "the floor", ours.to_floor, ours.work_to_floor, 2.0 if group == WAY else 1.2)
        if group == WAY:
            found += _faster(group, by.get("pandas + GX"), 4.0)
            found += _faster(group, by.get("PySpark local[2]"), 3.0)
        else:
            found += _little(group, ours.day) if rows >= DAY_ROWS else []
            dlt = [line for name, line in by.items() if name.startswith("dlt")]
            found += _faster(
                group, min(dlt, key=lambda line: line.seconds, default=None), 2.0, by.get(RECEIVED)
            )
        found.append(Goal(f"{group}: peak memory ≤ 1 GiB", f"{ours.peak / GIB:.2f} GiB", ours.peak <= GIB))
    return found


def _at_most(group: str, what: str, whole: float | None, work: float | None, most: float) -> list[Goal]:
    if whole is None or work is None:
        return []
    return [
        Goal(f"{group}: ≤ {most:g} × {what}", f"{whole:.2f} × ({work:.2f} × without starting)", whole <= most)
    ]


def _little(group: str, day: float | None) -> list[Goal]:
    if day is None:
        return []
    return [
        Goal(
            f"{group}: a day that changes 1 % of the rows ≤ 5 % of the first load", f"{day:.1%}", day <= 0.05
        )
    ]


def _faster(group: str, peer: Line | None, least: float, received: Line | None = None) -> list[Goal]:
    if peer is None or peer.to_ours is None or peer.work_to_ours is None:
        return []
    told = f"{peer.to_ours:.2f} × ({peer.work_to_ours:.2f} × without starting)"
    if peer.to_floor is not None:  # what the goal leaves room for
        told += f"; the floor {peer.to_floor:.2f} ×"
    if received is not None and received.to_ours is not None:
        told += f"; receiving alone {peer.to_ours / received.to_ours:.2f} ×"
    return [Goal(f"{group}: ≥ {least:g} × faster than {peer.contender}", told, peer.to_ours >= least)]


# ── the machine ───────────────────────────────────────────────────────────────────────────────────────────


def machine() -> dict[str, Any]:
    """What the numbers were taken on; nothing that names a host or a person."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "java": java(),
        "load": os.getloadavg()[2],
        "commit": commit.stdout.strip(),
    }


def as_json(measured: list[Measured], table: list[Line], **more: Any) -> dict[str, Any]:
    """All of it: the machine, every run with its phases, the table, the goals."""
    runs = [
        {
            "group": m.group,
            "contender": m.contender,
            "repetition": m.repetition,
            "same": m.same,
            **asdict(m.run),
        }
        for m in measured
    ]
    for run in runs:
        run["report"] = {k: v for k, v in run["report"].items() if k not in ("share", "downloads")}
    on = machine()
    return {
        "machine": on,
        "taken": {line.group: _taken(on) for line in table},
        **more,
        "table": [asdict(line) for line in table],
        "goals": [asdict(goal) for goal in goals(table, more["rows"])],
        "runs": runs,
    }


def _taken(on: dict[str, Any]) -> dict[str, Any]:
    """Of which code a group was measured, on what, and how busy that was."""
    return {"commit": on["commit"], "processor": on["processor"], "load": on.get("load", 0.0)}


def beside(earlier: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What was measured now, and the groups that only the earlier result has, with the code that they are of; goals of
    both. In the order of contests: collection, the whole way, the day after."""
    again = {line["group"] for line in now["table"]}
    both = {
        what: [*(each for each in earlier[what] if each["group"] not in again), *now[what]]
        for what in ("table", "runs")
    }
    for each in both.values():
        each.sort(key=lambda one: (one["group"] == NEXT, one["group"] == WAY))
    missing = list(dict.fromkeys([*earlier["missing"], *now["missing"]]))
    told = goals([Line(**line) for line in both["table"]], now["rows"])
    before = {line["group"]: _taken(earlier["machine"]) for line in earlier["table"]}
    taken = before | earlier.get("taken", {}) | now["taken"]
    return {**now, **both, "taken": taken, "missing": missing, "goals": [asdict(goal) for goal in told]}
