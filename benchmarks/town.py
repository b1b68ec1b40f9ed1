"""A town of one dataset, founded where a benchmark wants it: its catalogue, its lake, and batches as the check leaves
them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.residents import residents
from lake import store
from lake.batch import Batch
from lake.ledger import Ledger
from lake.records import Checked
from pipelines.context import Context
from pipelines.keys import CONNECTION
from schemas.arrow import standard_schema
from schemas.load import load_catalogue
from schemas.model import Entry
from schemas.settings import Settings

RESIDENT = """
id: public_security.resident
title: {zh: 人口登记（性能测试）, en: Residents (for measuring)}
summary: {zh: 用于性能测试, en: For measuring}
code: "301001/000001"
owner: public_security
subject: person
assessed:
  secrecy: {day: "2026-01-05", number: 保审1号}
  impact: {day: "2026-01-06", number: 评1号}
  approved: {day: "2026-01-07", number: 审1号}
source: {kind: file, connection: public_security, path: residents.csv, format: csv}
schedule: {cron: "0 3 * * *"}
key: [id_no]
merge: {kind: upsert, order_by: updated_at}
share: {type: unconditional, policies: {default: {}}}
open: {type: none, basis: {zh: 用于性能测试, en: For measuring}}
fields:
  id_no: {element: resident_id}
  name: {element: person_name}
  phone: {element: phone}
  address: {element: residence_address}
  household_no: {type: string, grade: 2, risk: quasi, title: {zh: 户号, en: Household}}
  station: {type: string, grade: 2, risk: quasi, title: {zh: 派出所, en: Police station}}
  contribution: {type: decimal, precision: 12, scale: 2, grade: 2, risk: sensitive, title: {zh: 基数, en: Base}}
  updated_at: {element: updated_at}
checks:
  - {expect: expect_table_row_count_to_be_between, min_value: 1, on_fail: stop}
"""
DEPARTMENT = (
    "public_security: {title: {zh: 公安局, en: Public Security}, uscc: 11320100MB0000001M, limit: 2}\n"
)
DAY = date(2026, 3, 2)


def founded(scratch: Path, entry: str, department: str, urls: Mapping[str, str] | None = None) -> Context:
    """The context of a new town with this entry; connections are these URLs, and a masking key of its own."""
    owner, _, name = entry.partition("id: ")[2].partition("\n")[0].partition(".")
    folder = scratch / "catalogue" / owner
    folder.mkdir(parents=True)
    (folder / f"{name}.yaml").write_text(entry)
    (folder.parent / "departments.yaml").write_text(department)
    key = {CONNECTION: f"keys://?1={secrets.token_hex(32)}"}
    return entered(scratch, key | dict(urls or {}))


def entered(scratch: Path, urls: Mapping[str, str]) -> Context:
    """The context of a town that was founded there."""
    settings = Settings(home=scratch / "home", catalogue=scratch / "catalogue")
    return Context(
        settings,
        load_catalogue(settings.catalogue),
        ledger=Ledger(settings.database_url),
        connect=lambda name: urls.get(name, ""),
        clock=lambda: datetime.now(UTC),
    )


def registered(rows: int) -> Iterator[pa.RecordBatch]:
    """The columns of `RESIDENT`, of so many residents."""
    names = ["id_no", "name", "phone", "address", "household_no", "station", "contribution", "updated_at"]
    for part in residents(rows):
        yield part.select(names)


def checked(ctx: Context, entry: Entry, day: date, parts: Iterable[pa.RecordBatch]) -> Checked:
    """A day's batch as the check leaves it, where every row has passed."""
    start = datetime.combine(day, time.min, UTC)
    batch = Batch(dataset=entry.id, start=start, end=start + timedelta(days=1))
    path, rows = store.join(str(ctx.settings.home), f"{batch.id}.parquet"), 0
    with store.atomic_parquet(path, schema := standard_schema(entry)) as writer:
        for part in parts:
            writer.write_table(_placed(part, rows, schema))
            rows += part.num_rows
    return Checked(
        batch=batch, path=path, rejects=None, verdict="", rows_in=rows, rows_out=rows, quarantined=0
    )


def _placed(part: pa.RecordBatch, start: int, schema: pa.Schema) -> pa.Table:
    """The rows with the places that they came from."""
    number = np.arange(start, start + part.num_rows, dtype=np.int64)
    placed = {"_seq": number, "_file": pa.repeat("rows.csv", part.num_rows), "_row": number + 2}
    columns = placed | dict(zip(part.schema.names, part.columns, strict=True))
    return pa.table([pa.array(columns[each.name]).cast(each.type) for each in schema], schema=schema)
