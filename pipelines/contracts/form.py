"""A contract as facts that can be held against each other: section, item and key to a value.

Facts go into the lake for good, so they hold no value of a person. Free text (titles, conditions, SQL), parameters of
requests, and what checks and code lists name of a field graded 3 or more stand there as a keyed digest, with how many
they are: whether it changed can be told, what it says cannot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from lake.contracts import Facts
from pipelines.gates.limits import counts_of, limits_of
from schemas.load import Catalogue
from schemas.model import BESIDE, Check, Code, Entry, Policy, Zone
from schemas.policy import ZONES, mask_plan, policies, written

TOLD_UP_TO: Final = 2
"""The highest grade of which values are told (GB/T 43697)."""
UNTOLD: Final = "untold"
TOLD: Final = "told"
LIMITS: Final = ("release", "k", "l", "t", "below", "of", "context", "suppress", "suppress_up_to")
Digest = Callable[[Any], str]
"""A keyed digest of a value (`lake.auditlog.AuditLog.digest`)."""
_TEXTS: Final = {"title", "summary", "conditions", "basis", "licence", "sql", "params"}
_SECTIONS: Final = ("assessed", "source", "schedule", "merge", "brake", "retention", "share", "open")
_IN_PLAN: Final = {"fields", "drop", "mask", "disclosure", "policies"}
"""Keys of a publication that `mask` and `limits` tell as they work out."""


def contract_hash(entry: Entry) -> str:
    """Digest of the resolved entry, but for what no publication depends on, whatever was granted of it."""
    return digest(written(entry).model_dump(mode="json", exclude=set(BESIDE)))


def digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def identity(catalogue: Catalogue, entry: Entry) -> str:
    """Digest of the whole contract: of the entry, of the code lists that it names, of the limits to which the policy
    file holds its publications, and of its assessment where it has one."""
    codes = {name: [code.model_dump() for code in rows] for name, rows in _codes(catalogue, entry).items()}
    said = {"contract": contract_hash(entry), "codes": codes, "limits": _limits(catalogue, entry)}
    assessed = {"assessed": entry.assessed.model_dump(mode="json")} if entry.assessed else {}
    return digest(said | assessed)


def facts_of(catalogue: Catalogue, entry: Entry, keyed: Digest) -> Facts:
    """All that there is to hold against an earlier form. What an entry leaves to the defaults is left out."""
    own = written(entry)
    facts: Facts = {"entry": {"": _scalars(own, keyed)}}
    facts |= {name: {"": _dump(getattr(own, name), keyed)} for name in _SECTIONS if getattr(own, name)}
    facts["field"] = {
        name: {key: value for key, value in _dump(field, keyed).items() if key not in ("name", "masks")}
        for name, field in own.fields.items()
    }
    facts["check"] = dict(_checks(own, keyed))
    limits = _limits(catalogue, own)
    facts["publication"] = {part: {} for part in limits}
    facts["limits"] = {part: each for part, each in limits.items() if each}
    facts["mask"] = dict(_masks(own))
    facts["codes"] = {
        name: _list(rows, _grade(own, {name}, "codes"), keyed)
        for name, rows in _codes(catalogue, own).items()
    }
    return facts


def _scalars(entry: Entry, keyed: Digest) -> dict[str, Any]:
    names = {"title", "summary", "code", "owner", "subject", "key"}
    return _safe(entry.model_dump(mode="json", include=names, exclude_none=True), keyed)


def _dump(model: BaseModel, keyed: Digest) -> dict[str, Any]:
    said = model.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=_IN_PLAN)
    return _safe(said | {k: v for k, v in model if k in ("kind", "type")}, keyed)


def _safe(said: Mapping[str, Any], keyed: Digest) -> dict[str, Any]:
    return {key: untold(value, keyed) if key in _TEXTS else value for key, value in said.items()}


def untold(value: Any, keyed: Digest) -> dict[str, Any]:
    """What stands for a value that is not told."""
    many = {"count": len(value)} if isinstance(value, list | tuple) else {}
    return {UNTOLD: keyed(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)), **many}


def maybe_told(value: Any, told: bool, keyed: Digest) -> dict[str, Any]:
    """A value that may be told under one grade and not under another: the digest tells that it is the same."""
    return untold(value, keyed) | ({TOLD: value} if told else {})


# ── publications ──────────────────────────────────────────────────────────────────────────────────────────


def _limits(catalogue: Catalogue, entry: Entry) -> dict[str, dict[str, Any]]:
    """What the disclosure gate holds each publication to; nothing where it does not judge it."""
    own, numbers = written(entry), catalogue.numbers.disclosure
    found: dict[str, dict[str, Any]] = {}
    for zone, name, policy in _published(own):
        limits = limits_of(own, zone, name, mask_plan(own, zone, policy), numbers)
        found[f"{zone}/{name}"] = {key: getattr(limits, key) for key in LIMITS} if limits else {}
        if counts_of(own, zone) is not None:
            found[f"{zone}/{name}"] = {"smallest_count": numbers.smallest_count}
    return found


def _published(entry: Entry) -> Iterator[tuple[Zone, str, Policy]]:
    yield from ((zone, name, policy) for zone in ZONES for name, policy in policies(entry, zone).items())


def _masks(entry: Entry) -> Iterator[tuple[str, dict[str, Any]]]:
    for zone, name, policy in _published(entry):
        for field, mask in mask_plan(entry, zone, policy).items():
            said = mask.model_dump(mode="json", exclude_defaults=True) | {"kind": mask.kind}
            yield f"{zone}/{name} {field}", {"mask": said}


# ── checks and code lists ─────────────────────────────────────────────────────────────────────────────────


def _checks(entry: Entry, keyed: Digest) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each check under its name and fields; of several that have the same the later ones are numbered."""
    seen: dict[str, int] = {}
    for check in entry.checks:
        fields = list(_fields_of(check))
        label = f"{check.expect.removeprefix('expect_')}({', '.join(fields)})"
        seen[label] = seen.get(label, 0) + 1
        number = f" #{seen[label]}" if seen[label] > 1 else ""
        told = not fields or _grade(entry, set(fields), "name") <= TOLD_UP_TO
        hidden = [name for name, field in entry.fields.items() if field.grade > TOLD_UP_TO]
        yield label + number, {"on_fail": check.on_fail, **_arguments(check, told, hidden, keyed)}


