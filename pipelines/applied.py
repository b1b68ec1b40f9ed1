"""Applications for what is opened on conditions (开放申请) as operators and auditors see them: numbers, names of the
catalogue, days and states, and no word that a person wrote."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exchange.applications import every
from exchange.deadlines import clocks
from exchange.opening import Application
from exchange.state import State
from pipelines.context import Context
from schemas.workdays import day_of


@dataclass(frozen=True)
class Applied:
    """One application. `answer` is `granted`, `declined` or empty where there was none yet, whatever became of it
    afterwards; `due` is the last day of the clock that runs; `late` is true where the provider did not answer in time,
    or has not yet. `until` is the last day that is applied for. Days are ISO 8601."""

    number: int
    dataset: str
    provider: str
    use: str
    state: str
    answer: str
    applied: str
    until: str
    due: str | None
    late: bool


@dataclass(frozen=True)
class Tally:
    """The applications for one dataset, counted. Answered late and late still both count as `late`."""

    dataset: str
    applied: int
    under_way: int
    granted: int
    declined: int
    late: int


def applied(ctx: Context, after: int = 0, *, over: bool = True) -> Iterator[Applied]:
    """Every application, by number, from behind a number on, and without `over` those alone that somebody has to do
    with still; none where there is no exchange. Busy, while they are read, where its database does not answer."""
    state = State(ctx.settings)
    found = (_of(ctx, each) for each in every(state, after, over=over)) if state.begun else ()
    return (each for each in found if over or each.state not in ("ended", "declined"))


def _of(ctx: Context, each: Application) -> Applied:
    terms, found = each.terms, clocks(each, ctx.catalogue.numbers.exchange, ctx.clock())
    newest_first = (each.until(place).state for place in range(len(each.events), 0, -1))
    due = next((clock.due for clock in found if clock.done is None), None)
    return Applied(
        number=each.number,
        dataset=terms.dataset,
        provider=terms.provider,
        use=terms.use,
        state=each.state,
        answer=next((state for state in newest_first if state in ("granted", "declined")), ""),
        applied=day_of(each.events[0].at).isoformat(),
        until=day_of(terms.until).isoformat(),
        due=due.isoformat() if due else None,
        late=any(clock.late(ctx.clock()) for clock in found if clock.of == "provider"),
    )


def tallies(found: Iterable[Applied]) -> list[Tally]:
    """By dataset, in the order of their names. Under way is what nobody has answered yet, or the authority is to
    decide."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for each in found:
        counted[each.dataset].update(
            applied=1,
            under_way=int(each.state in _UNDER_WAY),
            granted=int(each.answer == "granted"),
            declined=int(each.answer == "declined"),
            late=int(each.late),
        )
    return [Tally(dataset, **counts) for dataset, counts in sorted(counted.items())]


_UNDER_WAY = frozenset({"submitted", "incomplete", "proposed", "referred"})
