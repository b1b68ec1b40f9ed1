"""The exchange's database beside the audit log: whoever runs a database can write a grant into it, and none into the
log. Every step stands in the log before it counts (`exchange.cases`), so that the two say the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from exchange import applications, objections, requests
from exchange.cases import TABLES
from exchange.risks import recent, told
from exchange.state import State
from exchange.steps import Case

Entry = Mapping[str, Any]
Step = tuple[str, str, str]
"""What was done, by whom, and the state after it."""


def unlike(state: State, entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
    """Each case, such as `request 12`, and each risk that the database tells otherwise than the log, and how.
    The texts that people wrote are not compared, since the log has digests of them that only the signing key can
    make."""
    logged: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    watched: dict[int, Entry] = {}
    for entry in entries:
        if (kind := entry.get("action")) in TABLES:
            logged[kind, entry[kind]].append(entry)
        elif kind == "risk":
            watched[entry["risk"]] = entry
    every: list[Case[Any]] = [
        *requests.every(state),
        *objections.every(state),
        *applications.every(state),
    ]
    kept = {(each.kind, each.number): each for each in every}
    for kind, number in sorted(kept.keys() | logged.keys()):
        case, told = kept.get((kind, number)), logged.get((kind, number), [])
        yield from ((f"{kind} {number}", wrong) for wrong in _wrong(case, told))
    yield from _risks(state, watched)


def _risks(state: State, logged: Mapping[int, Entry]) -> Iterator[tuple[str, str]]:
    kept = {each.number: told(each.finding) for each in recent(state, datetime.min.replace(tzinfo=UTC))}
    for number in sorted(kept.keys() | logged.keys()):
        entry = logged.get(number)
        if number not in kept:
            yield f"risk {number}", "it is in the audit log, and the database does not have it"
        elif entry is None:
            yield f"risk {number}", "it is not in the audit log: somebody wrote it into the database"
        elif any(entry.get(name) != value for name, value in kept[number].items()):
            yield f"risk {number}", "it is not what the audit log says"


def _wrong(case: Case[Any] | None, logged: Sequence[Entry]) -> Iterator[str]:
    told: list[Step] = [(each["step"], each["by"], each["state"]) for each in logged]
    kept = _steps(case) if case else []
    for step, by, _ in (Counter(kept) - Counter(told)).elements():
        yield f"`{step}` by {by} is not in the audit log: somebody wrote it into the database"
    for step, by, _ in (Counter(told) - Counter(kept)).elements():
        yield f"`{step}` by {by} is in the audit log, and the database does not have it"
    if case is not None and any(_other(case, each) for each in logged):
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