def _fields_of(check: Check) -> Iterator[str]:
    for key, value in check.arguments.items():
        if key.startswith("column"):
            yield from value if isinstance(value, list | tuple) else [str(value)]


def _arguments(check: Check, told: bool, hidden: Sequence[str], keyed: Digest) -> dict[str, Any]:
    """Without the fields, which its name has. A share (`mostly`) and a name of the catalogue are never a value. Texts
    and lists are told where the check is on a field that may be told, and they name none that may not (`hidden`)."""

    def may(value: Any) -> bool:
        if isinstance(value, int | float):
            return told
        text = json.dumps(value, ensure_ascii=False)
        return told and any(_fields_of(check)) and not any(name in text for name in hidden)

    named = ("mostly", "codes", "dataset", "field")
    plain = json.loads(json.dumps(check.arguments, default=str))
    return {
        key: value if key in named or isinstance(value, bool) else maybe_told(value, may(value), keyed)
        for key, value in plain.items()
        if not key.startswith("column")
    }


def _grade(entry: Entry, names: set[str], key: str) -> int:
    """The highest grade of the fields whose `key` is one of these; the highest of all where there is none."""
    found = [field.grade for field in entry.fields.values() if getattr(field, key) in names]
    return max(found or [field.grade for field in entry.fields.values()])


def _codes(catalogue: Catalogue, entry: Entry) -> dict[str, tuple[Code, ...]]:
    named = [field.codes for field in entry.fields.values()]
    named += [check.arguments.get("codes") for check in entry.checks]
    return {
        name: catalogue.codes[name] for name in sorted({n for n in named if n}) if name in catalogue.codes
    }


def _list(rows: tuple[Code, ...], grade: int, keyed: Digest) -> dict[str, Any]:
    codes = [row.code for row in rows]
    texts = [row.model_dump(mode="json") for row in rows]
    return {
        "codes": maybe_told(codes, grade <= TOLD_UP_TO, keyed),
        "labels": {UNTOLD: untold(texts, keyed)[UNTOLD]},
    }
