"""Batches and records of an invented dataset, for the lake's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lake.batch import Batch
from lake.records import Checked, Landed, LandedFile, Merged, Published, Standardised

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def batch_of(day: int, dataset: str = "dept.data") -> Batch:
    end = NOW + timedelta(days=day)
    return Batch(dataset=dataset, start=end - timedelta(days=1), end=end)


def landed(batch: Batch, rows: int = 10, path: str = "/lake/a.parquet", **changed: Any) -> Landed:
    file = LandedFile(path=path, origin="t", sha256="00", size=1, rows=rows, format="parquet")
    return Landed(**{"batch": batch, "files": (file,), "rows": rows, "collected_at": NOW, **changed})


def standardised(batch: Batch, **changed: Any) -> Standardised:
    rows = {"rows_in": 10, "rows_out": 9, "quarantined": 1}
    return Standardised(**{"batch": batch, "path": "/lake/s.parquet", **rows, **changed})


def checked(batch: Batch, **changed: Any) -> Checked:
    rows = {"rows_in": 9, "rows_out": 8, "quarantined": 1}
    return Checked(**{"batch": batch, "path": "", "rejects": None, "verdict": "", **rows, **changed})


def merged(batch: Batch, **changed: Any) -> Merged:
    rows = {"rows_in": 8, "inserted": 4, "updated": 1, "unchanged": 1, "superseded": 2, "deleted": 3}
    totals = {"total": 21, "total_before": 20}
    return Merged(**{"batch": batch, "table": "curated.x", "snapshot": 7, **rows, **totals, **changed})


def published(batch: Batch, **changed: Any) -> Published:
    what = {"zone": "share", "policy": "default", "table": "share.x", "snapshot": 8, "curated_snapshot": 7}
    rows = {"rows_in": 21, "rows_out": 20, "suppressed": 1}
    return Published(**{"batch": batch, **what, "masks_hash": "", "key_version": None, **rows, **changed})
