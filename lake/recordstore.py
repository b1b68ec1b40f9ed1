"""The stages' records as JSON in the lake: a task hands their address to the next one, never the data."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import ValidationError

from lake import store, zones
from lake.batch import Batch
from lake.records import Checked, Landed, Merged, Published, Record, Stage, Standardised
from schemas.errors import LakeError
from schemas.settings import Settings

KINDS: Final[dict[Stage, type[Record]]] = {
    "collect": Landed,
    "standardise": Standardised,
    "check": Checked,
    "merge": Merged,
    "publish": Published,
}
_PART = re.compile(r"[a-z0-9_.:/-]*")


def address(settings: Settings, batch: Batch, stage: Stage, part: str = "") -> str:
    """Where a stage's record lies; `part` tells apart the publications of one batch, as `share/default`."""
    if not _PART.fullmatch(part):
        raise LakeError(f"not a part of a stage: {part!r}", dataset=batch.dataset, batch=batch.id)
    name = ".".join((stage, *filter(None, re.split(r"[/:]", part)), "json"))
    return store.join(zones.folder(settings, "records", batch.dataset, batch.id), name)


def save(settings: Settings, record: Record, stage: Stage, part: str = "") -> str:
    """Write the record whole, over an earlier attempt's; returns its address."""
    uri = address(settings, record.batch, stage, part)
    store.write_atomic(uri, record.model_dump_json(indent=1).encode())
    return uri


def exists(settings: Settings, batch: Batch, stage: Stage, part: str = "") -> bool:
    return store.exists(address(settings, batch, stage, part))


def load(settings: Settings, batch: Batch, stage: Stage, part: str = "") -> Record:
    """The record as its stage's own class (`KINDS`). LakeError if the stage has not finished for the batch."""
    uri = address(settings, batch, stage, part)
    place: dict[str, Any] = {"dataset": batch.dataset, "batch": batch.id, "file": uri}
    try:
        return KINDS[stage].model_validate_json(store.read_bytes(uri))
    except FileNotFoundError:
        raise LakeError(
            f"{stage} has no record", next_step=f"run {stage} for this batch first", **place
        ) from None
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, e["loc"])) for e in error.errors(include_input=False))
        raise LakeError(f"the record of {stage} is damaged at {fields or 'its start'}", **place) from None
