"""How results that are no contest are told on docs/performance.md (`benchmarks.page`): a section for each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.results import GIB

Json = dict[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown, the first column to the left."""
    line = "|".join(["---", *["---:"] * (len(head) - 1)])
    return "\n".join(
        [f"| {' | '.join(head)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    )


def on(result: Json) -> str:
    """When and on what machine a result was taken."""
    machine = result["machine"]
    return (
        f"{result['date']}, commit {machine['commit']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory'] / GIB:.0f} GiB, {machine['system'].split('-')[0]}, Python {machine['python']}"
        f"{busy(machine)}"
    )


def busy(machine: Json) -> str:
    """Seconds taken while others worked on the machine too are not those of a quiet one."""
    load = machine.get("load", 0.0)
    busy = load > 1.5 * machine["cores"]
    return f", busy with other work (load average {load:.1f}): processor seconds say more" if busy else ""


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
        ["## Small is fast too\n", f"{on(result)}.\n", table(("", "s", "CPU s", "goal", ""), rows)]
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
            f'{on(result)}. The loop is `hmac.digest(key, value, "sm3")` for each row.\n',
            table(("", "CPU s", "loop's CPU s", "ratio", "goal", ""), rows),
        ]
    )


def _gate(result: Json) -> str:
    told = [(f"{how} the gate", result[how]) for how in ("with", "without")]
    rows = [[what, f"{took['cpu']:.1f}", f"{took['seconds']:.1f}"] for what, took in told]
    part = 1 - result["without"]["cpu"] / result["with"]["cpu"]
    return "\n".join(
        [
            "## The leak gate of a share publication\n",
            f"{on(result)}. {result['rows']:,} rows of {result['columns']} columns, with {result['personal']} "
            "personal fields to compare, into a table that is new: everything is looked for. The best processor time "
            f"of {result['turns']} turns.\n",
            table(("", "CPU s", "s"), rows),
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
            f"{on(result)}. The query asks for one day, through DuckDB, of the table's files.\n",
            table(("", "before", "after", "ratio"), rows),
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
            f"{on(result)}. A share table of eight columns; the servers are on the same machine. *Reading alone* is "
            "how long the rows that are sent take to be read from the lake and go nowhere; *grown* by how much the "
            "process was larger at its highest than before the delivery.\n",
            *(f"Left out: {reason}\n" for reason in result["missing"]),
            table((*head, "sent/s", "grown MB"), rows),
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
            f"{on(result)}. One process of `xuanwu serve`, the lake on the local disk, and autocannon, all on this "
            "machine. Each call asks for the right again, and each read of rows and first fetch of a file is in the "
            "audit log before anything leaves; the static server (Starlette's) does neither.\n",
            table(head, rows),
        ]
    )


def _airflow(result: Json) -> str:
    stages, tasks = result["stages"], result["in_tasks"]
    return "\n".join(
        [
            "## Beside the stages: Airflow\n",
            f"{on(result)}. The demo: {result['runs']} runs of datasets, {result['tasks']} tasks.\n",
            f"Of {tasks:.0f} s in tasks {stages:.0f} s ({stages / tasks:.0%}) were in stages. A task takes "
            f"{result['beside_stages_per_task']:.1f} s beside its stage; a run takes {result['run']:.0f} s from its "
            f"start to its end, {result['run_in_stages']:.1f} s of them in stages (medians; runs of all datasets "
            f"share the machine).\n",
        ]
    )


KINDS: dict[str, Callable[[Json], str]] = {
    "small": _small,
    "masks": _masks,
    "gate": _gate,
    "upkeep": _upkeep,
    "load": _load,
    "delivery": _delivery,
    "airflow": _airflow,
}
"""How results of a kind are told, in the order of the page."""
