"""Small is fast too: starting, a catalogue of ten thousand entries, a thousand DAGs, a dataset of a hundred rows.

    python -m benchmarks.small

Each is a process of its own: its seconds from outside and its processor's, the best of several after one that is not
counted (which reads the files from the disk).
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.city_of import write_catalogue
from benchmarks.environments import ROOT
from benchmarks.kept import keep

XUANWU = str(Path(sys.executable).parent / "xuanwu")
ENTRY = """
id: urban_greening.tree
title: {zh: 行道树, en: Street trees}
summary: {zh: 全市行道树名录, en: Register of the city's street trees}
code: "3080101/000001"
owner: urban_greening
source: {kind: file, connection: urban_greening, path: trees.csv, format: csv}
schedule: {cron: "0 3 * * *"}
key: [tree_no]
merge: {kind: snapshot}
share: {type: unconditional}
open: {type: unconditional, fields: [tree_no, species, planted]}
fields:
  tree_no: {type: string, grade: 1, title: {zh: 树号, en: Tree number}}
  species: {type: string, grade: 1, title: {zh: 树种, en: Species}}
  planted: {type: date, grade: 1, title: {zh: 栽植日期, en: Planted on}, formats: ["%Y-%m-%d"]}
checks:
  - {expect: expect_column_values_to_match_regex, column: tree_no, regex: "^T\\\\d{4}$", on_fail: quarantine}
  - {expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}
"""
DEPARTMENT = (
    "urban_greening: {title: {zh: 绿化园林局, en: Parks Bureau}, uscc: 11320100MB0000001M, limit: 2}\n"
)
PARSE = """
import sys, time
from airflow.dag_processing.dagbag import DagBag
import airflow.sdk
start, spent = time.perf_counter(), time.process_time()
bag = DagBag("dags/datasets.py")
assert not bag.import_errors, bag.import_errors
assert len(bag.dags) == int(sys.argv[1]), len(bag.dags)
print(time.perf_counter() - start, time.process_time() - spent)
"""


@dataclass(frozen=True)
class Took:
    """One thing that was done: seconds, processor seconds, and the goal in seconds, if there is one."""

    what: str
    seconds: float
    cpu: float
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.seconds <= self.goal


def timed(command: Sequence[str], env: dict[str, str], log: Path) -> tuple[float, float]:
    """Seconds and processor seconds of a program and what it waited for. SystemExit with its last words if it fails."""
    start = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=os.environ | env
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed: {log.read_text(errors='replace')[-1500:]}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def best(
    what: str, command: Sequence[str], env: dict[str, str], log: Path, *, goal: float | None, of: int
) -> Took:
    timed(command, env, log)
    return Took(what, *min(timed(command, env, log) for _ in range(of)), goal)


def measured(scratch: Path, entries: int, dags: int) -> list[Took]:
    """Everything, in the order in which it is shown."""
    log, env = scratch / "log", {"XUANWU_HOME": str(scratch / "home"), "XUANWU_KEY_1": secrets.token_hex(32)}
    found = [best("xuanwu --help", [XUANWU, "--help"], env, log, goal=0.3, of=5)]
    write_catalogue(scratch / "many", entries)
    many = env | {"XUANWU_CATALOGUE": str(scratch / "many")}
    found.append(Took(f"xuanwu check, {entries:,} entries", *timed([XUANWU, "check"], many, log), 10))
    found.append(best("the same, nothing changed since", [XUANWU, "check"], many, log, goal=None, of=1))
    found.append(_parsed(scratch, env, log, dags))
    return found + _hundred_rows(scratch, env, log)


def _parsed(scratch: Path, env: dict[str, str], log: Path, dags: int) -> Took:
    """In a process that has loaded Airflow, as its DAG processor has."""
    write_catalogue(scratch / "thousand", dags)
    own = env | {"XUANWU_CATALOGUE": str(scratch / "thousand"), "AIRFLOW_HOME": str(scratch / "airflow")}
    timed([XUANWU, "check"], own, log)
    timed([sys.executable, "-c", PARSE, str(dags)], own, log)
    seconds, cpu = log.read_text().splitlines()[-1].split()
    return Took(f"DAGs of {dags:,} datasets parsed", float(seconds), float(cpu), 5)


def _hundred_rows(scratch: Path, env: dict[str, str], log: Path) -> list[Took]:
    folder = scratch / "city" / "urban_greening"
    folder.mkdir(parents=True)
    (folder / "tree.yaml").write_text(ENTRY)
    (folder.parent / "departments.yaml").write_text(DEPARTMENT)
    lines = [f"T{number:04},梧桐,2020-03-{number % 28 + 1:02}" for number in range(100)]
    (scratch / "trees.csv").write_text("\n".join(["tree_no,species,planted", *lines]) + "\n")
    own = env | {"XUANWU_CATALOGUE": str(folder.parent), "XUANWU_CONN_URBAN_GREENING": str(scratch)}
    loading = best(
        "Python and Great Expectations loaded",
        [sys.executable, "-c", "import expectations.run"],
        own,
        log,
        goal=None,
        of=2,
    )
    whole = min(
        timed([XUANWU, "run", "urban_greening.tree"], own | {"XUANWU_HOME": str(scratch / f"home{n}")}, log)
        for n in range(2)
    )
    besides = (whole[0] - loading.seconds, whole[1] - loading.cpu)
    return [
        loading,
        Took("xuanwu run, 100 rows, source to downloads", *whole),
        Took("the same besides loading", *besides, 3),
    ]


def main() -> None:
    with TemporaryDirectory(prefix="xuanwu-small-") as scratch:
        found = measured(Path(scratch), 10_000, 1_000)
    for took in found:
        verdict = {None: "", True: "met", False: "NOT met"}[took.met]
        print(f"{took.what:45} {took.seconds:7.2f} s  {took.cpu:7.2f} CPU s  {verdict}")
    print(f"written: {keep('small', {'took': [asdict(took) | {'met': took.met} for took in found]})}")


if __name__ == "__main__":
    main()
