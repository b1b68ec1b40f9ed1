"""The exchange's database beside the audit log: whoever runs a database can write a grant into it, and none into the
log. Every step stands in the log before it counts (`exchange.cases`), so that the two say the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from exchange import applications, objections, requests
from exchange.cases import TABLES
from exchange.risks import recent, told
from exchange.state import State
from exchange.steps import Case
from exchange.undone import UNDONE

Entry = Mapping[str, Any]
Step = tuple[str, str, str]
"""What was done, by whom, and the state after it."""


def unlike(state: State, entries: Iterable[Entry], later: Iterable[Entry] = ()) -> Iterator[tuple[str, str]]:
    """Each case, such as `request 12`, and each risk that the database tells otherwise than the log, and how.
    The texts that people wrote are not compared, since the log has digests of them that only the signing key can
    make.

    `entries` are those of the log from its first on. `later` are entries that came while the others were looked at, and
    are read once the database has been: what it has must be in the one or the other, and it must have what is in the
    first."""
    proved = _standing(entries, 0)
    every: list[Case[Any]] = [
        *requests.every(state),
        *objections.every(state),
        *applications.every(state),
    ]
    kept = {(each.kind, each.number): each for each in every}
    risks = {each.number: told(each.finding) for each in recent(state, datetime.min.replace(tzinfo=UTC))}
    came = _standing(later, proved.end)
    undone = proved.undone | came.undone
    before, since = proved.steps(undone), came.steps(undone)
    for which in sorted(kept.keys() | before.keys()):
        wrong = _wrong(kept.get(which), before.get(which, []), since.get(which, []))
        yield from ((f"{which[0]} {which[1]}", each) for each in wrong)
    yield from _risks(risks, proved.risks(undone), came.risks(undone))


@dataclass(frozen=True)
class _Told:
    """Entries of the log about cases and risks, by their index, and where those ended that were looked at."""

    entries: Mapping[int, Entry]
    end: int

    @property
    def undone(self) -> set[int]:
        """The entries of what did not come to be."""
        return {entry["entry"] for entry in self.entries.values() if entry["action"] == UNDONE}

    def steps(self, undone: Container[int]) -> dict[tuple[str, int], list[Entry]]:
        """Those of each case, by its kind and number."""
        found: dict[tuple[str, int], list[Entry]] = defaultdict(list)
        for index, entry in self.entries.items():
            if (kind := entry["action"]) in TABLES and index not in undone:
                found[kind, entry[kind]].append(entry)
        return found

    def risks(self, undone: Container[int]) -> dict[int, Entry]:
        entries = (entry for index, entry in self.entries.items() if index not in undone)
        return {entry["risk"]: entry for entry in entries if entry["action"] == "risk"}


def _standing(entries: Iterable[Entry], start: int) -> _Told:
    about, found, index = {*TABLES, "risk", UNDONE}, {}, start - 1
    for index, entry in enumerate(entries, start):
        if entry.get("action") in about:
            found[index] = entry
    return _Told(found, index + 1)


def _risks(
    kept: Mapping[int, dict[str, Any]], logged: Mapping[int, Entry], since: Mapping[int, Entry]
) -> Iterator[tuple[str, str]]:
    for number in sorted(kept.keys() | logged.keys()):
        entry = logged.get(number) or since.get(number)
        if number not in kept:
            yield f"risk {number}", "it is in the audit log, and the database does not have it"
        elif entry is None:
            yield f"risk {number}", "it is not in the audit log: somebody wrote it into the database"
        elif any(entry.get(name) != value for name, value in kept[number].items()):
            yield f"risk {number}", "it is not what the audit log says"


def _wrong(case: Case[Any] | None, logged: Sequence[Entry], since: Sequence[Entry]) -> Iterator[str]:
    told, told_since = (
        Counter[Step]((each["step"], each["by"], each["state"]) for each in some) for some in (logged, since)
    )
    kept = Counter(_steps(case) if case else [])
    for step, by, _ in (kept - told - told_since).elements():
        yield f"`{step}` by {by} is not in the audit log: somebody wrote it into the database"
    for step, by, _ in (told - kept).elements():
        yield f"`{step}` by {by} is in the audit log, and the database does not have it"
    if case is not None and any(_other(case, each) for each in (*logged, *since)):
        yield "its table, department or scope is not what the audit log says"


def _steps(case: Case[Any]) -> list[Step]:
    return [(each.step, each.by, case.until(place).state) for place, each in enumerate(case.events, 1)]


_TOLD: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "request": requests.scope_told,
    "objection": objections.claim_told,
    "application": applications.undertaking_told,
}
"""What the log has of each kind with its first step, besides names."""


def _other(case: Case[Any], entry: Entry) -> bool:
    terms = case.terms
    if (entry["dataset"], entry["policy"]) != (terms.dataset, terms.policy):
        return True
    if entry["step"] != case.events[0].step:
        return False
    told = {"department": terms.department, **_TOLD[case.kind](terms)}
    return any(name in entry and entry[name] != value for name, value in told.items())
