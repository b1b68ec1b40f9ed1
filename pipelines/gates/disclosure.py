"""The disclosure gate: nobody is singled out by what a release shows of persons (GB/T 42460).

For entries with `subject: person`, in the open zone and wherever a share policy asks for it. A record's risk is 1/f, f
the size of its class over the published quasi-identifiers, as they are after masking; of a public release the greatest
must be below 0.05, so that every class has 21 rows or more. In every class a sensitive field has several values (l) and
is spread nearly as in the whole (t). Where the entry says `generalise`, the fields become coarser by as little as will
do, and stay so in later releases. Rows of classes that fail nevertheless are left out, or have cells emptied, up to a
share of the rows; beyond it nothing is published, and the error says which coarser masks would do.

Who has earlier releases can subtract them: the new one is held against every one of them (`earlier`).

Where rows repeat the gate first looks at the distinct ones and how often each comes (`publishing.counting`): if nothing
has to stay out that is all there is to know. Only otherwise does it look at every row.

Aggregates are held to a least count, in a release and between it and every earlier one (`aggregates`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.deletes import NOWHERE
from lake.records import Disclosure
from pipelines.engine import engine
from pipelines.gates import aggregates, cells, earlier
from pipelines.gates.classes import Measure, Places, Release
from pipelines.gates.forms import Shape
from pipelines.gates.lattice import HIDDEN, Lattice, Proposal
from pipelines.gates.limits import Limits, counts_of, limits_of
from pipelines.gates.released import Kept
from pipelines.masks.words import words_of
from schemas.arrow import published_schema
from schemas.errors import DisclosureRisk
from schemas.model import DisclosureNumbers, Entry, Fpe, Generalise, Hmac, Mask, Noise, Zone
from schemas.policy import domain_of
from schemas.rules.masks import weaker
from schemas.settings import Settings

ATTEMPTS = 5
"""Combinations of coarser masks that are tried against the earlier releases."""
Rows = Iterable[pa.RecordBatch]
Plan = Mapping[str, Mask]


@dataclass(frozen=True)
class Judged:
    """What the gate decided: under which masks, which rows stay out and which cells are emptied (places in the masked
    rows), and what it measured, if it had to. `counted` are the rows, where it judged them so."""

    plan: dict[str, Mask]
    record: Disclosure | None = None
    gone: Places = field(default_factory=lambda: NOWHERE)
    emptied: dict[str, Places] = field(default_factory=dict)
    counted: pa.RecordBatch | None = None

    def passed(self, rows: Rows) -> Iterator[pa.RecordBatch]:
        """The rows as they are released. They must come in the order in which they were judged."""
        start = 0
        for batch in rows:
            end = start + batch.num_rows
            emptied = self._emptied(batch, start, end)
            first, last = np.searchsorted(self.gone, (start, end))
            if first == last:
                yield emptied
            else:
                stay = np.ones(batch.num_rows, dtype=np.bool_)
                stay[self.gone[first:last] - start] = False
                yield emptied.filter(pa.array(stay))
            start = end

    def _emptied(self, batch: pa.RecordBatch, start: int, end: int) -> pa.RecordBatch:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name, places in self.emptied.items():
            first, last = np.searchsorted(places, (start, end))
            if first < last:
                empty = np.zeros(batch.num_rows, dtype=np.bool_)
                empty[places[first:last] - start] = True
                none = pa.scalar(None, columns[name].type)
                columns[name] = pc.if_else(pa.array(empty), none, columns[name])
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)

    @property
    def certified(self) -> dict[str, str | int | bool | None] | None:
        """The record as a certificate holds it."""
        if self.record is None:
            return None
        said = self.record.model_dump(exclude={"quasi", "generalised"})
        words = "; ".join(f"{name}: {how}" for name, how in self.record.generalised.items())
        return {**said, "quasi": ", ".join(self.record.quasi), "generalised": words}


@dataclass(frozen=True)
class Opening:
    """A release that is to be judged. `rows` gives the rows masked by a plan, each time in the same order; `counts`
    columns of the curated rows; `counted` the distinct masked rows and how often each comes, or None where that is
    not known; `kept` the releases before it; `key` is the check value of the masking key. After an
    erasure it `must` be released, however many rows stay out: what stands published holds who is erased. Rows that the
    release before left out, `out_before`, may stay out: to refuse would not show them. `secret` is the table's own, by
    which it is settled which rows hide those that are gone."""

    settings: Settings
    numbers: DisclosureNumbers
    entry: Entry
    zone: Zone
    policy: str
    plan: dict[str, Mask]
    rows: Callable[[Plan], Rows]
    counts: Callable[[list[str]], Rows]
    secret: Callable[[], str]
    counted: Callable[[], pa.RecordBatch | None] = lambda: None
    kept: Sequence[Kept] = ()
    key: str = ""
    must: bool = False
    out_before: int = 0

    @property
    def limits(self) -> Limits | None:
        return limits_of(self.entry, self.zone, self.policy, self.plan, self.numbers)

    @property
    def shapes(self) -> dict[str, Shape]:
        return shapes_of(self.entry, self.zone, self.plan, self.limits, self.key)


def shapes_of(entry: Entry, zone: Zone, plan: Plan, limits: Limits | None, key: str) -> dict[str, Shape]:
    """How each column is published, as it is kept with a release."""
    quasi = limits.quasi if limits else ()

    def shape(name: str, mask: Mask) -> Shape:
        keyed = isinstance(mask, Hmac | Fpe)
        return Shape(entry.fields[name], _in_domain(mask, zone, entry), key if keyed else "", name in quasi)

    return {name: shape(name, mask) for name, mask in plan.items()}


def _in_domain(mask: Mask, zone: Zone, entry: Entry) -> Mask:
    """The mask with the domain of an open table's tokens, where it is not `open`: that is what it was, whatever the
    dataset, in releases that say none (decision 34). A share table's own is always the same."""
    if zone != "open" or not isinstance(mask, Hmac | Fpe):
        return mask
    domain = mask.domain or domain_of(zone, entry.id, zone)
    return mask.model_copy(update={"domain": None if domain == "open" else domain})


