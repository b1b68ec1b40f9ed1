"""Objections (校核、异议) as operators and auditors see them: numbers, names of the catalogue, days and states, and no
word that a person wrote."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exchange.deadlines import clocks
from exchange.objecting import Objection
from exchange.objections import every
from exchange.state import State
from pipelines.context import Context
from schemas.workdays import day_of


@dataclass(frozen=True)
class Objected:
    """One objection. `answer` is `corrected`, `upheld` or empty where there is none; `due` is the last day of the clock
    that runs; `late` is true where the source did not answer in time, or has not yet. Days are ISO 8601."""

    number: int
    dataset: str
    zone: str
    policy: str
    department: str
    provider: str
    state: str
    answer: str
    raised: str
    due: str | None
    late: bool


@dataclass(frozen=True)
class Tally:
    """The objections to one dataset, counted. Answered late and late still both count as `late`; an explanation that
    came late does not."""

    dataset: str
    raised: int
    under_way: int
    late: int
    corrected: int
    upheld: int


def objected(ctx: Context, after: int = 0, *, over: bool = True) -> Iterator[Objected]:
    """Every objection, by number, from behind a number on, and without `over` those alone that somebody has to do with
    still; none where there is no exchange. Busy, while they are read, where its database does not answer."""
    state = State(ctx.settings)
    found = (_of(ctx, each) for each in every(state, after, over=over)) if state.begun else ()
    return (each for each in found if over or each.state != "closed")


def _of(ctx: Context, each: Objection) -> Objected:
    claim, found = each.terms, clocks(each, ctx.catalogue.numbers.exchange, ctx.clock())
    answers = {"correct": "corrected", "uphold": "upheld"}
    given = next((answers[event.step] for event in reversed(each.events) if event.step in answers), "")
    due = next((clock.due for clock in found if clock.done is None), None)
    return Objected(
        number=each.number,
        dataset=claim.dataset,
        zone=claim.zone,
        policy=claim.policy,
        department=claim.department,
        provider=claim.provider,
        state=each.state,
        answer=given,
        raised=day_of(each.events[0].at).isoformat(),
        due=due.isoformat() if due else None,
        late=any(clock.late(ctx.clock()) for clock in found if clock.of == "provider"),
    )


def tallies(found: Iterable[Objected]) -> list[Tally]:
    """By dataset, in the order of their names."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for each in found:
        counted[each.dataset].update(
            raised=1,
            under_way=int(each.state != "closed"),
            late=int(each.late),
            corrected=int(each.answer == "corrected"),
            upheld=int(each.answer == "upheld"),
        )
    return [Tally(dataset, **counts) for dataset, counts in sorted(counted.items())]
