"""Upkeep before and after: a table that took a little every day, and a reader who asks for one day of it.

    python -m benchmarks.upkeep --days 300 --rows 5000

Each day is a batch through the real merge. The reader is DuckDB over the table's data files; what it reads is counted
by the system. Upkeep is `xuanwu upkeep` with what is older than a day left in place, as on the table's own evening.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.kept import keep
from benchmarks.town import checked, founded
from lake import store
from lake.zones import identifier
from pipelines.context import Context
from pipelines.merge import merge
from pipelines.upkeep.compaction import compact_all
from schemas.model import Entry
from schemas.sql import literal

ENTRY = """
id: transport.passage
title: {zh: 闸机通行, en: Passages through gates}
summary: {zh: 用于性能测试, en: For measuring}
code: "3060101/000001"
owner: transport
source: {kind: file, connection: transport, path: passages.csv, format: csv}
schedule: {cron: "0 3 * * *"}
key: [passage_no]
merge: {kind: append}
share: {type: unconditional}
open: {type: none, basis: {zh: 用于性能测试, en: For measuring}}
fields:
  passage_no: {type: string, grade: 1, title: {zh: 流水号, en: Number}}
  passed_on: {type: date, grade: 1, title: {zh: 日期, en: Day}}
  gate_no: {type: string, grade: 1, title: {zh: 闸机号, en: Gate}}
  fare: {type: integer, grade: 1, title: {zh: 票价（分）, en: Fare in fen}}
checks:
  - {expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}
"""
DEPARTMENT = "transport: {title: {zh: 交通局, en: Transport Bureau}, uscc: 11320100MB0000001M, limit: 2}\n"
FIRST = date(2025, 1, 1)


def _passages(day: int, rows: int) -> pa.RecordBatch:
    """A day's rows."""
    number = np.arange(rows, dtype=np.int64)
    columns = {
        "passage_no": pa.array([f"P{day:04}{each:08}" for each in number.tolist()]),
        "passed_on": pa.repeat(pa.scalar(FIRST + timedelta(days=day), pa.date32()), rows),
        "gate_no": pa.array([f"G{each % 400:03}" for each in number.tolist()]),
        "fare": pa.array(number % 7 * 100),
    }
    return pa.RecordBatch.from_pydict(columns)


def _read_bytes() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"])


def looked(ctx: Context, entry: Entry, day: date) -> dict[str, Any]:
    """What the table is, and what one day of it costs a reader."""
    paths = ctx.tables.data_files(identifier("curated", entry.id))
    before, start, spent = _read_bytes(), time.perf_counter(), time.process_time()
    with duckdb.connect(config={"threads": 2}) as connection:
        listed = ", ".join(map(literal, paths))
        query = f"SELECT count(*), sum(fare) FROM read_parquet([{listed}]) WHERE passed_on = DATE '{day}'"
        ((rows, fares),) = connection.execute(query).fetchall()
    return {
        "files": len(paths),
        "bytes": sum(store.size_of(path) for path in paths),
        "query_rows": rows,
        "query_fares": int(fares),
        "query_bytes": _read_bytes() - before,
        "query_seconds": time.perf_counter() - start,
        "query_cpu": time.process_time() - spent,
    }


def measured(days: int, rows: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """`before`, `upkeep` and `after`."""
    with TemporaryDirectory(prefix="xuanwu-upkeep-") as scratch:
        ctx = founded(Path(scratch), ENTRY, DEPARTMENT)
        entry = ctx.catalogue.entry("transport.passage")
        for day in range(days):
            batch = checked(ctx, entry, FIRST + timedelta(days=day), [_passages(day, rows)])
            merge(ctx, entry, batch)
            Path(batch.path).unlink()
        asked = FIRST + timedelta(days=days // 2)
        yield "before", looked(ctx, entry, asked)
        start, spent = time.perf_counter(), time.process_time()
        done = compact_all(ctx)
        took = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - spent}
        yield "upkeep", {"files": done.files, "into": done.into, "rows": done.rows, **took}
        yield "after", looked(ctx, entry, asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=300)
    parser.add_argument("--rows", type=int, default=5_000)
    options = parser.parse_args()
    found = dict(measured(options.days, options.rows))
    for name, numbers in found.items():
        print(name, numbers)
    asked = [(found[name]["query_rows"], found[name]["query_fares"]) for name in ("before", "after")]
    if asked[0] != asked[1]:
        raise SystemExit(f"the same question has another answer after upkeep: {asked}")
    print(f"written: {keep('upkeep', {'days': options.days, 'rows_a_day': options.rows, **found})}")


if __name__ == "__main__":
    main()
