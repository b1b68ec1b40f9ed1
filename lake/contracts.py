"""Contracts: in which form a dataset's entry of the catalogue was in use, from when on, and what changed.

    proof/contracts/<department>/<dataset>/00001-1f0c9a2e3b4d5a6f.json    the form, in the order of their first use

    log: attempt, with what changed ── JSON ── log: outcome

A form counts as the one in use once its file is the last. A process killed before that has used it for nothing: the
next one says it again, under the same number. The log holds the changes in words, so that they can be read, and not
be changed, whatever becomes of the files; a file is what the next form is held against.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from lake import store, zones
from lake.auditlog import AuditLog, entries
from lake.batch import Batch
from lake.certificates import digest_of, relative
from schemas.errors import LakeError
from schemas.model import Assessed
from schemas.settings import Settings

FOLDER: Final = "proof/contracts"
ACTION: Final = "contract"
_DIGITS: Final = 16
"""Of a form's digest, in its file's name."""
Facts = dict[str, dict[str, dict[str, Any]]]
"""Section, item and key to a value: `facts["field"]["id_no"]["grade"]`."""


class Contract(BaseModel):
    """A form. `digest` is of all that it is made of, `contract` the part that certificates name. What `facts` do not
    tell stands there as a keyed digest, by the signing key of that id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    digest: str
    contract: str
    key: str
    facts: Facts


class Change(BaseModel):
    """What became of one thing, in words. `loosens`: it protects less than before, or nobody can tell that it does
    not. `personal`: a field has come to be graded 3 or more."""

    model_config = ConfigDict(frozen=True)

    zh: str
    en: str
    loosens: bool = False
    personal: bool = False

    @property
    def reassess(self) -> bool:
        """Whether what was assessed before it (Decree 809, Art. 13) does not cover it."""
        return self.loosens or self.personal


Compare = Callable[[Contract, Contract], Sequence[Change]]


def in_use(settings: Settings, dataset: str, digest: str) -> bool:
    """Whether the form of this digest is the one that was used last."""
    return _last(settings, dataset).rpartition("-")[2] == f"{digest[:_DIGITS]}.json"


def use(settings: Settings, log: AuditLog, batch: Batch, now: Contract, compare: Compare) -> None:
    """Write down that a batch uses this form, unless it is the one in use. LakeError where that cannot be logged, or
    the form before cannot be read."""
    with log.turn() as append:
        last = _last(settings, now.dataset)
        if in_use(settings, now.dataset, now.digest):
            return
        before = _read(last) if last else None
        number = int(last.rpartition("/")[2][:5]) + 1 if last else 1
        uri = store.join(_folder(settings, now.dataset), f"{number:05d}-{now.digest[:_DIGITS]}.json")
        data = encode(now)
        changes = compare(before, now) if before else ()
        assessed = now.facts.get("assessed", {}).get("")
        line = {
            **{"action": ACTION, "dataset": batch.dataset, "batch": batch.id, "number": number},
            "contract": now.contract,
            "form": {"path": relative(settings.lake_root, uri), "sha256": digest_of(data)},
            "changes": [change.model_dump() for change in changes],
            **({"assessed": assessed} if assessed else {}),
        }
        append({**line, "phase": "attempt"})
        store.write_atomic(uri, data)
        append({**line, "phase": "outcome"})


@dataclass(frozen=True)
class Used:
    """A form of a contract that came into use: by which batch, since when, and what changed. `assessed` as the entry
    said it then."""

    dataset: str
    number: int
    since: datetime
    batch: str
    contract: str
    changes: tuple[Change, ...]
    form: Mapping[str, str]
    """Its file: `path` in the lake, and `sha256`."""
    assessed: Assessed | None = None

    @property
    def unchanged(self) -> tuple[str, str]:
        """What is said where there is no change to tell."""
        if self.number == 1:
            return "首次记录", "recorded for the first time"
        return "形式有变，未见内容变更", "written in another form (by other software), nothing else changed"


def history(lake: str, dataset: str | None = None) -> list[Used]:
    """Every form that was in use, of one dataset or of all, the newest first; from the log, without proving it."""
    found: dict[str, Used] = {}
    finished: set[str] = set()
    for _, entry in entries(lake):
        if entry.get("action") == ACTION and dataset in (None, entry["dataset"]):
            path = entry["form"]["path"]
            found.setdefault(path, _used(entry))
            finished |= {path} if entry["phase"] == "outcome" else set()
    used = [each for path, each in found.items() if path in finished or store.exists(store.join(lake, path))]
    return sorted(used, key=lambda each: each.since, reverse=True)


def _used(entry: Mapping[str, Any]) -> Used:
    return Used(
        dataset=entry["dataset"],
        number=entry["number"],
        since=datetime.fromisoformat(entry["at"]),
        batch=entry["batch"],
        contract=entry["contract"],
        changes=tuple(Change.model_validate(each) for each in entry["changes"]),
        form=entry["form"],
        assessed=Assessed.model_validate(entry["assessed"]) if "assessed" in entry else None,
    )


def encode(contract: Contract) -> bytes:
    """The file's bytes. No canonical JSON: rules have numbers that are no integers."""
    said = contract.model_dump(mode="json")
    return json.dumps(said, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def _folder(settings: Settings, dataset: str) -> str:
    return store.join(settings.lake_root, FOLDER, *zones.split(dataset))


def _last(settings: Settings, dataset: str) -> str:
    """The form that was used last; empty where none was."""
    files = store.list_files(_folder(settings, dataset))
    return max((each for each in files if not store.is_unfinished(each)), default="")


def _read(uri: str) -> Contract:
    try:
        return Contract.model_validate_json(store.read_bytes(uri))
    except ValidationError:
        raise LakeError(
            "the form of the contract that was in use before cannot be read",
            file=uri,
            next_step="run `xuanwu verify`, find out who changed it, and put it back from a copy of the lake",
        ) from None
