"""Watching the usage (风险监测; Decree 809, Arts. 25, 27 and 35): which counts of a day somebody should look at.

    volume     rows of one table that an account, or a department by several, read      `rows`, `times`, `least`
    offday     the same on a day without work, by who read it on working days alone     `rows`, `least`
    refused    reads that an account was refused                                        `refusals`, `times`
    strangers  calls by nobody who is known                                             `strangers`, `times`
    joined     datasets whose tokens join, read by one account: more than ever          `joining`
    unused     a grant by which nobody reads                                            `unused`

A day is held against the *greatest* of the `history` days before it, times a number, and a floor below which nothing is
unusual. The greatest, and not the median that holds batches back (`pipelines.merging.brake`): batches are alike, while
reads are mostly small with a whole table now and then, and its monthly copy would be told every month against a median.
Nor mean and deviation (Deequ's OnlineNormal): few days, far from normal, and nobody can check the limit in their head.
What was reached once is no news for `history` days, so that a thing that goes on is told once. The price: who raises a
little every few days is not seen, nor who reads everything within the first days of a grant, which are like a
first delivery. What the platform itself delivers is left out: the subscription says how much that is.

Counting is the database's work; here arrive those alone whose day is over a floor. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa

from exchange.days import Day, Hit, Table
from exchange.desk import Desk
from exchange.narrowing import policies_of
from exchange.process import READABLE, Request
from exchange.requests import every, lasting
from exchange.schema import USAGE
from schemas.joins import joining
from schemas.model import Watch
from schemas.policy import narrowed
from schemas.workdays import day_of, is_working_day

Rule = Literal["volume", "offday", "refused", "strangers", "joined", "unused"]
NAMED: Final = 50
"""Datasets that one finding names at most."""
_DELIVERED: Final = ("push", "file")
_WHO: Final = (USAGE.c.department, USAGE.c.account)
_PLACED: Final = (*_WHO, USAGE.c.dataset, USAGE.c.policy)
_ROWS: Final = sa.func.sum(USAGE.c.rows)


@dataclass(frozen=True)
class Finding:
    """`counted` is what the day had when it was found; `usual` the greatest of the days before; `bound` what it must
    have stayed below. Of a department as a whole `account` is empty, of several policies `policy`. Of a grant that
    nobody uses they are days, and `request` is its number."""

    rule: Rule
    day: date
    department: str
    account: str
    datasets: tuple[str, ...]
    policy: str
    counted: int
    usual: int
    bound: int
    request: int | None = None

    @property
    def key(self) -> str:
        """The same for what is the same: it is found once. Datasets that join, or were tried, may become more within
        the day."""
        table = "" if self.rule in ("joined", "refused") else " ".join(self.datasets)
        named = (self.rule, self.day, self.department, self.account, table, self.policy, self.request or "")
        return "/".join(map(str, named))


def found(desk: Desk, day: date) -> list[Finding]:
    """What is unusual on a day, as far as it is counted."""
    watch = desk.catalogue.numbers.watch
    with desk.state.begin() as connection:
        here = Day(connection, day, watch.history)
        rules = (_volume, _offday, _refused, _strangers)
        of_days = [finding for rule in rules for finding in rule(here, watch)]
        return [*of_days, *_joined(desk, here)]


def _risen(hits: Iterable[Hit], floor: int, times: int, least: int = 0) -> Iterator[tuple[Hit, int]]:
    """Those that are `times` the greatest before, of `least` days or more, or above; each with its bound."""
    for hit in hits:
        bound = max(floor, times * hit.usual)
        if hit.days >= least and hit.counted >= bound:
            yield hit, bound


# ── the rules ─────────────────────────────────────────────────────────────────────────────────────────────


def _volume(here: Day, watch: Watch) -> Iterator[Finding]:
    """Of accounts first, and of departments where it is no one account's doing."""
    floor, asked, told = (watch.rows, watch.times, watch.least), USAGE.c.door.not_in(_DELIVERED), []
    for hit, bound in _risen(here.hits(_PLACED, _ROWS, watch.rows, asked), *floor):
        told.append({name: value for name, value in hit.names.items() if name != "account"})
        yield _finding("volume", here, hit, bound)
    by = (USAGE.c.department, USAGE.c.dataset, USAGE.c.policy)
    whole = here.hits(by, _ROWS, watch.rows, asked, USAGE.c.department != "")
    for hit, bound in _risen(whole, *floor):
        if hit.names not in told:
            yield _finding("volume", here, hit, bound)


def _offday(here: Day, watch: Watch) -> Iterator[Finding]:
    """By who read on working days alone while `least` days without work or more passed. The usage knows days and no
    hours, and needs not know who is a person: what reads at night reads at weekends too."""
    least, offdays = max(1, watch.least), here.offdays
    if is_working_day(here.day) or len(offdays) < least:
        return
    for hit in here.hits(_PLACED, _ROWS, watch.rows, USAGE.c.door.not_in(_DELIVERED)):
        known = hit.first is not None and hit.first.isoformat() < offdays[-least]
        if known and not hit.offdays and hit.days >= least and hit.counted < watch.times * hit.usual:
            yield _finding("offday", here, replace(hit, usual=0), watch.rows)


