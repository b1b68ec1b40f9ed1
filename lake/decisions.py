"""Holds and decisions: a batch that stopped so that a person can say whether it goes on, and what was said.

    records/<department>/<dataset>/<batch>/hold.<stage>.json       what the stage saw, in counts
    records/<department>/<dataset>/<batch>/decision.<stage>.json   who decided what, and why

A decision counts for what was seen, by its digest, and only if the audit log holds it: a file that somebody put
there decides nothing. A later decision on the same hold takes the place of an earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lake import store, zones
from lake.auditlog import AuditLog
from lake.batch import Batch
from lake.certificates import digest_of
from lake.records import Stage
from lake.signing import canonical
from schemas.errors import LakeError
from schemas.settings import Settings

Verdict = Literal["approve", "refuse"]
ACTION: Final = "decide"
MAY_HOLD: Final[tuple[Stage, ...]] = ("collect", "merge")
T = TypeVar("T", bound=BaseModel)


class Hold(BaseModel):
    """What a stage saw. `reasons` are sentences for people; `saw` holds all that the decision is about: counts,
    digests and names, no value of the data."""

    model_config = ConfigDict(frozen=True)

    batch: Batch
    stage: Stage
    reasons: tuple[str, ...]
    saw: dict[str, int | str]
    at: datetime

    @property
    def digest(self) -> str:
        """Of the batch, the stage and what was seen."""
        said = {"dataset": self.batch.dataset, "batch": self.batch.id, "stage": self.stage, "saw": self.saw}
        return digest_of(canonical(said))


class Decision(BaseModel):
    """`hold` is the digest of what was decided on, `entry` the index of its line in the audit log."""

    model_config = ConfigDict(frozen=True)

    hold: str
    decision: Verdict
    by: str
    why: str
    entry: int


def _address(settings: Settings, kind: str, batch: Batch, stage: Stage) -> str:
    return store.join(zones.folder(settings, "records", batch.dataset, batch.id), f"{kind}.{stage}.json")


def hold(settings: Settings, log: AuditLog, found: Hold) -> None:
    """Write a hold down and log it; the same one again is left as it is."""
    standing = held(settings, found.batch, found.stage)
    if standing is not None and standing.digest == found.digest:
        return
    log.append({**_said(found), "phase": "attempt", "action": "hold", "saw": found.saw})
    uri = _address(settings, "hold", found.batch, found.stage)
    store.write_atomic(uri, found.model_dump_json(indent=1).encode())


def release(settings: Settings, batch: Batch, stage: Stage) -> None:
    """The stage has gone on: nothing waits any more. The decision stays."""
    if stage in MAY_HOLD:
        store.remove_file(_address(settings, "hold", batch, stage))


def held(settings: Settings, batch: Batch, stage: Stage) -> Hold | None:
    """The hold of a batch at a stage, if it waits there."""
    uri = _address(settings, "hold", batch, stage)
    return _read(Hold, uri) if store.exists(uri) else None


def holds(settings: Settings, dataset: str) -> Iterator[Hold]:
    """Every hold of a dataset, the newest batch first."""
    for folder in reversed(store.list_folders(zones.folder(settings, "records", dataset))):
        for stage in MAY_HOLD:
            uri = store.join(folder, f"hold.{stage}.json")
            if store.exists(uri):
                yield _read(Hold, uri)


def decide(
    settings: Settings, log: AuditLog, found: Hold, decision: Verdict, *, by: str, why: str
) -> Decision:
    """Log the decision, then write it down: one that is not logged does not count."""
    entry = log.append(_entry(found.digest, found, decision, by, why))
    made = Decision(hold=found.digest, decision=decision, by=by, why=why, entry=entry)
    uri = _address(settings, "decision", found.batch, found.stage)
    store.write_atomic(uri, made.model_dump_json(indent=1).encode())
    return made


def decided(settings: Settings, log: AuditLog, found: Hold) -> Decision | None:
    """The decision on exactly this hold, if there is one and the audit log holds it as it is."""
    uri = _address(settings, "decision", found.batch, found.stage)
    if not store.exists(uri):
        return None
    made = _read(Decision, uri)
    if made.hold != found.digest:
        return None
    logged = log.entry(made.entry)
    wanted = _entry(made.hold, found, made.decision, made.by, made.why)
    if logged is None or {name: logged.get(name) for name in wanted} != wanted:
        raise LakeError(
            "a decision is not the one in the audit log, so it does not count",
            dataset=found.batch.dataset,
            batch=found.batch.id,
            file=uri,
            next_step="find out who changed it, and decide again: xuanwu approve or refuse",
        )
    return made


def _entry(digest: str, found: Hold, decision: Verdict, by: str, why: str) -> dict[str, Any]:
    said = {"phase": "outcome", "action": ACTION, "decision": decision, "hold": digest, "by": by, "why": why}
    return {**_said(found), **said}


def _said(found: Hold) -> dict[str, Any]:
    return {"dataset": found.batch.dataset, "batch": found.batch.id, "stage": found.stage}


def _read(model: type[T], uri: str) -> T:
    try:
        return model.model_validate(json.loads(store.read_bytes(uri)))
    except (ValidationError, ValueError):
        raise LakeError("a hold or decision is damaged", file=uri, next_step="run the batch again") from None
