"""Where each zone's files lie, `<lake root>/<zone>/<department>/<dataset>[/<batch>]`, and how its tables are called."""

from __future__ import annotations

import re
from typing import Literal

from lake import store
from schemas.errors import LakeError
from schemas.settings import Settings

FileZone = Literal[
    "landing",
    "standard",
    "verdicts",
    "records",
    "handling",
    "origins",
    "downloads",
    "conditional",
    "released",
]
TableZone = Literal["curated", "share", "open", "quarantine"]
Identifier = tuple[str, str]
"""A table's zone and its name there."""

LONGEST = 100
"""Characters of an id at most, as the ledger takes them."""
_DATASET = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*")
_BATCH = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")


def split(dataset: str) -> tuple[str, str]:
    """Department and name of a dataset id. LakeError for anything else, so that no id can leave the lake."""
    if len(dataset) > LONGEST or not _DATASET.fullmatch(dataset):
        raise LakeError(f"not a dataset id: {dataset[:LONGEST]!r}", expected="<department>.<dataset>")
    department, name = dataset.split(".")
    return department, name


def folder(settings: Settings, zone: FileZone, dataset: str, batch_id: str | None = None) -> str:
    """The folder of a dataset in a zone, or of one of its batches. It need not exist yet."""
    if batch_id is not None and (len(batch_id) > LONGEST or not _BATCH.fullmatch(batch_id)):
        raise LakeError(f"not a batch id: {batch_id[:LONGEST]!r}", dataset=dataset)
    batch = () if batch_id is None else (batch_id,)
    return store.join(settings.lake_root, zone, *split(dataset), *batch)


def identifier(zone: TableZone, dataset: str, policy: str | None = None) -> Identifier:
    """`("share", "civil_affairs__marriage__default")`: a dot is not a name's character in every engine."""
    return zone, "__".join((*split(dataset), *([policy] if policy else [])))


def published_table(dataset: str, zone: Literal["share", "open"], policy: str) -> Identifier:
    """`("share", "civil_affairs__marriage__default")`, `("open", "civil_affairs__marriage")`."""
    return identifier(zone, dataset, policy if zone == "share" else None)
