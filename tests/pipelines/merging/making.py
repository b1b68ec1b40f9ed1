"""Batches for merge tests: an entry of a few fields, and standardised Parquet as the stages before would leave it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.batch import Batch
from lake.ledger import Ledger
from lake.records import Checked, Merged
from lake.zones import identifier
from pipelines.context import Context
from pipelines.merge import merge
from schemas.arrow import standard_schema
from schemas.load import Catalogue
from schemas.model import Entry
from schemas.settings import Settings
from tests.conftest import ASSESSED

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MakeCatalogue = Callable[[dict[str, str]], Catalogue]
Row = dict[str, Any]


def entry_yaml(kind: str, fields: dict[str, dict[str, Any]], key: Sequence[str], order_by: str | None) -> str:
    """The catalogue entry `dept.data` with these fields (name to type and the like)."""
    text = {"zh": "测试", "en": "Test"}
    merged = {"kind": kind} | ({"order_by": order_by} if order_by else {})
    return json.dumps(
        {
            "id": "dept.data",
            "title": text,
            "summary": text,
            "code": "3010203/000017",
            "owner": "dept",
            "assessed": ASSESSED,
            "source": {"kind": "file", "path": "data.csv", "format": "csv"},
            "schedule": {"cron": "0 2 * * *"},
            "key": list(key),
            "merge": merged,
            "share": {"type": "unconditional"},
            "open": {"type": "none", "basis": {"zh": "依据"}},
            "fields": {
                name: {"grade": 2, "title": text, "required": name in key, **f} for name, f in fields.items()
            },
            "checks": [{"expect": "expect_table_row_count_to_be_between", "min_value": 0, "on_fail": "stop"}],
        },
        ensure_ascii=False,
        indent=1,
    )


@dataclass
class City:
    """A lake with one dataset, and the batches merged into it."""

    settings: Settings
    make: MakeCatalogue
    fields: dict[str, dict[str, Any]]
    kind: str = "upsert"
    key: Sequence[str] = ("id",)
    order_by: str | None = None
    ctx: Context = field(init=False)
    entry: Entry = field(init=False)

    def __post_init__(self) -> None:
        self.change()

    def change(self, **settings: Any) -> None:
        """The entry as it is from now on."""
        for name, value in settings.items():
            setattr(self, name, value)
        by = self.order_by or next(name for name in self.fields if name not in self.key)
        order_by = by if self.kind == "upsert" else None
        catalogue = self.make({"dept/data.yaml": entry_yaml(self.kind, self.fields, self.key, order_by)})
        self.entry = catalogue.entry("dept.data")
        ledger = Ledger(self.settings.database_url, clock=lambda: NOW)
        self.ctx = Context(self.settings, catalogue, ledger, connect=str, clock=lambda: NOW)

    def checked(self, day: int, rows: Sequence[Row], rejects: Sequence[int] = ()) -> Checked:
        """The batch of a day: its rows in order, `_seq` from 0, of which some were set aside by the check."""
        end = NOW + day * DAY
        batch = Batch(dataset="dept.data", start=end - DAY, end=end)
        folder = Path(self.settings.home) / "batches" / batch.id
        folder.mkdir(parents=True, exist_ok=True)
        full = [{**row, "_seq": i, "_file": "data.csv", "_row": i + 2} for i, row in enumerate(rows)]
        pq.write_table(
            pa.Table.from_pylist(full, schema=standard_schema(self.entry)), folder / "standard.parquet"
        )
        if rejects:
            pq.write_table(pa.table({"_seq": pa.array(rejects, pa.int64())}), folder / "rejects.parquet")
        return Checked(
            batch=batch,
            path=str(folder / "standard.parquet"),
            rejects=str(folder / "rejects.parquet") if rejects else None,
            verdict="",
            rows_in=len(rows),
            rows_out=len(rows) - len(rejects),
            quarantined=len(rejects),
        )

    def merge(self, day: int, rows: Sequence[Row], rejects: Sequence[int] = ()) -> Merged:
        return merge(self.ctx, self.entry, self.checked(day, rows, rejects))

    def rows(self, *columns: str) -> list[Row]:
        """The curated rows by key, without `_batch` unless asked for."""
        names = columns or tuple(self.entry.fields)
        table = identifier("curated", "dept.data")
        found = self.ctx.tables.scan(table, [*dict.fromkeys([*self.key, *names])]).read_all().to_pylist()
        found.sort(key=lambda row: [str(row[name]) for name in self.key])
        return [{name: row[name] for name in names} for row in found]

    def files(self) -> list[str]:
        return self.ctx.tables.data_files(identifier("curated", "dept.data"))


def counts(merged: Merged) -> dict[str, int]:
    """The counts that are not zero."""
    names = ("inserted", "updated", "unchanged", "superseded", "quarantined", "deleted")
    return {name: value for name in names if (value := getattr(merged, name))}
