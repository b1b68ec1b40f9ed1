"""Each department's part in collecting, sharing and opening (评价; Nanjing's Decree 329, Art. 6): indicators A/B, as
those of quality are, over the same facts.

    collected    datasets that a schedule collects: those whose newest data is not late          now
    quality      checks of the newest verdicts: what passed them                                 now
    set_aside    rows in quarantine: those with which nobody is late                              now
    followed     changes at sources that the catalogue is to follow: those in time               now
    opened       datasets that are opened: those of which something was published                now
    replied      share requests to it: answered in time                                          in `WITHIN`
    delivered    grants: the data provided in time                                               in `WITHIN`
    verified     objections to its data: answered in time                                        in `WITHIN`
    answered     applications for what it opens on conditions: answered in time                  in `WITHIN`
    disposed     its own grants that have ended: what became of the data told in time            in `WITHIN`

A clock counts once it was met, or once its last day has passed: what the other side withdrew in time is nobody's
merit, however often it is asked and withdrawn. There is no total: neither the decree nor the
standard has weights, and a mean of unlike things would hide the one that needs work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final, Literal, get_args

from exchange import applications, objections, requests
from exchange.deadlines import Clock, clocks
from exchange.errors import Busy
from exchange.state import State
from exchange.steps import Case
from pipelines.context import Context
from pipelines.report.facts import DatasetFacts, Facts, Indicator

WITHIN: Final = timedelta(days=365)
"""Clocks that began earlier are not counted any more."""
Name = Literal[
    "collected",
    "quality",
    "set_aside",
    "followed",
    "opened",
    "replied",
    "delivered",
    "verified",
    "answered",
    "disposed",
]
NAMES: Final[tuple[Name, ...]] = get_args(Name)
_OF_CLOCKS: Final[Mapping[str, Name]] = {
    "reply": "replied",
    "deliver": "delivered",
    "verify": "verified",
    "answer": "answered",
    "dispose": "disposed",
}
_Counted = tuple[str, Name, Indicator]
"""Of a department, what, and how much of it."""


@dataclass(frozen=True)
class Department:
    """`datasets` are how many it is the source of; an indicator that counts nothing has no share."""

    name: str
    datasets: int
    indicators: Mapping[str, Indicator]

    def as_json(self) -> dict[str, Any]:
        """As JSON tells it: of each indicator A, B and A/B."""
        counts = {
            name: {"passed": each.passed, "evaluated": each.evaluated, "share": each.share}
            for name, each in self.indicators.items()
        }
        return {"department": self.name, "datasets": self.datasets, **counts}


def departments(ctx: Context, facts: Facts) -> list[Department]:
    """Every department that is a source or had anything to do in time, by name. Where the exchange's database does not
    answer, what it counts has no share."""
    found: dict[str, dict[str, Indicator]] = defaultdict(lambda: dict.fromkeys(NAMES, Indicator()))
    datasets: dict[str, int] = defaultdict(int)
    for dataset in facts.datasets:
        datasets[dataset.entry.owner] += 1
    for name, what, counted in (*_of_data(facts), *_of_cases(ctx)):
        found[name][what] += counted
    return [
        Department(name, datasets[name], found[name])
        for name in sorted(found.keys() | datasets.keys())
        if name
    ]


# ── the data ──────────────────────────────────────────────────────────────────────────────────────────────


def _of_data(facts: Facts) -> Iterator[_Counted]:
    for dataset in facts.datasets:
        yield from ((dataset.entry.owner, *each) for each in _of_dataset(dataset))
    for load in facts.loads:
        rows = load.rows.total()
        yield load.department, "set_aside", Indicator(rows - load.overdue, rows)
    for clock in facts.unfollowed:
        yield clock.owner, "followed", Indicator(int(not clock.late), 1)


def _of_dataset(dataset: DatasetFacts) -> Iterator[tuple[Name, Indicator]]:
    if dataset.entry.schedule is not None:
        yield "collected", Indicator(int(dataset.late is None), 1)
    if dataset.checked:
        yield "quality", dataset.checked.score
    if dataset.entry.open.type != "none":
        published = any(each.zone == "open" for each in dataset.publications)
        yield "opened", Indicator(int(published), 1)


# ── the cases ─────────────────────────────────────────────────────────────────────────────────────────────


def _of_cases(ctx: Context) -> Iterable[_Counted]:
    """Added up, so that it does not grow with the cases; nothing where not all of them were read."""
    found: dict[tuple[str, Name], Indicator] = defaultdict(Indicator)
    try:
        for whose, what, counted in _clocked(ctx):
            found[whose, what] += counted
    except Busy:
        return []
    return [(*key, counted) for key, counted in found.items()]


def _clocked(ctx: Context) -> Iterator[_Counted]:
    numbers, now = ctx.catalogue.numbers.exchange, ctx.clock()
    for case in _cases(State(ctx.settings)):
        whose = {"provider": case.terms.provider, "requester": case.terms.department}
        for clock in clocks(case, numbers, now):
            what = _OF_CLOCKS.get(clock.name)
            if what and clock.since > now - WITHIN and _counts(clock, now):
                yield whose[clock.of], what, _in_time(clock, ctx)


def _counts(clock: Clock, now: datetime) -> bool:
    return clock.late(now) or (clock.done is not None and clock.by == clock.of)


def _in_time(clock: Clock, ctx: Context) -> Indicator:
    return Indicator(int(not clock.late(ctx.clock())), 1)


def _cases(state: State) -> Iterable[Case[Any]]:
    return (
        chain(requests.every(state), objections.every(state), applications.every(state))
        if state.begun
        else ()
    )