def generalised(plan: dict[str, Mask], limits: Limits | None, before: Mapping[str, Shape]) -> dict[str, Mask]:
    """The plan with the fields that generalise no finer than they were released before: who has both releases would
    have the finer one."""
    names = [name for name in limits.generalise if name in before and name in plan] if limits else []
    kept = {name: before[name].mask for name in names if isinstance(before[name].mask, Generalise)}
    kept |= {name: HIDDEN for name in names if before[name].mask == HIDDEN}
    coarser = {name: mask for name, mask in kept.items() if not weaker(mask, plan[name])}
    return {**plan, **coarser}


# ── the verdict ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Attempt:
    """One plan tried on all rows: what would stay out, and whether that is within the limits."""

    rows: int
    record: Disclosure
    smallest: int | None
    gone: Places
    emptied: dict[str, Places]
    within: bool


def judge(opening: Opening) -> Judged:
    """What of a release is published, and how; no record where it is not judged.

    DisclosureRisk where a direct identifier is published as it is, or more rows would stay out than may."""
    limits = opening.limits
    if limits is None:
        return _of_aggregates(opening)
    _no_direct(opening.entry, opening.plan)
    with engine(opening.settings) as connection:
        if judged := _at_once(connection, opening, limits):
            return judged
        first = _try(connection, opening, limits)
        if first.within:
            return _judged(opening.plan, first)
        lattice = _lattice(connection, opening, limits)
        most, refused = int(limits.suppress_up_to * first.rows), [lattice.floor]
        while (proposal := lattice.search(most, refused)) and limits.generalise and len(refused) <= ATTEMPTS:
            coarser = replace(opening, plan={**opening.plan, **proposal.masks})
            attempt = _try(connection, coarser, limits_of_plan(coarser))
            if attempt.within:
                return _judged(coarser.plan, attempt)
            refused.append(proposal.height)
        raise _too_many(opening, limits, first, None if limits.generalise else proposal)


def limits_of_plan(opening: Opening) -> Limits:
    """The limits of a release that is judged."""
    if (limits := opening.limits) is None:
        raise ValueError(f"{opening.entry.id} is not judged")
    return limits


def _judged(plan: dict[str, Mask], attempt: _Attempt) -> Judged:
    return Judged(dict(plan), attempt.record, attempt.gone, attempt.emptied)


