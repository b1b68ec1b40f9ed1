"""A lake with one curated dataset of eight invented people, to be published."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lake import properties
from lake.batch import Batch
from lake.ledger import Ledger
from lake.records import Merged, Published
from lake.zones import identifier
from pipelines.connections import from_environment
from pipelines.context import Context
from pipelines.publish import publish
from schemas.arrow import entry_schema
from schemas.load import Catalogue
from schemas.model import Entry, Zone
from schemas.settings import Settings
from tests.conftest import ASSESSED

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ID = "health.visit"
KEY = "XUANWU_KEY_1"
SECRET = bytes(range(32)).hex()
Row = dict[str, Any]

FIELDS: dict[str, dict[str, Any]] = {
    "visit_no": {"type": "string", "grade": 1},
    "id_no": {"type": "string", "grade": 4, "mask": {"share": "hmac", "open": "drop"}},
    "name": {
        "type": "string",
        "grade": 3,
        "mask": {"share": {"kind": "partial", "first": 1}, "open": "drop"},
    },
    "born": {
        "type": "date",
        "grade": 3,
        "mask": {
            "share": {"kind": "generalise", "to": "month"},
            "open": {"kind": "generalise", "to": "decade"},
        },
    },
    "district": {"type": "string", "grade": 1},
    "fee": {
        "type": "decimal",
        "precision": 12,
        "scale": 2,
        "grade": 2,
        "mask": {"open": {"kind": "round", "to": 10}},
    },
    "at": {"type": "timestamp", "grade": 1},
    "memo": {"type": "string", "grade": 3, "mask": {"share": "redact", "open": "redact"}},
    "balance": {"type": "integer", "grade": 1},
}
SHARE: dict[str, Any] = {
    "type": "unconditional",
    "policies": {"default": {}, "statistics": {"fields": ["born", "district"]}},
}
OPEN: dict[str, Any] = {
    "type": "unconditional",
    "fields": ["visit_no", "born", "district", "fee", "at", "memo", "balance"],
}


def people(count: int = 8, day: int = 0) -> list[Row]:
    return [
        {
            "visit_no": f"V{number:05}",
            "id_no": f"ID-RAW-{90000 - number:05}",
            "name": f"张秘密{number:05}",
            "born": date(1949, 10, 1) + timedelta(days=number * 997 % 20000),
            "district": ("320102", "320104", None)[number % 3],
            "fee": Decimal(f"{number * 7 + day}.55"),
            "at": datetime(2026, 3, 4, 16, 0, number % 60, tzinfo=UTC),
            "memo": f"请致电1381234{number:04}，=1+1"
            if number % 2
            else f'=HYPERLINK("x")\n第{number}行,"引"',
            "balance": -number,
        }
        for number in range(1, count + 1)
    ]


def entry_yaml(fields: dict[str, Any], share: dict[str, Any], open_: dict[str, Any]) -> str:
    text = {"zh": "就诊", "en": "Visits"}
    return json.dumps(
        {
            "id": ID,
            "title": text,
            "summary": text,
            "code": "3010203/000017",
            "owner": "health",
            "assessed": ASSESSED,
            "source": {"kind": "file", "path": "data.csv", "format": "csv"},
            "schedule": {"cron": "0 2 * * *"},
            "key": ["visit_no"],
            "merge": {"kind": "snapshot"},
            "share": share,
            "open": open_,
            "fields": {name: {"title": text, **rest} for name, rest in fields.items()},
            "checks": [{"expect": "expect_table_row_count_to_be_between", "min_value": 0, "on_fail": "stop"}],
        },
        ensure_ascii=False,
        indent=1,
    )


@dataclass
class City:
    """One dataset; `change` writes its entry anew, `curate` makes the next curated snapshot."""

    settings: Settings
    make: Callable[[dict[str, str]], Catalogue]
    fields: dict[str, Any] = field(default_factory=lambda: FIELDS)
    share: dict[str, Any] = field(default_factory=lambda: SHARE)
    open: dict[str, Any] = field(default_factory=lambda: OPEN)
    ctx: Context = field(init=False)
    entry: Entry = field(init=False)

    def __post_init__(self) -> None:
        self.change()

    def change(self, **parts: Any) -> None:
        for name, value in parts.items():
            setattr(self, name, value)
        catalogue = self.make({"health/visit.yaml": entry_yaml(self.fields, self.share, self.open)})
        self.entry = catalogue.entry(ID)
        self.ctx = Context(
            settings=self.settings,
            catalogue=catalogue,
            ledger=Ledger(self.settings.database_url, clock=lambda: NOW),
            connect=from_environment,
            clock=lambda: NOW,
        )

    @property
    def curated(self) -> tuple[str, str]:
        return identifier("curated", ID)

    def curate(self, day: int, rows: Sequence[Row]) -> Merged:
        """The curated table holds these rows, as a merge of that day would leave it."""
        batch = Batch(dataset=ID, start=NOW + (day - 1) * DAY, end=NOW + day * DAY)
        schema = entry_schema(self.entry).append(pa.field("_batch", pa.string()))
        self.ctx.tables.ensure(self.curated, schema)
        table = pa.Table.from_pylist([{**row, "_batch": batch.id} for row in rows], schema=schema)
        reader = table.to_reader(max_chunksize=3) if len(rows) < 100 else table.to_reader()
        snapshot = self.ctx.tables.replace(self.curated, reader, "all", properties.named(batch=batch.id))
        return Merged(
            batch=batch,
            table=".".join(self.curated),
            snapshot=snapshot,
            rows_in=len(rows),
            inserted=len(rows),
            updated=0,
            unchanged=0,
            superseded=0,
            deleted=0,
            total=len(rows),
            total_before=0,
        )

    def publish(self, merged: Merged, zone: Zone = "share", policy: str = "") -> Published:
        return publish(
            self.ctx, self.entry, merged, zone, policy or ("open" if zone == "open" else "default")
        )

    def rows(self, published: Published) -> list[Row]:
        zone, name = published.table.split(".")
        return list(self.ctx.tables.scan((zone, name)).read_all().to_pylist())
