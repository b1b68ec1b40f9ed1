"""A batch: one dataset, one data interval. Its id is derived from them, never random."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, computed_field, field_validator

ERASURE: Final = "erasure:"


class Batch(BaseModel):
    """Identity of one run of a dataset. `pins` names the input snapshots of a derived dataset, else it is empty:
    a derived batch whose inputs were repaired is another batch of the same interval. An erasure is a batch of its own
    that brings no row; its `pins` name it (`erasure_batch`)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset: str
    start: datetime
    end: datetime
    pins: str = ""

    @field_validator("start", "end")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("a data interval needs a time zone")
        return value.astimezone(UTC)

    @property
    def erasure(self) -> str | None:
        """The id of the erasure that this batch is, if it is one."""
        return self.pins.removeprefix(ERASURE) if self.pins.startswith(ERASURE) else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def id(self) -> str:
        """Sorts by the interval's end; `20260303T180000Z-1f0c9a2e`."""
        parts = (self.dataset, self.start.isoformat(), self.end.isoformat(), self.pins)
        digest = hashlib.sha256("|".join(parts).encode()).hexdigest()[:8]
        return f"{self.end:%Y%m%dT%H%M%SZ}-{digest}"


def erasure_batch(dataset: str, erasure: str, at: datetime) -> Batch:
    """The erasure as a batch of one dataset: a moment, not an interval of data."""
    return Batch(dataset=dataset, start=at, end=at, pins=f"{ERASURE}{erasure}")