def _no_direct(entry: Entry, plan: Plan) -> None:
    for name, mask in plan.items():
        if entry.fields[name].risk == "direct" and mask.kind == "keep":
            raise DisclosureRisk(
                f"{name} identifies a person directly and would be opened as it is: level 1 of GB/T 42460",
                dataset=entry.id,
                field=name,
                rule="GB/T 42460",
                expected="a mask, or the field left out",
                next_step=f"see `open:` in {entry.file}",
            )


def _of_aggregates(opening: Opening) -> Judged:
    """Aggregates that say how many persons a row is made of."""
    entry, counts = opening.entry, counts_of(opening.entry, opening.zone)
    if counts is None:
        return Judged(opening.plan)
    new = aggregates.Aggregates(entry, opening.shapes, opening.numbers.smallest_count)
    with engine(opening.settings) as connection:
        changed = aggregates.changed(connection, new, lambda: opening.rows(opening.plan), opening.kept)
    noised = [name for name in counts if isinstance(opening.plan.get(name), Noise)]
    true = [name for name in counts if name not in noised]
    sources: list[aggregates.Source] = [
        (lambda: opening.counts(true), true),
        (lambda: opening.rows(opening.plan), noised),
    ]
    found = aggregates.counted(sources, new.smallest, changed)
    out = np.union1d(found.places, changed)
    said = entry.open.disclosure
    cells_only = said is not None and said.suppress == "cells" and set(counts) <= set(opening.plan)
    hidden = dict.fromkeys(new.telling, changed)
    few = {
        name: np.union1d(found.few.get(name, NOWHERE), hidden.get(name, NOWHERE))
        for name in {*found.few, *hidden}
    }
    epsilon = sum(mask.epsilon for mask in opening.plan.values() if isinstance(mask, Noise))
    gone = NOWHERE if cells_only else out
    record = Disclosure(
        k=found.least,
        risk="0",
        mean_risk="0",
        level=4,
        small=len(found.places),
        suppressed=len(gone),
        emptied=len(out) - len(gone),
        compared=len(opening.kept),
        epsilon=f"{epsilon:g}" if epsilon else None,
        budget=f"{entry.open.budget:g}" if epsilon and entry.open.budget else None,
    )
    return Judged(opening.plan, record, gone, few if cells_only else {})


def _at_once(connection: duckdb.DuckDBPyConnection, opening: Opening, limits: Limits) -> Judged | None:
    """The verdict by distinct rows; None where something may have to stay out, or they are not known."""
    counted = opening.counted()
    if counted is None:
        return None
    release = _release(connection, opening, limits, counted=True)
    release.load([counted])
    if release.small():
        return None
    held = earlier.prepare(release, list(opening.kept), opening.shapes)
    if any(earlier.differs(release, each) for each in held):
        return None
    left = release.measure()
    if limits.risk(left.k, _mean(left)) >= limits.below:
        return None
    record = _record(opening, limits, left, small=0, gone=0, touched=0, departed=0)
    return Judged(dict(opening.plan), record, counted=counted)


# ── one plan ──────────────────────────────────────────────────────────────────────────────────────────────


def _release(
    connection: duckdb.DuckDBPyConnection, opening: Opening, limits: Limits, *, counted: bool = False
) -> Release:
    schema = published_schema(opening.entry, opening.plan)
    tokens = [name for name, mask in opening.plan.items() if isinstance(mask, Hmac)]
    return Release(connection, schema, limits, tokens, counted=counted)


def _try(connection: duckdb.DuckDBPyConnection, opening: Opening, limits: Limits) -> _Attempt:
    release = _release(connection, opening, limits)
    release.load(opening.rows(opening.plan))
    release.count_combinations()
    before, small = release.measure().k, release.small()
    emptied = limits.suppress == "cells" and cells.empty(release)
    held = earlier.prepare(release, list(opening.kept), opening.shapes)
    _take_out(release, held, opening.secret)
    departed = max((earlier.departed(release, each) for each in held), default=0)
    touched = cells.rows(release) if emptied else 0
    left = release.measure()
    record = _record(
        opening, limits, left, small=small, gone=release.out(), touched=touched, departed=departed
    )
    most = max(limits.suppress_up_to * release.rows, opening.out_before)
    within = (opening.must or release.out() + touched + departed <= most) and limits.risk(
        left.k, _mean(left)
    ) < limits.below
    places = cells.places(release) if emptied else {}
    return _Attempt(release.rows, record, before, release.gone(), places, within)


