"""A town of invented people: a register with everything personal in it, and what is published of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from lake.batch import Batch
from lake.ledger import Ledger
from lake.records import Merged, Published
from lake.zones import identifier
from pipelines.connections import from_environment
from pipelines.context import Context
from pipelines.publish import publish
from sample.people import names, people
from schemas.arrow import entry_schema
from schemas.load import Catalogue
from schemas.model import Zone
from schemas.settings import Settings
from tests.conftest import ASSESSED

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
Row = dict[str, Any]
Json = dict[str, Any]
TEXT = {"zh": "甲", "en": "A"}
NONE = {"type": "none", "basis": TEXT}
REGISTER, LABELS = "police.person", "theme.label"
DROPPED = {"share": "drop", "open": "drop"}

PERSON: dict[str, Json] = {
    "no": {"type": "string", "grade": 1},
    "id_no": {"type": "string", "grade": 4, "mask": DROPPED},
    "name": {
        "type": "string",
        "grade": 3,
        "mask": {"share": {"kind": "partial", "first": 1}, "open": "drop"},
    },
    "phone": {"type": "string", "grade": 3, "mask": DROPPED},
    "address": {"type": "string", "grade": 3, "mask": DROPPED},
    "remark": {"type": "string", "grade": 1},
}


def persons(count: int) -> list[Row]:
    numbers = np.arange(count)
    ids, called = people(numbers, 329).id_no.to_pylist(), names(np.random.default_rng(1), count).to_pylist()
    return [
        {
            "no": f"NJ20260302{number:06}",
            "id_no": ids[number],
            "name": called[number],
            "phone": f"154{number * 7919 % 10**8:08}",
            "address": f"望江路{number}号{number % 7 + 1}幢",
            "remark": ("材料齐全", "暂无备注")[number % 2],
        }
        for number in range(count)
    ]


def entry(dataset: str, fields: Json, **more: Any) -> str:
    serial = f"3010203/{sum(dataset.encode()):06}"
    base = {
        "id": dataset,
        "title": TEXT,
        "summary": TEXT,
        "code": serial,
        "owner": dataset.split(".")[0],
        "assessed": ASSESSED,
        "source": {"kind": "file", "path": "data.csv", "format": "csv"},
        "schedule": {"cron": "0 2 * * *"},
        "key": [next(iter(fields))],
        "merge": {"kind": "snapshot"},
        "share": {"type": "unconditional"},
        "open": NONE,
        "fields": {name: {"title": TEXT, **each} for name, each in fields.items()},
        "checks": [{"expect": "expect_table_row_count_to_be_between", "min_value": 0, "on_fail": "stop"}],
    }
    given = {key: value for key, value in {**base, **more}.items() if value is not None}
    return json.dumps(given, ensure_ascii=False, indent=1)


def derived(dataset: str, sql: str, inputs: list[str], fields: Json, **more: Any) -> str:
    source = {"kind": "lake", "sql": sql, "inputs": inputs}
    return entry(dataset, fields, source=source, schedule=None, **more)


@dataclass
class Town:
    """Datasets by id; `curate` sets what a curated table holds, `publish` publishes it."""

    settings: Settings
    make: Callable[[dict[str, str]], Catalogue]
    entries: dict[str, str] = field(default_factory=lambda: {REGISTER: entry(REGISTER, PERSON)})

    def write(self, dataset: str, text: str) -> None:
        self.entries[dataset] = text

    @property
    def ctx(self) -> Context:
        return Context(
            settings=self.settings,
            catalogue=self.make(
                {f"{name.replace('.', '/')}.yaml": text for name, text in self.entries.items()}
            ),
            ledger=Ledger(self.settings.database_url, clock=lambda: NOW),
            connect=from_environment,
            clock=lambda: NOW,
        )

    def curate(self, rows: Sequence[Row] | pa.Table, dataset: str = REGISTER, day: int = 1) -> Merged:
        ctx = self.ctx
        table = identifier("curated", dataset)
        schema = entry_schema(ctx.catalogue.entry(dataset)).append(pa.field("_batch", pa.string()))
        batch = Batch(dataset=dataset, start=NOW + timedelta(days=day - 1), end=NOW + timedelta(days=day))
        if not isinstance(rows, pa.Table):
            rows = pa.Table.from_pylist([{**row, "_batch": batch.id} for row in rows], schema=schema)
        ctx.tables.ensure(table, schema)
        snapshot = ctx.tables.replace(table, rows.to_reader(16384), "all", {"xuanwu.batch": batch.id})
        counts = dict.fromkeys(("updated", "unchanged", "superseded", "deleted", "total_before"), 0)
        total = dict.fromkeys(("rows_in", "inserted", "total"), len(rows))
        return Merged(batch=batch, table=".".join(table), snapshot=snapshot, **counts, **total)

    def publish(self, merged: Merged, zone: Zone = "share", policy: str = "") -> Published:
        policy = policy or ("open" if zone == "open" else "default")
        ctx = self.ctx
        return publish(ctx, ctx.catalogue.entry(merged.batch.dataset), merged, zone, policy)

    def rows(self, published: Published) -> list[Row]:
        zone, name = published.table.split(".")
        return list(self.ctx.tables.scan((zone, name), snapshot=published.snapshot).read_all().to_pylist())
