"""Upkeep of a lake that has been worked in: by the real command line, after real kills, and proved afterwards."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.verify import Copy, verify
from lake.zones import identifier
from pipelines.upkeep import upkeep
from schemas.errors import LakeError
from tests.pipelines.badinput.town import CANARY, DATASET, Town, csv_of, rows
from tests.waiting import ran

SHARE = identifier("share", DATASET, "default")
OPEN = identifier("open", DATASET)
KILLED = """
import os, signal
import pipelines.standardise as module
from datetime import date
from pipelines.batches import batch_for
from pipelines.context import open_context
from pipelines.stages import run_batch

module.quarantine.put = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
ctx = open_context()
list(run_batch(ctx, batch_for(ctx, ctx.catalogue.entry("police.person"), date(2026, 3, 1))))
"""


def removed(town: Town) -> dict[str, int]:
    """What the command says it removed."""
    done = town.xuanwu("upkeep")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.removeprefix("removed ").rsplit(maxsplit=1) for line in done.stdout.splitlines()]
    return {name.strip(): int(count) for name, count in lines}


def age(path: Path) -> None:
    """As if it had not changed for two days."""
    then = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(path, (then, then))


def later(town: Town, days: int) -> None:
    ctx = town.ctx
    upkeep(replace(ctx, clock=lambda: datetime.now(UTC) + timedelta(days=days)))


NOTHING = dict.fromkeys(("scratch", "unfinished", "snapshots", "files", "withdrawn tables"), 0)
NOTHING |= dict.fromkeys(("expired originals", "expired typed batches", "expired dismissed rows"), 0)
NOTHING |= dict.fromkeys(("compacted files", "compacted into", "compacted rows", "overdue in quarantine"), 0)
NOTHING |= {"overdue reports": 0}


def test_what_a_killed_stage_left_goes_a_day_later(town: Town) -> None:
    bad = (*rows(1)[0][:3], "no age", "玄武区")
    town.leave("01", csv_of([bad, *rows(1)[1:]]))
    variables = {
        "XUANWU_HOME": str(town.settings.home),
        "XUANWU_CATALOGUE": str(town.catalogue),
        "XUANWU_CONN_POLICE": town.urls["police"],
    }
    command = [sys.executable, "-c", KILLED]
    assert ran(command, env={**os.environ, **variables}, check=False).returncode == -9
    (left,) = [path for path in town.settings.scratch.iterdir() if path.name.startswith("rejects-")]
    assert list(left.iterdir())
    assert removed(town) == NOTHING, "it is not a day old"
    age(left)
    assert removed(town) == {**NOTHING, "scratch": 1}
    assert list(town.settings.scratch.iterdir()) == []
    assert len(town.run(1, "standardise")) == 5


def test_files_and_tables_that_nobody_needs_go(town: Town) -> None:
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    data = Path(town.ctx.tables.location(SHARE))
    orphan, half = data / "orphan.parquet", data / ".x.parquet.01234567.tmp"
    for path in (orphan, half):
        path.write_bytes(CANARY.encode())
        age(path)
    entry = town.catalogue / "police" / "person.yaml"
    closed = "open: {type: none, basis: {zh: 个人信息}}"
    text = entry.read_text("utf-8")
    start = text.index("open: {type")
    entry.write_text(text[:start] + closed + text[text.index("\n", start) :], "utf-8")
    assert removed(town) == {**NOTHING, "files": 2, "withdrawn tables": 1}
    assert not orphan.exists() and not half.exists()
    assert not town.ctx.tables.exists(OPEN)
    assert removed(town) == NOTHING


def test_the_proof_holds_when_snapshots_have_been_forgotten(town: Town) -> None:
    for day in (1, 2, 3):
        town.leave(f"{day:02}", csv_of(rows(day)))
        town.good(day)
    assert list(verify(Copy(town.settings.lake_root))) == []
    later(town, 31)
    assert len(list(town.ctx.tables.snapshots(SHARE))) == 1
    assert list(verify(Copy(town.settings.lake_root))) == []
    town.leave("04", csv_of(rows(4)))
    town.good(4)
    later(town, 122)
    assert len(list(town.ctx.tables.snapshots(identifier("curated", DATASET)))) == 1
    assert list(verify(Copy(town.settings.lake_root))) == []


def test_an_empty_catalogue_takes_nothing_away(town: Town) -> None:
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    empty = replace(town.ctx.catalogue, entries={})
    with pytest.raises(LakeError, match="the catalogue is empty"):
        upkeep(replace(town.ctx, catalogue=empty))
    assert town.ctx.tables.exists(SHARE)
