"""The exchange's database beside the audit log: whoever runs a database can write a grant into it, and none into the
log. Every step stands in the log before it counts (`exchange.requests`), so that the two say the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from exchange.process import Request, state_of
from exchange.requests import every, scope_told
from exchange.state import State

Entry = Mapping[str, Any]
Step = tuple[str, str, str]
"""What was done, by whom, and the state after it."""


def unlike(state: State, entries: Iterable[Entry]) -> Iterator[tuple[int, str]]:
    """Each request, by number, that the database tells otherwise than the log, and how. The texts that people wrote are
    not compared, since the log has digests of them that only the signing key can make."""
    logged: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.get("action") == "request":
            logged[entry["request"]].append(entry)
    kept = {each.number: each for each in every(state)}
    for number in sorted(kept.keys() | logged.keys()):
        yield from ((number, wrong) for wrong in _wrong(kept.get(number), logged.get(number, [])))


def _wrong(request: Request | None, logged: Sequence[Entry]) -> Iterator[str]:
    told: list[Step] = [(each["step"], each["by"], each["state"]) for each in logged]
    kept = _steps(request) if request else []
    for step, by, _ in (Counter(kept) - Counter(told)).elements():
        yield f"`{step}` by {by} is not in the audit log: somebody wrote it into the database"
    for step, by, _ in (Counter(told) - Counter(kept)).elements():
        yield f"`{step}` by {by} is in the audit log, and the database does not have it"
    if request is not None and any(_other(request, each) for each in logged):
        yield "its table, department or scope is not what the audit log says"


def _steps(request: Request) -> list[Step]:
    events = request.events
    return [(each.step, each.by, state_of(events[:place])) for place, each in enumerate(events, 1)]


def _other(request: Request, entry: Entry) -> bool:
    terms = request.terms
    if (entry["dataset"], entry["policy"]) != (terms.dataset, terms.policy):
        return True
    if entry["step"] != "draft":
        return False
    told = {"department": terms.department, **scope_told(terms)}
    return any(name in entry and entry[name] != value for name, value in told.items())
