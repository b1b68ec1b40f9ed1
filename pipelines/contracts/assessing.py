"""Whether what was assessed before a dataset was catalogued covers it as it is now (Decree 809, Art. 13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from lake.contracts import Used
from schemas.model import Assessed
from schemas.workdays import day_of

_WORDS: Final = {
    "secrecy": ("保密审查", "secrecy review"),
    "impact": ("个人信息保护影响评估", "personal-information impact assessment"),
}


@dataclass(frozen=True)
class Outdated:
    """An assessment that knew nothing of a change: of which kind and day, and the form with which the change came."""

    kind: str
    day: date
    change: Used

    @property
    def words(self) -> tuple[str, str]:
        """In Chinese and in English."""
        (zh, en), number = _WORDS[self.kind], self.change.number
        return (
            f"{zh}（{self.day}）早于 #{number} 的变更，应重新评估",
            f"changed since it was assessed: the {en} of {self.day} does not cover the change #{number}",
        )


def outdated(history: Sequence[Used]) -> list[Outdated]:
    """Of one dataset's forms, the newest first: what the newest rests on and the last change that protects less, or
    collects more of persons, has outrun.

    An assessment comes before the change that it is about. So one counts that is of the day of the change or later, and
    one that stood in the entry when the change came and is newer than what stood there before."""
    changed = next((i for i, used in enumerate(history) if any(c.reassess for c in used.changes)), None)
    if changed is None:
        return []
    before = history[changed + 1].assessed if changed + 1 < len(history) else None
    found = []
    for kind in _WORDS:
        day = _day(history[0].assessed, kind)
        if day is not None and not _covers(day, history[changed], _day(before, kind)):
            found.append(Outdated(kind, day, history[changed]))
    return found


def _covers(day: date, change: Used, before: date | None) -> bool:
    came_with_it = change.assessed is not None and (before is None or day > before)
    return came_with_it or day >= day_of(change.since)


def _day(assessed: Assessed | None, kind: str) -> date | None:
    document = getattr(assessed, kind, None)
    return document.day if document else None
