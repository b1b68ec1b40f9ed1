"""docs/performance.md, written from the results that are kept: `python -m benchmarks.page`.

No number of the page is written by hand. Of each measurement the newest result is told, of contests the newest of each
number of rows; where a peer is faster the page says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from benchmarks.contest import FLOOR, NEXT, OURS, RECEIVED, WAY
from benchmarks.environments import ROOT
from benchmarks.kept import RESULTS, kept, newest
from benchmarks.results import GIB, STARTING
from benchmarks.sections import KINDS, Json, busy, on, table
from benchmarks.words import HEAD, METHOD, UNMET

PAGE = ROOT / "docs" / "performance.md"
FLAME = "performance-flame.svg"
LARGE = 2_000_000
"""Rows from which on the goals are meant."""


def page(results: Path = RESULTS) -> str:
    """The whole page."""
    contests = _contests(results)
    sections = [HEAD, *_goals(contests), UNMET, *map(_contest, contests), *_growth(contests)]
    for kind, told in KINDS.items():
        if (found := newest(kind, results)) is not None:
            sections.append(told(found))
    return "\n".join([*sections, METHOD])


def _contests(results: Path) -> list[Json]:
    """The newest contest of each number of rows, the largest first."""
    by_rows = {each["rows"]: {**each, "file": path.stem} for path, each in kept(results) if "table" in each}
    return [by_rows[rows] for rows in sorted(by_rows, reverse=True)]


def _goals(contests: list[Json]) -> Iterator[str]:
    """Those of every contest that is large enough, the smallest first."""
    for contest in reversed([each for each in contests if each["rows"] >= LARGE] or contests[:1]):
        yield from _goals_of(contest)


def _goals_of(first: Json) -> Iterator[str]:
    rows = [
        [each["goal"], each["measured"], "met" if each["met"] else "**not met**"] for each in first["goals"]
    ]
    yield f"## Goals, at {first['rows']:,} rows\n"
    yield table(("goal", "measured", ""), rows)
    slower = [
        f"{line['contender']} ({line['group']}: {line['to_ours']:.2f} × Xuanwu's time)"
        for line in first["table"]
        if line["contender"] not in (OURS, FLOOR, RECEIVED)
        and line["to_ours"] is not None
        and line["to_ours"] < 1
    ]
    yield f"Faster than Xuanwu: {', '.join(slower) or 'no peer'}.\n"


def _contest(result: Json) -> str:
    told = [f"## {result['rows']:,} rows\n", f"{on(result)}. {_repetitions(result)} repetition(s).\n"]
    told += [f"Left out: {reason}\n" for reason in result["missing"]]
    told.append(f"![seconds]({_link(result)})\n")
    for group, lines in groupby(result["table"], key=lambda line: line["group"]):
        told += [
            f"### {group}\n",
            *_earlier(result, group),
            table(_COLUMNS, [_cells(line) for line in lines]),
        ]
    return "\n".join([*told, *_stages(result), *_day(result)])


def _repetitions(result: Json) -> str:
    """How often each contender ran: `3`, or `1 to 3` where a group was measured again by itself."""
    often = Counter(run["group"] for run in result["runs"] if run["contender"] == OURS).values()
    return " to ".join(str(each) for each in sorted({min(often), max(often)}))


def _earlier(result: Json, group: str) -> Iterator[str]:
    """Of which code a group was measured, where that is not the result's own."""
    machine = result["machine"]
    taken = result.get("taken", {}).get(group, machine)
    if taken["commit"] != machine["commit"]:
        yield f"Measured earlier, commit {taken['commit']}: {taken['processor']}{busy(machine | taken)}.\n"


def _link(result: Json) -> str:
    return f"../benchmarks/results/{result['file']}.svg"


_COLUMNS = ("", "s", "starting", "rows/s", "× Xuanwu", "× floor", "work × floor", "CPU s", "CPU × floor")
_COLUMNS += ("peak MB", "read MB", "written MB", "servers' CPU s", "others' CPU s", "same rows")


def _cells(line: Json) -> list[str]:
    ratios = [line[name] for name in ("to_ours", "to_floor", "work_to_floor")]
    return [
        line["contender"],
        f"{line['seconds']:.1f}",
        f"{line['starting']:.1f}",
        f"{line['rows_per_second']:,.0f}",
        *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        f"{line['cpu']:.1f}",
        "" if line["cpu_to_floor"] is None else f"{line['cpu_to_floor']:.2f}",
        *(f"{line[name] / 1e6:,.0f}" for name in ("peak", "read", "written")),
        *(f"{line[name]:.1f}" for name in ("servers", "others")),
        {None: "", True: "yes", False: "no"}[line["same"]],
    ]


def _report(result: Json, group: str, contender: str) -> Json | None:
    """What the last run of a contender told of itself."""
    runs = [
        run
        for run in result["runs"]
        if (run["group"], run["contender"]) == (group, contender) and not run["error"]
    ]
    return dict(runs[-1]["report"]) if runs else None


