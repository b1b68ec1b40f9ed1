"""docs/performance.md, written from the results that are kept: `python -m benchmarks.page`.

No number of the page is written by hand. Of each measurement the newest result is told, of contests the newest of each
number of rows; where a peer is faster the page says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contest import FLOOR, NEXT, OURS, RECEIVED, WAY
from benchmarks.environments import ROOT
from benchmarks.kept import RESULTS, kept, newest
from benchmarks.results import GIB, STARTING
from benchmarks.words import HEAD, METHOD, UNMET

PAGE = ROOT / "docs" / "performance.md"
FLAME = "performance-flame.svg"
LARGE = 2_000_000
"""Rows from which on the goals are meant."""
Json = dict[str, Any]


def page(results: Path = RESULTS) -> str:
    """The whole page."""
    contests = _contests(results)
    sections = [HEAD, *_goals(contests), UNMET, *map(_contest, contests), *_growth(contests)]
    for kind, told in _KINDS.items():
        if (found := newest(kind, results)) is not None:
            sections.append(told(found))
    return "\n".join([*sections, METHOD])


def _contests(results: Path) -> list[Json]:
    """The newest contest of each number of rows, the largest first."""
    by_rows = {each["rows"]: {**each, "file": path.stem} for path, each in kept(results) if "table" in each}
    return [by_rows[rows] for rows in sorted(by_rows, reverse=True)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    line = "|".join(["---", *["---:"] * (len(head) - 1)])
    return "\n".join(
        [f"| {' | '.join(head)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    )


def _on(result: Json) -> str:
    machine = result["machine"]
    return (
        f"{result['date']}, commit {machine['commit']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory'] / GIB:.0f} GiB, {machine['system'].split('-')[0]}, Python {machine['python']}"
        f"{_busy(machine)}"
    )


def _busy(machine: Json) -> str:
    """Seconds taken while others worked on the machine too are not those of a quiet one."""
    load = machine.get("load", 0.0)
    busy = load > 1.5 * machine["cores"]
    return f", busy with other work (load average {load:.1f}): processor seconds say more" if busy else ""


def _goals(contests: list[Json]) -> Iterator[str]:
    """Those of every contest that is large enough, the smallest first."""
    for contest in reversed([each for each in contests if each["rows"] >= LARGE] or contests[:1]):
        yield from _goals_of(contest)


def _goals_of(first: Json) -> Iterator[str]:
    rows = [
        [each["goal"], each["measured"], "met" if each["met"] else "**not met**"] for each in first["goals"]
    ]
    yield f"## Goals, at {first['rows']:,} rows\n"
    yield _table(("goal", "measured", ""), rows)
    slower = [
        f"{line['contender']} ({line['group']}: {line['to_ours']:.2f} × Xuanwu's time)"
        for line in first["table"]
        if line["contender"] not in (OURS, FLOOR, RECEIVED)
        and line["to_ours"] is not None
        and line["to_ours"] < 1
    ]
    yield f"Faster than Xuanwu: {', '.join(slower) or 'no peer'}.\n"


def _contest(result: Json) -> str:
    told = [f"## {result['rows']:,} rows\n", f"{_on(result)}. {_repetitions(result)} repetition(s).\n"]
    told += [f"Left out: {reason}\n" for reason in result["missing"]]
    told.append(f"![seconds]({_link(result)})\n")
    for group, lines in groupby(result["table"], key=lambda line: line["group"]):
        told += [
            f"### {group}\n",
            *_earlier(result, group),
            _table(_COLUMNS, [_cells(line) for line in lines]),
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
        yield f"Measured earlier, commit {taken['commit']}: {taken['processor']}{_busy(machine | taken)}.\n"


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
    yield _table(("stage", "s", "share", "CPU s", "floor's CPU s", "zone MB", "zone B a row"), rows)
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
    yield _table(("stage", "first load, s", "day, s", "day / first", "first, CPU s", "day, CPU s"), rows)
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
    yield _table(("rows", "s without starting", "µs a row", "CPU s", "peak GiB"), rows)
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


def _small(result: Json) -> str:
    rows = [
        [
            each["what"],
            f"{each['seconds']:.2f}",
            f"{each['cpu']:.2f}",
            "" if each["goal"] is None else f"≤ {each['goal']:g}",
            {None: "", True: "met", False: "**not met**"}[each["met"]],
        ]
        for each in result["took"]
    ]
    return "\n".join(
        ["## Small is fast too\n", f"{_on(result)}.\n", _table(("", "s", "CPU s", "goal", ""), rows)]
    )


def _masks(result: Json) -> str:
    rows = [
        [
            f"{each['what']}, {each['rows']:,} rows",
            f"{each['ours']:.2f}",
            f"{each['loop']:.2f}",
            f"{each['loop'] / each['ours']:.1f} ×",
            *(("≥ 3 ×", "met" if each["loop"] >= 3 * each["ours"] else "**not met**")),
        ]
        for each in result["took"]
    ]
    return "\n".join(
        [
            "## HMAC-SM3 tokens beside a Python loop\n",
            f'{_on(result)}. The loop is `hmac.digest(key, value, "sm3")` for each row.\n',
            _table(("", "CPU s", "loop's CPU s", "ratio", "goal", ""), rows),
        ]
    )


def _gate(result: Json) -> str:
    told = [(f"{how} the gate", result[how]) for how in ("with", "without")]
    rows = [[what, f"{took['cpu']:.1f}", f"{took['seconds']:.1f}"] for what, took in told]
    part = 1 - result["without"]["cpu"] / result["with"]["cpu"]
    return "\n".join(
        [
            "## The leak gate of a share publication\n",
            f"{_on(result)}. {result['rows']:,} rows of {result['columns']} columns, with {result['personal']} "
            "personal fields to compare, into a table that is new: everything is looked for. The best processor time "
            f"of {result['turns']} turns.\n",
            _table(("", "CPU s", "s"), rows),
            f"The gate is {part:.0%} of the publication's processor time.\n",
        ]
    )


def _upkeep(result: Json) -> str:
    before, after, work = result["before"], result["after"], result["upkeep"]
    names = {
        "files": ("data files", 1, ",.0f"),
        "bytes": ("MB", 1e6, ",.2f"),
        "query_bytes": ("MB read by the query", 1e6, ",.2f"),
        "query_seconds": ("s of the query", 1, ".3f"),
        "query_cpu": ("CPU s of the query", 1, ".3f"),
    }
    rows = [
        [
            title,
            *(format(each[name] / unit, form) for each in (before, after)),
            f"{before[name] / after[name]:.1f} ×",
        ]
        for name, (title, unit, form) in names.items()
    ]
    return "\n".join(
        [
            f"## Upkeep of a table of {result['days']} daily batches of {result['rows_a_day']:,} rows\n",
            f"{_on(result)}. The query asks for one day, through DuckDB, of the table's files.\n",
            _table(("", "before", "after", "ratio"), rows),
            f"Upkeep made {work['into']} of {work['files']} files in {work['seconds']:.1f} s.\n",
        ]
    )


_SERVERS = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def _delivery(result: Json) -> str:
    """Each way at both sizes, one below the other."""
    took = sorted(result["took"], key=lambda each: (list(_SERVERS).index(each["server"]), each["how"]))
    rows = [
        [
            f"{_SERVERS[each['server']]}, {each['how']}",
            *(f"{each[name]:,}" for name in ("rows", "sent", "inserted", "updated", "deleted")),
            *(f"{each[name]:.2f}" for name in ("seconds", "reading", "cpu")),
            f"{each['sent'] / each['seconds']:,.0f}",
            f"{each['growth'] / 1e6:,.0f}",
        ]
        for each in took
    ]
    head = ("", "rows", "sent", "inserted", "updated", "deleted", "s", "reading alone, s", "CPU s")
    return "\n".join(
        [
            "## Deliveries into departments' databases\n",
            f"{_on(result)}. A share table of eight columns; the servers are on the same machine. *Reading alone* is "
            "how long the rows that are sent take to be read from the lake and go nowhere; *grown* by how much the "
            "process was larger at its highest than before the delivery.\n",
            *(f"Left out: {reason}\n" for reason in result["missing"]),
            _table((*head, "sent/s", "grown MB"), rows),
        ]
    )


def _load(result: Json) -> str:
    """Each door with few callers and with many; where the plain server is faster the ratio says so."""
    doors: dict[str, list[Json]] = result["doors"]
    rows = [
        [
            name,
            f"{each['callers']}",
            f"{each['requests']:,.0f}",
            f"{each['bytes'] / 1e6:,.1f}",
            f"{each['p50']:,.0f}",
            f"{each['p99']:,.0f}",
            f"{each['later']:,}",
            f"{each['errors']:,}",
        ]
        for name, found in doors.items()
        for each in found
    ]
    head = ("", "callers", "calls/s", "MB/s", "p50 ms", "p99 ms", "429 or 503", "errors")
    return "\n".join(
        [
            f"## The exchange under load, a share table of {result['rows']:,} rows\n",
            f"{_on(result)}. One process of `xuanwu serve`, the lake on the local disk, and autocannon, all on this "
            "machine. Each call asks for the right again, and each read of rows and first fetch of a file is in the "
            "audit log before anything leaves; the static server (Starlette's) does neither.\n",
            _table(head, rows),
        ]
    )


def _airflow(result: Json) -> str:
    stages, tasks = result["stages"], result["in_tasks"]
    return "\n".join(
        [
            "## Beside the stages: Airflow\n",
            f"{_on(result)}. The demo: {result['runs']} runs of datasets, {result['tasks']} tasks.\n",
            f"Of {tasks:.0f} s in tasks {stages:.0f} s ({stages / tasks:.0%}) were in stages. A task takes "
            f"{result['beside_stages_per_task']:.1f} s beside its stage; a run takes {result['run']:.0f} s from its "
            f"start to its end, {result['run_in_stages']:.1f} s of them in stages (medians; runs of all datasets "
            f"share the machine).\n",
        ]
    )


_KINDS = {
    "small": _small,
    "masks": _masks,
    "gate": _gate,
    "upkeep": _upkeep,
    "load": _load,
    "delivery": _delivery,
    "airflow": _airflow,
}
"""How results of a kind are told, in the order of the page."""


def main() -> None:
    PAGE.write_text(page())
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
