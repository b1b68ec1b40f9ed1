"""The media types (IANA) of the formats that something is opened in."""

from __future__ import annotations

from typing import Final

MEDIA: Final = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