def _stages(result: Json) -> Iterator[str]:
    """Where the time of the whole way goes, stage by stage, and what the floor takes for the same zones."""
    ours, floor = _report(result, WAY, OURS), _report(result, WAY, FLOOR)
    if ours is None:
        return
    whole = sum(took for name, took in ours["phases"].items() if name not in STARTING)
    rows = [
        [name, f"{took:.1f}", f"{took / whole:.0%}", *_cpu(ours, name), *_zones(ours, floor, name)]
        for name, took in ours["phases"].items()
        if name not in STARTING and took >= 0.001 * whole
    ]
    yield "### Where the time goes\n"
    yield table(("stage", "s", "share", "CPU s", "floor's CPU s", "zone MB", "zone B a row"), rows)
    if (PAGE.parent / FLAME).exists():
        yield f"![flame graph]({FLAME})\n"


def _cpu(report: Json | None, *names: str) -> list[str]:
    spent = (report or {}).get("cpu", {})
    found = [spent[name] for name in names if name in spent]
    return [f"{sum(found):.1f}" if found else ""]


_ZONES = {
    "collect": ("landing",),
    "standardise": ("standard",),
    "merge": ("curated",),
    "publish share/default": ("share",),
    "publish open/open": ("open", "downloads"),
}


def _zones(ours: Json, floor: Json | None, stage: str) -> list[str]:
    zones = _ZONES.get(stage, ())
    size = sum(ours.get("zones", {}).get(zone, 0) for zone in zones)
    told = (f"{size / 1e6:,.0f}", f"{size / ours['rows']:,.0f}") if size else ("", "")
    return [*_cpu(floor, *zones), *told]


def _day(result: Json) -> Iterator[str]:
    """The first load and the day after it, stage by stage."""
    report = _report(result, NEXT, OURS)
    if report is None:
        return
    yield f"### The day after: {report['changed']:,} of {report['rows']:,} rows changed\n"
    phases, cpu, rows = report["phases"], report["cpu"], []
    stages = [name.removeprefix("first ") for name in phases if name.startswith("first ")]
    for stage in stages:
        first, day = phases[f"first {stage}"], phases.get(f"day {stage}", 0.0)
        spent = [f"{cpu.get(f'{which} {stage}', 0.0):.2f}" for which in ("first", "day")]
        rows.append([stage, f"{first:.2f}", f"{day:.2f}", f"{day / max(first, 1e-9):.1%}", *spent])
    sums = [
        [sum(of.get(f"{which} {stage}", 0.0) for stage in stages) for which in ("first", "day")]
        for of in (phases, cpu)
    ]
    (first, day), spent_sums = sums
    rows.append(
        ["all", f"{first:.2f}", f"{day:.2f}", f"{day / first:.1%}", *(f"{each:.2f}" for each in spent_sums)]
    )
    yield table(("stage", "first load, s", "day, s", "day / first", "first, CPU s", "day, CPU s"), rows)
    yield (
        "Of a share table what changed is masked and written "
        "([decision 12](adr/0012-share-tables-take-what-changed.md)); of an open one what changed is masked and "
        "counted, and the whole written, as its downloads are whole files "
        "([decision 28](adr/0028-what-repeats-is-counted.md)).\n"
    )


def _growth(contests: list[Json]) -> Iterator[str]:
    """Work of a first load by the number of rows, and the exponent between the smallest and the largest of those that
    were measured on the same day as the largest, on the same kind of processor."""
    loads = [(each, load) for each in reversed(contests) if (load := _first_load(each)) is not None]
    found = [
        (each["rows"], *load.took)
        for each, load in loads
        if (each["date"], load.processor) == (loads[-1][0]["date"], loads[-1][1].processor)
    ]
    if len(found) < 2:
        return
    (few, least, _, _), (many, most, _, _) = found[0], found[-1]
    exponent = math.log(most / least) / math.log(many / few)
    yield "## Growth of the whole way\n"
    rows = [
        [f"{rows:,}", f"{work:.1f}", f"{1e6 * work / rows:.1f}", f"{cpu:.1f}", f"{peak / GIB:.2f}"]
        for rows, work, cpu, peak in found
    ]
    yield table(("rows", "s without starting", "µs a row", "CPU s", "peak GiB"), rows)
    verdict = "met" if exponent <= 1.05 else "**not met**"
    yield f"Exponent from {few:,} to {many:,} rows: {exponent:.2f} (goal: at most 1.05, {verdict}).\n"


class _Load(NamedTuple):
    """`took` are seconds without starting, processor seconds, and the peak in bytes."""

    took: tuple[float, float, int]
    processor: str


def _first_load(contest: Json) -> _Load | None:
    """What the whole way took; where that was not run, the first load of the two days."""
    lines = {line["group"]: line for line in contest["table"] if line["contender"] == OURS}
    processors = {group: taken["processor"] for group, taken in contest["taken"].items()}
    if WAY in lines:
        line = lines[WAY]
        return _Load((line["seconds"] - line["starting"], line["cpu"], line["peak"]), processors[WAY])
    report = _report(contest, NEXT, OURS)
    if report is None:
        return None
    work, cpu = (
        sum(took for name, took in report[of].items() if name.startswith("first "))
        for of in ("phases", "cpu")
    )
    return _Load((work, cpu, lines[NEXT]["peak"]), processors[NEXT])


def main() -> None:
    PAGE.write_text(page())
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
