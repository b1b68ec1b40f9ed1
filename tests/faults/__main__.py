"""`make faults KILLS=500`: the whole way killed so often, and its object store, as a table; with WRITE=1 it becomes
docs/faults.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from tests.city.running import KEY
from tests.faults.kinds import kills
from tests.faults.lake import all_steps, prepared
from tests.faults.stopping import unavailable
from tests.faults.stores import with_store
from tests.faults.trying import Outcome, all_the_way

PAGE = Path(__file__).parents[2] / "docs/faults.md"
TABLE = "<!-- table -->"


def main() -> int:
    asked = _asked()
    if reason := unavailable():
        sys.stderr.write(f"{reason}\n")
        return 1
    os.environ["XUANWU_KEY_1"] = KEY
    began = time.monotonic()
    outcomes, of_store = list(_shown(_killed(asked))), list(_shown(_store(asked)))
    lines = [*_table(outcomes), "", *_table_of_store(of_store)]
    lines += ["", *_total(outcomes, of_store, asked, time.monotonic() - began)]
    sys.stdout.write("\n".join(["", *lines, ""]))
    if asked.write:
        _write(lines)
    return int(any(each.wrong for each in (*outcomes, *of_store)))


def _killed(asked: argparse.Namespace) -> Iterator[Outcome]:
    if not asked.kills:
        return
    with tempfile.TemporaryDirectory(prefix="xuanwu-faults-") as folder, prepared(Path(folder)) as lake:
        yield from all_the_way(lake, kills(asked.kills, len(all_steps(lake)), met=True), asked.seed)


def _store(asked: argparse.Namespace) -> Iterator[Outcome]:
    if not asked.store:
        return
    with tempfile.TemporaryDirectory(prefix="xuanwu-faults-") as folder:
        yield from with_store(Path(folder), asked.store, asked.seed)


def _shown(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for number, outcome in enumerate(outcomes, 1):
        sys.stdout.write(f"{number:>5} {outcome}\n")
        sys.stdout.flush()
        yield outcome


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=72)
    parser.add_argument("--store", type=int, default=2, help="faults of the object store for each stage")
    parser.add_argument("--seed", type=int, default=0, help="other places")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    return parser.parse_args()


def _table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """A line for each stage: how often it was struck, in how many calls, and what came of it."""
    yield "| stage | calls | killed before a call | killed within a write | met another run | different afterwards |"
    yield "|---|---|---|---|---|---|"
    rows: dict[str, list[Outcome]] = {}
    for each in outcomes:
        rows.setdefault(str(each.step), []).append(each)
    for step, found in rows.items():
        counts = [
            sum(each.fault == "killed before" for each in found),
            sum(each.fault == "killed within" for each in found),
            sum("run" in each.fault or "overtaken" in each.fault for each in found),
            sum(bool(each.wrong) for each in found),
        ]
        yield f"| {step} | {found[0].calls} | {' | '.join(map(str, counts))} |"


def _table_of_store(outcomes: Iterable[Outcome]) -> Iterator[str]:
    yield "| stage, the lake on S3 | calls | store killed | store restarted | different afterwards |"
    yield "|---|---|---|---|---|"
    rows: dict[str, list[Outcome]] = {}
    for each in outcomes:
        rows.setdefault(str(each.step), []).append(each)
    for step, found in rows.items():
        words = [sum(each.fault.endswith(word) for each in found) for word in ("killed", "restarted")]
        wrong = sum(bool(each.wrong) for each in found)
        yield f"| {step} | {found[0].calls} | {words[0]} | {words[1]} | {wrong} |"


def _total(
    outcomes: list[Outcome], of_store: list[Outcome], asked: argparse.Namespace, seconds: float
) -> list[str]:
    killed = sum("killed" in each.fault for each in outcomes)
    wrong = sum(bool(each.wrong) for each in (*outcomes, *of_store))
    return [
        f"`make faults KILLS={asked.kills} STORE={asked.store} SEED={asked.seed}`, {date.today():%Y-%m-%d}: {killed} "
        f"kills, {len(outcomes) - killed} meetings, {len(of_store)} faults of the store, {wrong} with a difference, "
        f"{seconds:.0f} s."
    ]


def _write(lines: list[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(TABLE)
    after = rest.partition(TABLE)[2]
    PAGE.write_text(before + "\n".join([TABLE, "", *lines, "", TABLE]) + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
