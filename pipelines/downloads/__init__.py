"""Downloads of the open zone: the masked table as files that people can open, release by release
(`releases`)."""

from pipelines.downloads.releases import (
    INDEX,
    POINTER,
    SUMS,
    as_json,
    datasets,
    holding,
    pointer,
    release,
    standing,
    sums,
    withdraw,
)

__all__ = [
    "INDEX",
    "POINTER",
    "SUMS",
    "as_json",
    "datasets",
    "holding",
    "pointer",
    "release",
    "standing",
    "sums",
    "withdraw",
]
