"""What the leak gate costs: a share publication with it and without it, `python -m benchmarks.gate`.

Residents of eight columns, four of them personal, through the real publication, each time into a table that is new, so
that everything is looked for. Both in one process, by turns, every second turn backwards, the best processor time of
several. This program alone can publish without the gate: it puts a function in its place that lets the rows pass.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pyarrow as pa

from benchmarks.kept import keep
from benchmarks.town import DAY, DEPARTMENT, RESIDENT, checked, founded, registered
from lake.records import Merged
from pipelines.context import Context
from pipelines.gates import leak
from pipelines.masks.plan import planned
from pipelines.merge import merge
from pipelines.publish import publish
from schemas.model import Entry

WITH, WITHOUT = "with", "without"


@contextmanager
def without_gate() -> Iterator[None]:
    """Meanwhile publications of this process are not looked through."""

    def passed(_: leak.Watched, rows: Iterable[pa.RecordBatch], times: str | None = None) -> Iterator[Any]:
        return iter(rows)

    with mock.patch.object(leak, "watch", passed):
        yield


def policy_of(how: str, turn: int) -> str:
    """Each turn has a policy, and so a table, of its own."""
    return f"{how}_{turn}"


def town(scratch: Path, turns: int, parts: Iterable[pa.RecordBatch]) -> tuple[Context, Entry, Merged]:
    """A town whose residents are merged, with a share policy for each turn of both."""
    policies = ", ".join(f"{policy_of(how, turn)}: {{}}" for turn in range(turns) for how in (WITH, WITHOUT))
    ctx = founded(scratch, RESIDENT.replace("default: {}", policies), DEPARTMENT)
    entry = ctx.catalogue.entry("public_security.resident")
    return ctx, entry, merge(ctx, entry, checked(ctx, entry, DAY, parts))


def published(ctx: Context, entry: Entry, merged: Merged, how: str, turn: int) -> dict[str, float]:
    """Processor seconds and seconds of one publication."""
    with nullcontext() if how == WITH else without_gate():
        start, spent = time.perf_counter(), time.process_time()
        publish(ctx, entry, merged, "share", policy_of(how, turn))
        return {"cpu": time.process_time() - spent, "seconds": time.perf_counter() - start}


def measured(rows: int, turns: int) -> dict[str, Any]:
    with TemporaryDirectory(prefix="xuanwu-gate-") as scratch:
        ctx, entry, merged = town(Path(scratch), turns, registered(rows))
        took: dict[str, list[dict[str, float]]] = {WITH: [], WITHOUT: []}
        for turn in range(turns):
            for how in sorted(took, reverse=turn % 2 == 1):
                took[how].append(published(ctx, entry, merged, how, turn))
        plan = planned(ctx, entry, "share", policy_of(WITH, 0)).plan
        watched = leak.Watched(ctx, entry, "share", policy_of(WITH, 0), plan, merged.snapshot)
        best = {how: min(each, key=lambda one: one["cpu"]) for how, each in took.items()}
        return {"rows": rows, "turns": turns, "columns": len(plan), "personal": len(watched.personal), **best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    found = measured(options.rows, options.turns)
    for how in (WITH, WITHOUT):
        print(f"{how} the gate: {found[how]['cpu']:.2f} CPU s, {found[how]['seconds']:.2f} s")
    print(f"written: {keep('gate', found).name}")


if __name__ == "__main__":
    main()
