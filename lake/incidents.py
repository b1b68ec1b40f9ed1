"""The register of security incidents (安全事件台账; Decree 809, Art. 35): each step is written once, logged, and never
changed, but for texts that an erasure takes out.

    incidents/00001/00001.json     the opening: how grave, what it concerns, what is known of it
                    00002.json …   what was found and done, to whom it was reported, how it was closed

    log: attempt ── JSON ── log: outcome

It lies in the lake, and in no database: a city that runs no exchange has incidents too. The log says who did what,
when, and of which datasets, accounts, grants and risks; the texts that people wrote stand in the JSON alone, of which
the log has a digest. They are short and easily tried, so the digest is of a salt too, a keyed one by the signing key.
Here is what an incident is and how it is read; `lake.registering` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lake import store
from lake.certificates import digest_of
from lake.signing import canonical
from schemas.errors import LakeError

FOLDER: Final = "incidents"
ACTION: Final = "incident"
Kind = Literal["open", "note", "report", "close"]
Did = Literal["", "found", "contained", "mended"]


@dataclass(frozen=True)
class About:
    """What an incident concerns; nothing is named where it is the platform itself, as of a key."""

    datasets: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    requests: tuple[int, ...] = ()
    risks: tuple[int, ...] = ()

    def __or__(self, other: About) -> About:
        both = {name: (*mine, *asdict(other)[name]) for name, mine in asdict(self).items()}
        return About(**{name: tuple(dict.fromkeys(all_of_it)) for name, all_of_it in both.items()})

    def __bool__(self) -> bool:
        return self != About()


class Said(BaseModel):
    """What somebody says of an incident. `when` is when it happened: of an opening when it was noticed. `since` is when
    it began, if that is known; `level` one of the policy's, where it is set or changed; `to` whom it was reported to.
    `reopens`: the incident was closed, and is not any more. `texts` are what people wrote, by what they are about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    by: str
    when: datetime
    since: datetime | None = None
    level: str = ""
    datasets: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    requests: tuple[int, ...] = ()
    risks: tuple[int, ...] = ()
    did: Did = ""
    to: str = ""
    document: str = ""
    reopens: bool = False
    texts: Mapping[str, str] = {}

    @property
    def about(self) -> About:
        return About(self.datasets, self.accounts, self.requests, self.risks)


class Step(Said):
    """A step as it is kept: of which incident, its number among the steps, written at which moment. `entry` is its line
    in the audit log; `erasure` the one that took texts out of it."""

    incident: int
    place: int
    at: datetime
    salt: str
    entry: int
    erasure: str = ""


@dataclass(frozen=True)
class Incident:
    """`steps` are in their order."""

    number: int
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def noticed(self) -> datetime:
        return self.steps[0].when

    @property
    def level(self) -> str:
        return next(each.level for each in reversed(self.steps) if each.level)

    @property
    def about(self) -> About:
        found = About()
        for each in self.steps:
            found |= each.about
        return found

    @property
    def closed(self) -> Step | None:
        """The step that closed it; None while it is open."""
        turns = [each for each in self.steps if each.kind == "close" or each.reopens]
        return turns[-1] if turns and turns[-1].kind == "close" else None


# ── the rules ─────────────────────────────────────────────────────────────────────────────────────────────


def unlike(steps: Sequence[Step]) -> str:
    """Why these are not the steps of one incident; empty where they are. A report may follow the closing, as the last
    one does; whatever else does says that it opens the incident again."""
    closed = False
    for place, each in enumerate(steps, 1):
        if each.place != place or (each.kind == "open") != (place == 1):
            return "its steps are not those of one incident, from its opening on"
        if place == 1 and not each.level:
            return "its opening has no level"
        if each.when > each.at or each.when < steps[0].when or (each.since or each.when) > each.when:
            return "a step is later than the moment at which it was written down, or before the incident was noticed"
        if each.reopens and not closed:
            return "it is open, and need not be opened again"
        if closed and each.kind != "report" and not each.reopens:
            return "it is closed: only a note that opens it again, and says why, may follow"
        closed = each.kind == "close" or (closed and not each.reopens)
    return ""


def told(step: Step) -> dict[str, Any]:
    """What the log has of a step, but for the phase: all but the texts, and of those the digest."""
    hidden = {"at", "texts", "salt", "entry"}
    sealed = {"at": step.at.isoformat(), "salt": step.salt, "texts": dict(step.texts)}
    return step.model_dump(mode="json", exclude=hidden, exclude_defaults=True) | {
        "action": ACTION,
        "record": path_of(step.incident, step.place),
        "texts": digest_of(canonical(sealed)),
    }


def is_of(step: Step, entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the log tells of this step, as it is."""
    return {**entry, "at": None, "phase": None} == {**told(step), "at": None, "phase": None}


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────


def path_of(number: int, place: int) -> str:
    """Where a step lies, below the lake's root."""
    return f"{FOLDER}/{number:05d}/{place:05d}.json"


def encoded(step: Step) -> bytes:
    """The one form of a step's JSON."""
    return step.model_dump_json(indent=1).encode()


def numbers(lake: str) -> list[int]:
    """Of every incident, in their order."""
    names = [uri.rsplit("/", 1)[-1] for uri in store.list_folders(store.join(lake, FOLDER))]
    return sorted(int(name) for name in names if name.isdecimal())


def incidents(lake: str) -> list[Incident]:
    """Every incident, the newest first; as they lie there, without proving them. LakeError where one cannot be read."""
    found = [(number, _steps(lake, number)) for number in reversed(numbers(lake))]
    return [Incident(number, tuple(steps)) for number, steps in found if steps]


def readable(lake: str) -> tuple[list[Incident], list[int]]:
    """The incidents that can be read, the newest first, and the numbers of the others: for who has more to do than to
    tell of them."""
    found, damaged = [], []
    for number in reversed(numbers(lake)):
        try:
            steps = tuple(_steps(lake, number))
        except LakeError:
            damaged.append(number)
        else:
            found += [Incident(number, steps)] if steps else []
    return found, damaged


def incident(lake: str, number: int) -> Incident:
    """LakeError where there is no such one."""
    steps = _steps(lake, number)
    if not steps:
        known = "xuanwu incident list --all tells which there are"
        raise LakeError(f"there is no incident {number}", next_step=known)
    return Incident(number, tuple(steps))


def _steps(lake: str, number: int) -> list[Step]:
    return [_read(uri) for uri in files_of(lake, number)]


def files_of(lake: str, number: int) -> list[str]:
    """The files of its steps, in their order; none where there is no such incident."""
    return store.list_files(store.join(lake, FOLDER, f"{number:05d}"))


def _read(uri: str) -> Step:
    try:
        return Step.model_validate(json.loads(store.read_bytes(uri)))
    except (ValidationError, ValueError):
        raise LakeError(
            "a step of an incident cannot be read", file=uri, next_step="run `xuanwu verify`"
        ) from None