def _take_out(release: Release, held: list[earlier.Earlier], secret: Callable[[], str]) -> None:
    """Until nothing fails any more. Each round only takes out, so it ends: with nothing left at the latest."""
    before = -1
    while before != release.out():
        before = release.out()
        release.take_out_failing()
        for each in held:
            earlier.wait(release, each)
        if before == release.out():
            for each in held:
                earlier.hide(release, each, secret())


def _mean(left: Measure) -> float:
    return left.classes / left.rows if left.rows else 0.0


def _record(
    opening: Opening, limits: Limits, left: Measure, *, small: int, gone: int, touched: int, departed: int
) -> Disclosure:
    """Level 3: quasi-identifiers only, and the risk is below the limit. Above it nothing is published at all."""
    base = {name: mask for name, mask in opening.plan.items() if name in limits.generalise}
    return Disclosure(
        release=limits.release,
        quasi=limits.quasi,
        k=left.k,
        classes=left.classes,
        risk=f"{limits.risk(left.k, _mean(left)):.4f}".replace("0.0000", "0"),
        mean_risk=f"{_mean(left):.4f}" if left.rows else "0",
        level=3,
        l=left.l,
        t=None if left.t is None else f"{left.t:.4f}",
        small=small,
        suppressed=gone,
        emptied=touched,
        departed=departed,
        compared=len(opening.kept),
        generalised={name: words_of(mask)[1] for name, mask in base.items() if mask.kind != "keep"},
    )


# ── what would do ─────────────────────────────────────────────────────────────────────────────────────────


def _lattice(connection: duckdb.DuckDBPyConnection, opening: Opening, limits: Limits) -> Lattice:
    """The coarser masks that may be taken; where the entry asks for none, those that could be written into it."""
    names = [name for name in limits.quasi if not limits.generalise or name in limits.generalise]
    return Lattice(connection, {name: opening.shapes[name] for name in names}, limits)


def _too_many(opening: Opening, limits: Limits, first: _Attempt, proposal: Proposal | None) -> DisclosureRisk:
    entry, record = opening.entry, first.record
    asked = f"k {limits.k}, l {limits.l}, t {limits.t:g}"
    told = [f"k is {first.smallest} over {', '.join(limits.quasi) or 'no quasi-identifier'}"]
    told.append(f"{record.small} of {first.rows} rows are in classes that fail ({asked})")
    if record.for_earlier:
        told.append(
            f"{record.for_earlier} more would stand out against an earlier release, or hide those who would"
        )
    if record.departed:
        told.append(f"{record.departed} that an earlier release had can be told by their absence")
    where = "open" if opening.zone == "open" else f"share.policies.{opening.policy}"
    return DisclosureRisk(
        f"the {opening.zone} release would single persons out and was not published: {'; '.join(told)}",
        dataset=entry.id,
        rule=f"{limits.release} release, risk below {limits.below:g} (GB/T 42460)",
        expected=f"at most {limits.suppress_up_to:.0%} of the rows left out (`{where}.disclosure.suppress_up_to`)",
        next_step=_step(entry, where, limits, first, proposal),
    )


def _step(entry: Entry, where: str, limits: Limits, first: _Attempt, proposal: Proposal | None) -> str:
    if first.record.small <= limits.suppress_up_to * first.rows:
        return f"wait until more rows change together, or raise `{where}.disclosure.suppress_up_to`"
    if proposal and proposal.masks:
        return (
            f"write `{where}.mask: {proposal}` in {entry.file} (drop: leave the field out of `fields`), or let "
            f"`{where}.disclosure.generalise: auto` do it: {proposal.suppressed} rows would stay out, and "
            f"{proposal.kept:.0%} of the columns' information would stay"
        )
    return f"wait until a class has {limits.k} rows, or close it (`{where.split('.', maxsplit=1)[0]}.type: none`)"
