"""Law 5: `xuanwu run` killed at one place after another, and run again, leaves what an undisturbed run leaves."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.city.running import KEY, XUANWU, City

DATASETS = ("public_security.resident", "market_regulation.enterprise")
PLACES = (
    ("public_security.resident 2026", 0.0),
    ("  standardise", 0.3),
    ("  check", 0.02),
    ("  merge", 0.0),
    ("  publish share/default", 0.05),
    ("market_regulation.enterprise 2026", 0.05),
)
"""Killed so many seconds after a line that begins so, of the dataset whose turn it is."""


def content(city: City) -> dict[str, list[str]]:
    """Every table's rows, sorted; quarantine without the time of the attempt."""
    tables = city.ctx.tables
    found = {}
    for zone in ("curated", "share", "open", "quarantine"):
        for name in tables.identifiers(zone):  # type: ignore[arg-type]
            columns = [each for each in tables.schema(name).names if each != "at"]
            rows = [str(row) for batch in tables.scan(name, columns) for row in batch.to_pylist()]
            found[".".join(name)] = sorted(rows)
    return found


def downloads(city: City) -> dict[str, bytes]:
    """Every file but the workbooks and indexes, which hold the time of their making."""
    folder = city.lake / "downloads"
    files = [path for path in folder.rglob("*") if path.suffix in (".csv", ".jsonl")]
    return {path.name: path.read_bytes() for path in sorted(files, key=lambda path: path.stat().st_mtime)}


def killed(city: City, dataset: str, line: str, seconds: float) -> int:
    """Run the second day and kill it so long after it prints the line; the exit code."""
    command = [*XUANWU, "run", dataset, "--date", "2026-03-03"]
    with subprocess.Popen(
        command, env=city.variables(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for said in process.stdout:
            if said.startswith(line):
                time.sleep(seconds)
                break
        process.kill()
        process.stdout.read()
        return process.wait()


def test_killed_and_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    calm = City(tmp_path / "sources", Settings(home=tmp_path / "calm"), 300)
    shaken = City(tmp_path / "sources", Settings(home=tmp_path / "shaken"), 300)
    for day in (1, 2):
        for city in (calm, shaken):
            city.write(day)
        for dataset in DATASETS:
            calm.run(dataset, day)
            if day == 1:
                shaken.run(dataset, day)
    turn, codes = DATASETS[0], []
    for line, seconds in PLACES:
        turn = next((dataset for dataset in DATASETS if line.startswith(dataset)), turn)
        codes.append(killed(shaken, turn, line, seconds))
    assert codes.count(-signal.SIGKILL) == len(PLACES)
    lost = [attempt for attempt in shaken.ctx.ledger.runs() if attempt.state == "running"]
    assert lost, "some attempt was cut off"
    shaken.xuanwu("run", *DATASETS, "--date", "2026-03-03")
    assert content(shaken) == content(calm)
    assert downloads(shaken) == downloads(calm)
    assert not [item for item in shaken.ctx.ledger.sums() if not item.sum.holds]
    batches = {(a.batch.dataset, a.batch.id) for a in shaken.ctx.ledger.done()}
    assert len(batches) == 4
    assert not [path for path in shaken.settings.scratch.rglob("*") if path.is_file()]
