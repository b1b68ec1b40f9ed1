"""`make bench`: every contender on the same sources in one run, by turns; a table, a JSON file and a picture."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from datetime import date
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.contest import FLOOR, OURS, WAY, Contender, Ground, groups
from benchmarks.environments import compiled
from benchmarks.kept import RESULTS, kept
from benchmarks.measure import Run
from benchmarks.picture import picture
from benchmarks.results import Line, Measured, as_json, beside, compare, goals, lines
from benchmarks.same import published
from benchmarks.sources import sources

COLUMNS = (
    *("s", "starting", "rows/s", "×Xuanwu", "×floor", "work×floor", "CPU s", "CPU×floor", "peak MB"),
    *("read MB", "written MB", "server CPU", "others' CPU", "same rows"),
)
console = Console(width=170, highlight=False)


def bench(rows: int, repeat: int, chosen: str) -> list[Measured]:
    """All runs, in the order they were made, shown and kept; where it is interrupted, those made until then."""
    compiled()
    contests, missing = groups(chosen)
    kinds = {contender.source for each in contests.values() for contender in each}
    measured: list[Measured] = []
    with (
        TemporaryDirectory(prefix="xuanwu-bench-") as scratch,
        sources(Path(scratch), rows, kinds, console.print) as made,
    ):
        missing += made.missing.values()
        ground = Ground(Path(scratch), made)
        try:
            for repetition in range(repeat):
                for group, contenders in contests.items():
                    _contest(ground, group, contenders, repetition, measured)
        finally:
            _tell(measured, rows=rows, repeat=repeat, sources=made.sizes, missing=missing)
    return measured


def _contest(
    ground: Ground, group: str, contenders: list[Contender], repetition: int, measured: list[Measured]
) -> None:
    """Each contender once; every second time in the other order. The floor of the whole way copies what Xuanwu
    left, so that it comes right after it."""
    there = [each for each in contenders if each.source in ground.sources.places]
    left: Path | None = None
    for number, contender in enumerate(there if repetition % 2 == 0 else _backwards(there, group)):
        if contender.module == "floor_way":
            if left is None:
                continue
            contender.options["ours"] = str(left)
        run, home = ground.run(contender, 100 * repetition + number)
        console.print(_told(group, contender, run))
        if "share" in run.report:
            run.report["published"] = published(run.report)
        measured.append(Measured(group, contender.name, repetition, run))
        if contender.name == OURS and group == WAY:
            left = home
        else:
            shutil.rmtree(home)
    if left is not None:
        shutil.rmtree(left)


def _tell(measured: list[Measured], *, rows: int, missing: list[str], **more: object) -> None:
    """The table, the goals and the files."""
    for reason in missing:
        console.print(f"[yellow]left out[/yellow] {reason}")
    compare(measured)
    table = lines(measured, rows)
    _show(table, rows)
    _keep(measured, table, rows=rows, missing=missing, **more)


def _backwards(contenders: list[Contender], group: str) -> list[Contender]:
    turned = contenders[::-1]
    if group != WAY:
        return turned
    return [each for each in turned if each.name != FLOOR] + [each for each in turned if each.name == FLOOR]


def _told(group: str, contender: Contender, run: Run) -> str:
    if run.error:
        return f"[red]failed[/red] {group} {contender.name}: {run.error}"
    return (
        f"{group:20} {contender.name:18} {run.seconds:8.2f} s  {run.peak / 1e6:7,.0f} MB  load {run.load:.1f}"
    )


def _show(table: list[Line], rows: int) -> None:
    for group, members in groupby(table, key=lambda line: line.group):
        shown = Table(title=f"{group}: {rows:,} rows × 15 columns", title_justify="left", box=SIMPLE)
        shown.add_column("")
        for name in COLUMNS:
            shown.add_column(name, justify="right")
        for line in members:
            shown.add_row(line.contender, *_cells(line))
        console.print(shown)
    for goal in goals(table, rows):
        verdict = "[green]met[/green]    " if goal.met else "[red]not met[/red]"
        console.print(f"{verdict} {goal.goal}: {goal.measured}")


def _cells(line: Line) -> list[str]:
    def ratio(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    return [
        f"{line.seconds:.2f}",
        f"{line.starting:.2f}",
        f"{line.rows_per_second:,.0f}",
        ratio(line.to_ours),
        ratio(line.to_floor),
        ratio(line.work_to_floor),
        f"{line.cpu:.2f}",
        ratio(line.cpu_to_floor),
        f"{line.peak / 1e6:,.0f}",
        f"{line.read / 1e6:,.0f}",
        f"{line.written / 1e6:,.0f}",
        f"{line.servers:.1f}",
        f"{line.others:.1f}",
        {None: "", True: "yes", False: "NO"}[line.same],
    ]


def _keep(measured: list[Measured], table: list[Line], *, rows: int, **more: object) -> None:
    """Groups that were measured earlier, with as many rows, stay beside those of this run, in one file."""
    RESULTS.mkdir(exist_ok=True)
    name = f"{date.today().isoformat()}-{rows}"
    content = as_json(measured, table, date=date.today().isoformat(), rows=rows, **more)
    for path, earlier in [
        each for each in kept(RESULTS) if each[1].get("rows") == rows and "table" in each[1]
    ]:
        content = beside(earlier, content)
        path.unlink()
        path.with_suffix(".svg").unlink()
    table = [Line(**line) for line in content["table"]]
    (RESULTS / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    title = f"{rows:,} residents × 15 columns: seconds of the whole process (pale: starting and importing)"
    (RESULTS / f"{name}.svg").write_text(picture(table, title))
    console.print(f"written: benchmarks/results/{name}.json and .svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", default="", help="groups whose name holds one of these: collect,way,day")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that databases are dropped
    measured = bench(options.rows, options.repeat, options.only)
    failed = [each for each in measured if each.run.error or each.same is False]
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
