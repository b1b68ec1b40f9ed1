"""What the authority said of a dataset's contract, in the audit log and nowhere else (Decree 809, Art. 17).

    review    it has reviewed the form that is in use; what was in use before it is answered by that too
    extend    the department has so many working days more to follow a change at its source

Who says it is named by a position or an account, the reason by a document's number: the log is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from lake.auditlog import AuditLog, entries
from lake.contracts import Used

REVIEW: Final = "review"
EXTEND: Final = "extend"


@dataclass(frozen=True)
class Review:
    """Of the form of that number, and by it of those before."""

    dataset: str
    number: int
    at: datetime
    by: str
    document: str


class Clock(NamedTuple):
    """A clock that runs for a dataset (`pipelines.drift.clocks`): what changed, of which name, in which batch first."""

    what: str
    name: str
    batch: str


@dataclass(frozen=True)
class Extension:
    """Working days more, for each of the clocks that ran when it was given."""

    dataset: str
    days: int
    at: datetime
    by: str
    document: str
    clocks: tuple[Clock, ...]


def review(log: AuditLog, used: Used, *, by: str, document: str) -> None:
    """Log that this form was reviewed. LakeError where that cannot be written."""
    said = {"number": used.number, "contract": used.contract, "form": dict(used.form)}
    log.append(_said(REVIEW, used.dataset, by, document) | said)


def extend(
    log: AuditLog, dataset: str, clocks: Sequence[Clock], days: int, *, by: str, document: str
) -> None:
    """Log that these clocks have so many working days more. LakeError where that cannot be written."""
    said = {"days": days, "clocks": [clock._asdict() for clock in clocks]}
    log.append(_said(EXTEND, dataset, by, document) | said)


def _said(action: str, dataset: str, by: str, document: str) -> dict[str, Any]:
    return {"phase": "outcome", "action": action, "dataset": dataset, "by": by, "document": document}


def reviews(lake: str, dataset: str | None = None) -> list[Review]:
    """Every review, of one dataset or of all, the oldest first; from the log, without proving it."""
    return [
        Review(said["dataset"], said["number"], _at(said), said["by"], said["document"])
        for said in _logged(lake, REVIEW, dataset)
    ]


def extensions(lake: str, dataset: str | None = None) -> list[Extension]:
    """Every extension, of one dataset or of all, the oldest first; from the log, without proving it."""
    return [
        Extension(
            *(said["dataset"], said["days"], _at(said), said["by"], said["document"]),
            clocks=tuple(Clock(**clock) for clock in said["clocks"]),
        )
        for said in _logged(lake, EXTEND, dataset)
    ]


def _logged(lake: str, action: str, dataset: str | None) -> Iterator[dict[str, Any]]:
    for _, entry in entries(lake):
        if entry.get("action") == action and dataset in (None, entry["dataset"]):
            yield entry


def _at(said: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(said["at"])
