"""`make faults KILLS=500`: the whole way killed so often, as a table; with WRITE=1 it becomes docs/faults.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.city.running import KEY
from tests.faults.kinds import kills
from tests.faults.lake import all_steps, prepared
from tests.faults.stopping import unavailable
from tests.faults.trying import Outcome, all_the_way

PAGE = Path(__file__).parents[2] / "docs/faults.md"
TABLE = "<!-- table -->"


def main() -> int:
    asked = _asked()
    if reason := unavailable():
        sys.stderr.write(f"{reason}\n")
        return 1
    os.environ["XUANWU_KEY_1"] = KEY
    began, outcomes = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="xuanwu-faults-") as folder, prepared(Path(folder)) as lake:
        for outcome in all_the_way(lake, kills(asked.kills, len(all_steps(lake)), met=True), asked.seed):
            outcomes.append(outcome)
            sys.stdout.write(f"{len(outcomes):>5} {outcome}\n")
            sys.stdout.flush()
    lines = [*_table(outcomes), "", *_total(outcomes, asked, time.monotonic() - began)]
    sys.stdout.write("\n".join(["", *lines, ""]))
    if asked.write:
        _write(lines)
    return int(any(each.wrong for each in outcomes))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=72)
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


def _total(outcomes: list[Outcome], asked: argparse.Namespace, seconds: float) -> list[str]:
    killed = sum("killed" in each.fault for each in outcomes)
    wrong = sum(bool(each.wrong) for each in outcomes)
    return [
        f"`make faults KILLS={asked.kills} SEED={asked.seed}`: {killed} kills, {len(outcomes) - killed} meetings, "
        f"{wrong} with a difference, {seconds:.0f} s."
    ]


def _write(lines: list[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(TABLE)
    after = rest.partition(TABLE)[2]
    PAGE.write_text(before + "\n".join([TABLE, "", *lines, "", TABLE]) + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
