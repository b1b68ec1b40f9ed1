"""Law 6: twice the rows, and the memory that the whole way takes stays where it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.city.running import KEY
from tests.conftest import write_catalogue

ROWS = 180_000
TEXT = 800
"""More than two row groups' bytes, so that the smaller table too has one that is written and one that is made."""
LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")
"""Hexadecimal without digits, among which would be telephone numbers."""
LIMIT = 256 << 20
CONSTANT = 96 << 20
"""What pools and allocators may keep besides, in bytes."""

ENTRY = """\
id: transport.trip
title: {zh: 行程, en: Trips}
summary: {zh: 行程, en: Trips}
code: "306001/000002"
owner: transport
assessed: {secrecy: {day: "2026-01-05", number: 保审1号}, impact: {day: "2026-01-06", number: 评1号}, approved: {day: "2026-01-07", number: 审1号}}
source: {kind: file, path: FILE, format: csv, encoding: utf-8}
schedule: {cron: "0 0 * * *", timezone: UTC, start: "2026-03-01"}
key: [no]
merge: {kind: upsert, order_by: at}
share: {type: unconditional}
open: {type: unconditional, fields: [no, district, fare, memo], downloads: [csv, parquet]}
fields:
  no: {type: string, grade: 1}
  card: {type: string, grade: 3, mask: {share: hmac, open: drop}}
  district: {type: string, grade: 1}
  fare: {type: decimal, precision: 12, scale: 2, grade: 1}
  at: {type: timestamp, grade: 1, formats: ["%Y-%m-%d %H:%M:%S"]}
  memo: {type: string, grade: 1}
checks:
  - {expect: expect_column_values_to_match_regex, column: card, regex: "^97", on_fail: quarantine}
  - {expect: expect_column_values_to_be_between, column: fare, min_value: 0, on_fail: quarantine}
  - {expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}
"""
# VmHWM is the process's own peak; getrusage's would begin with that of the process which started it. What checks need is
# imported at the start, and not beside whichever stage is at work by then
RUN = """\
import json
import expectations.run
from pathlib import Path
from datetime import date
from pipelines.batches import batch_for
from pipelines.context import open_context
from pipelines.stages import run_batch
ctx = open_context()
batch = batch_for(ctx, ctx.catalogue.entry("transport.trip"), date(2026, 3, 2))
rows, peaks = {}, {}
Path("/proc/self/clear_refs").write_text("5")
for stage, part, record in run_batch(ctx, batch):
    rows[stage + part] = getattr(record, "rows_out", None) or getattr(record, "total", None) or record.rows
    peaks[stage + part] = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    Path("/proc/self/clear_refs").write_text("5")
print(json.dumps({"rows": rows, "peaks": peaks}))
"""


def write_rows(path: Path, count: int) -> int:
    """Rows whose memo does not compress away; the file's bytes."""
    random = np.random.default_rng(7)
    with path.open("w", encoding="utf-8") as file:
        file.write("no,card,district,fare,at,memo\n")
        for n in range(count):
            memo = random.bytes(TEXT // 2).hex().translate(LETTERS)
            at = f"2026-03-02 {n % 24:02}:{n % 60:02}:00"
            file.write(f"T{n:09},9700{n % 40_000:012},32010{2 + n % 3},{n % 9000 / 100:.2f},{at},{memo}\n")
    return path.stat().st_size


def run(folder: Path, count: int) -> tuple[int, dict[str, int]]:
    """The file's bytes, and the peak of memory by the end of each stage."""
    folder.mkdir()
    size = write_rows(folder / "trips.csv", count)
    write_catalogue(
        folder / "catalogue", {"transport/trip.yaml": ENTRY.replace("FILE", str(folder / "trips.csv"))}
    )
    own = {
        "XUANWU_HOME": str(folder / "home"),
        "XUANWU_CATALOGUE": str(folder / "catalogue"),
        "XUANWU_KEY_1": KEY,
        "XUANWU_MEMORY": f"{LIMIT >> 20}MB",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(told["rows"].values()) == {count}
    return size, told["peaks"]


def test_twice_the_rows_take_about_the_same_memory(tmp_path: Path) -> None:
    """Stage by stage. What merge and publish sort or join, DuckDB holds until its limit is reached."""
    small, low = run(tmp_path / "small", ROWS)
    large, high = run(tmp_path / "large", 2 * ROWS)
    for stage, peak in high.items():
        held = LIMIT if stage.startswith(("merge", "publish")) else 0
        allowed = 0.25 * (large - small) + CONSTANT + held
        assert peak - low[stage] < allowed, f"{stage}: {low[stage] >> 20} MB, then {peak >> 20} MB"