def _refused(here: Day, watch: Watch) -> Iterator[Finding]:
    refused, of_tables = sa.func.sum(USAGE.c.refused), USAGE.c.dataset != ""
    hits = here.hits(_WHO, refused, watch.refusals, of_tables)
    for hit, bound in _risen(hits, watch.refusals, watch.times):
        yield _finding("refused", here, hit, bound, here.tables(hit, USAGE.c.refused > 0))


def _strangers(here: Day, watch: Watch) -> Iterator[Finding]:
    """Callers who are known, and too quick (`rate`), are none."""
    unknown = (USAGE.c.dataset == "", USAGE.c.purpose != "rate")
    hits = here.hits((USAGE.c.department,), sa.func.sum(USAGE.c.refused), watch.strangers, *unknown)
    for hit, bound in _risen(hits, watch.strangers, watch.times):
        yield _finding("strangers", here, hit, bound)


def _joined(desk: Desk, here: Day) -> Iterator[Finding]:
    """Whether the columns that join were among those read the usage does not say: they could be put together."""
    floor, told = desk.catalogue.numbers.watch.joining, []
    for tables in _that_join(desk, floor):
        where = (sa.tuple_(USAGE.c.dataset, USAGE.c.policy).in_(tables), USAGE.c.reads > 0)
        for hit in here.hits(_WHO, sa.func.count(sa.distinct(USAGE.c.dataset)), floor, *where):
            if hit.counted > hit.usual and hit.names not in told:
                told.append(hit.names)
                yield _finding("joined", here, hit, max(floor, hit.usual + 1), here.tables(hit, *where))


def _that_join(desk: Desk, least: int) -> Iterator[list[Table]]:
    """The tables of each token domain that has columns of so many datasets. Tables of grants are in their recipient's
    own (`schemas.policy.domain_of`)."""
    grants = lasting(desk.state, desk.clock())
    entries = [narrowed(each, policies_of(each, grants)) for each in desk.catalogue.entries.values()]
    seen = set()
    for each in joining(entries):
        tables = frozenset((column.dataset, column.table.rpartition("/")[2]) for column in each.columns)
        if len({dataset for dataset, _ in tables}) >= least and tables not in seen:
            seen.add(tables)
            yield sorted(tables)


def _finding(rule: Rule, here: Day, hit: Hit, bound: int, tables: Sequence[Table] = ()) -> Finding:
    """Of these tables, or of the one that is counted."""
    names = hit.names
    if "dataset" in names:
        tables = [(names["dataset"], names["policy"])]
    policies = {policy for _, policy in tables}
    return Finding(
        rule,
        here.day,
        names["department"],
        names.get("account", ""),
        datasets=tuple(dict.fromkeys(dataset for dataset, _ in tables))[:NAMED],
        policy=policies.pop() if len(policies) == 1 else "",
        counted=hit.counted,
        usual=hit.usual,
        bound=bound,
    )


# ── grants that nobody uses ───────────────────────────────────────────────────────────────────────────────


def unused(desk: Desk) -> list[Finding]:
    """Grants that may be read and were not for `unused` days, or again so long. Its day is the one on which that was
    so."""
    now, days = desk.clock(), desk.catalogue.numbers.watch.unused
    today = day_of(now)
    recent = today - timedelta(days=days)
    grants = [each for each in every(desk.state) if each.state in READABLE and each.terms.until > now]
    since = {each.number: day_of(_readable_since(each)) for each in grants}
    old = [each for each in grants if since[each.number] <= recent]
    last = _last_read(desk, [each.number for each in old], recent)
    ends = [(each, max(since[each.number], last.get(each.number, date.min))) for each in old]
    return [_unused(each, end, today, days) for each, end in ends if end <= recent]


def _readable_since(grant: Request) -> datetime:
    """When the newest step was taken that made it readable."""
    places = range(len(grant.events), 0, -1)
    before = next(place for place in places if grant.until(place).state not in READABLE)
    return grant.events[before].at


def _last_read(desk: Desk, numbers: Sequence[int], recent: date) -> dict[int, date]:
    """The last day on which each was read, where it was; the greatest there is for those that were after `recent`."""
    read = USAGE.c.reads > 0
    of_grants = {f"request {number}": number for number in numbers}
    lately = sa.select(USAGE.c.purpose).distinct().where(USAGE.c.day > recent.isoformat(), read)
    with desk.state.begin() as connection:
        in_use = set(of_grants).intersection(connection.execute(lately).scalars())
        quiet = sorted(set(of_grants) - in_use)
        last = sa.select(USAGE.c.purpose, sa.func.max(USAGE.c.day)).where(USAGE.c.purpose.in_(quiet), read)
        rows = connection.execute(last.group_by(USAGE.c.purpose)).all() if quiet else []
    earlier = {of_grants[purpose]: date.fromisoformat(day) for purpose, day in rows}
    return earlier | {of_grants[purpose]: date.max for purpose in in_use}


def _unused(grant: Request, last: date, today: date, days: int) -> Finding:
    idle = (today - last).days // days * days
    terms = grant.terms
    return Finding(
        "unused",
        last + timedelta(days=idle),
        terms.department,
        "",
        (terms.dataset,),
        terms.policy,
        idle,
        0,
        days,
        grant.number,
    )
