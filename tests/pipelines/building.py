"""Entries and contexts for tests of one stage, without a catalogue on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lake.batch import Batch
from lake.ledger import Ledger
from pipelines.context import Context
from schemas.errors import SettingsError
from schemas.load import Catalogue
from schemas.model import Entry
from schemas.numbers import default_numbers
from schemas.settings import Settings

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
TITLE = {"zh": "测试", "en": "Test"}


def entry_of(dataset: str, source: dict[str, Any], fields: dict[str, Any], **more: Any) -> Entry:
    """A resolved entry; a field is its type, or a dict of what differs from grade 1."""
    full = {
        name: {"name": name, "title": TITLE, "grade": 1}
        | ({"type": field} if isinstance(field, str) else field)
        for name, field in fields.items()
    }
    return Entry.model_validate(
        {
            "id": dataset,
            "title": TITLE,
            "summary": TITLE,
            "code": "3010203/000001",
            "owner": dataset.split(".")[0],
            "source": source,
            "schedule": {"cron": "0 2 * * *"},
            "key": (next(iter(full)),),
            "merge": {"kind": "upsert"},
            "brake": default_numbers().brake.model_dump(),
            "retention": default_numbers().retention,
            "share": {"type": "unconditional"},
            "open": {"type": "unconditional"},
            "fields": full,
            "checks": (),
            "file": f"{dataset}.yaml",
        }
        | more
    )


def context_of(
    settings: Settings, entries: Iterable[Entry] = (), urls: Mapping[str, str] | None = None
) -> Context:
    """A context whose catalogue is these entries and whose connections are these URLs."""

    def connect(name: str) -> str:
        if name not in (urls or {}):
            raise SettingsError(f"there is no connection {name!r}")
        return (urls or {})[name]

    return Context(
        settings=settings,
        catalogue=Catalogue(Path(), {entry.id: entry for entry in entries}, {}, {}, {}),
        ledger=Ledger(settings.database_url),
        connect=connect,
        clock=lambda: NOW,
    )


def batch_of(dataset: str, day: int = 1, pins: str = "") -> Batch:
    """The batch of a day of March 2026."""
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day - 1)
    return Batch(dataset=dataset, start=start, end=start + timedelta(days=1), pins=pins)
