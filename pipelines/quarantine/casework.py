"""Rows set aside as work to be done: in which state each is, whose it is, and by when something is due.

    open         nobody has it; to be assigned within `quarantine.assign_within` working days of policy.yaml
    assigned     a department has it; to be corrected or dismissed within `correct_within` (Decree 809, Art. 26)
    corrected    a correction waits for its batch to be run again
    dismissed    it stays out, for a reason

The state follows from the acts on the row (`lake.handling`), the last one first. A corrected row that was set aside
again has gone back to whoever corrected it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake import handling, quarantine
from lake.handling import Act
from pipelines.context import Context
from pipelines.quarantine.corrections import applied
from schemas.buffers import Places
from schemas.model import Quarantine
from schemas.workdays import HERE, day_of, deadline, waited

State = Literal["open", "assigned", "corrected", "dismissed"]
STATES: Final[tuple[State, ...]] = get_args(State)
_STATE_OF: Final[Mapping[str, State]] = {
    "assign": "assigned",
    "correct": "corrected",
    "dismiss": "dismissed",
}
_CITY: Final = pa.timestamp("us", "Asia/Shanghai")


@dataclass(frozen=True)
class Case:
    """Rows of one batch that are in one state for one reason. `since` is the city's day on which the clock of the
    oldest began, `due` its last day in time (None: no clock runs), `overdue` how many are beyond theirs. A row that
    broke two rules is in two cases; where `field` and `rule` are None, in one."""

    dataset: str
    batch: str
    stage: str
    field: str | None
    rule: str | None
    state: State
    department: str
    rows: int
    since: date
    due: date | None
    overdue: int

    def age(self, now: datetime) -> int:
        """Working days since the clock began."""
        return waited(_noon(self.since), now)


# ── states ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Handled:
    """The acts on one batch, and of each file the rows that they name, rising, with the last act's place. `applied` are
    the corrections that the batch was run again with."""

    acts: Sequence[Act]
    last: Mapping[str, tuple[Places, Places]]
    applied: frozenset[str]

    def of(self, rows: pa.RecordBatch) -> Places:
        """The place of the last act on each row; -1 where there is none."""
        found = np.full(rows.num_rows, -1, np.int64)
        for file in pc.unique(rows["file"]).to_pylist() if self.last else ():
            if file in self.last:
                numbers, acts = self.last[file]
                here = np.flatnonzero(pc.equal(rows["file"], file).to_numpy(zero_copy_only=False))
                own = rows["row"].to_numpy(zero_copy_only=False)[here]
                at = np.minimum(np.searchsorted(numbers, own), len(numbers) - 1)
                found[here] = np.where(numbers[at] == own, acts[at], -1)
        return found


def handled(ctx: Context, dataset: str, batch: str) -> Handled:
    """Read the acts on a batch. An export changes nothing about its rows."""
    acts = [act for act in handling.acts(ctx.settings, dataset, batch) if act.kind in _STATE_OF]
    parts: dict[str, list[tuple[Places, Places]]] = defaultdict(list)
    for place, act in enumerate(acts):
        rows = handling.rows_of(ctx.settings, act)
        for file in pc.unique(rows["file"]).to_pylist():
            numbers = np.unique(rows.filter(pc.equal(rows["file"], file))["row"].to_numpy())
            parts[file].append((numbers, np.full(len(numbers), place, np.int64)))
    laid = applied(ctx, dataset, batch) if any(act.kind == "correct" for act in acts) else frozenset[str]()
    return Handled(acts, {file: _latest(each) for file, each in parts.items()}, laid)


def _latest(parts: list[tuple[Places, Places]]) -> tuple[Places, Places]:
    rows, acts = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.lexsort((-acts, rows))
    numbers, first = np.unique(rows[order], return_index=True)
    return numbers, acts[order][first]


@dataclass(frozen=True)
class Stood:
    """Rows of one batch with what is done about them: `rows` as `lake.quarantine.places` gives them, `state`,
    `department` ('' where nobody has it) and `clock`, the moment from which time counts."""

    batch: str
    rows: pa.RecordBatch
    state: pa.Array
    department: pa.Array
    clock: pa.Array

    def filter(self, mask: pa.Array) -> Stood:
        parts = (each.filter(mask) for each in (self.rows, self.state, self.department, self.clock))
        return Stood(self.batch, *parts)


def stood(ctx: Context, dataset: str, batch: str | None = None) -> Iterator[Stood]:
    """Stream the rows set aside of a dataset, or of one of its batches, with their states."""
    known: dict[str, Handled] = {}
    for part in quarantine.places(ctx.tables, dataset):
        for name in pc.unique(part["batch"]).to_pylist():
            if batch in (None, name):
                if name not in known:
                    known[name] = handled(ctx, dataset, name)
                yield _stood(part.filter(pc.equal(part["batch"], name)), name, known[name])


def _stood(rows: pa.RecordBatch, batch: str, known: Handled) -> Stood:
    """A row that was set aside with its correction has gone back, and its clock begins anew."""
    last = known.of(rows)
    acts = [*known.acts, None]  # place -1: none
    place = pa.array(np.where(last < 0, len(acts) - 1, last))
    again = pa.array([act is not None and act.name in known.applied for act in acts]).take(place)
    begun = pa.array([act.at if act else None for act in acts], quarantine.SINCE.type).take(place)
    states = pa.array([_STATE_OF[act.kind] if act else "open" for act in acts]).take(place)
    return Stood(
        batch,
        rows,
        pc.if_else(again, "assigned", states),
        pa.array([(act.department or "") if act else "" for act in acts]).take(place),
        pc.if_else(again, rows["at"], pc.coalesce(begun, rows["since"])),
    )


# ── cases ─────────────────────────────────────────────────────────────────────────────────────────────────


def cases(ctx: Context, dataset: str, *, by_rule: bool = True) -> list[Case]:
    """Every case of a dataset, the oldest batch first; by rule, or each row once."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for each in stood(ctx, dataset):
        counts.update(_counted(each, by_rule=by_rule))
    now, numbers = ctx.clock(), ctx.catalogue.numbers.quarantine
    groups: dict[tuple[Any, ...], list[tuple[date, int]]] = defaultdict(list)
    for (*key, day), rows in counts.items():
        groups[tuple(key)].append((day, rows))
    found = [_case(dataset, key, days, numbers, now) for key, days in groups.items()]
    return sorted(found, key=lambda c: (c.batch, c.stage, c.field or "", c.rule or "", c.state, c.department))


def _counted(part: Stood, *, by_rule: bool) -> dict[tuple[Any, ...], int]:
    """Rows by batch, stage, field, rule, state, department and the city's day on which the clock began."""
    failures = part.rows["failures"].flatten()
    every = pa.array(np.arange(part.rows.num_rows))
    parents = pc.list_parent_indices(part.rows["failures"]) if by_rule else every
    nothing = pa.nulls(part.rows.num_rows, pa.string())
    day = pc.local_timestamp(part.clock.cast(_CITY)).cast(pa.date32(), safe=False)
    columns = {
        "batch": part.rows["batch"].take(parents),
        "stage": part.rows["stage"].take(parents),
        "field": pc.fill_null(failures.field("field"), "") if by_rule else nothing,
        "rule": failures.field("rule") if by_rule else nothing,
        "state": part.state.take(parents),
        "department": part.department.take(parents),
        "day": day.take(parents),
    }
    groups = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")]).to_pylist()
    return {tuple(group[name] for name in columns): group["count_all"] for group in groups}


def _case(
    dataset: str, key: tuple[Any, ...], days: list[tuple[date, int]], numbers: Quarantine, now: datetime
) -> Case:
    batch, stage, name, rule, state, department = key
    oldest, today = min(day for day, _ in days), day_of(now)
    late = sum(rows for day, rows in days if (last := due(state, day, numbers)) and today > last)
    rows = sum(rows for _, rows in days)
    last = due(state, oldest, numbers)
    return Case(dataset, batch, stage, name, rule, state, department, rows, oldest, last, late)


def due(state: State, since: date, numbers: Quarantine) -> date | None:
    """The last day in time; None for what waits for no person."""
    if state not in ("open", "assigned"):
        return None
    days = numbers.assign_within if state == "open" else numbers.correct_within
    return deadline(_noon(since), days)


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), HERE)


@dataclass
class Load:
    """What one department has in quarantine: rows by state, how many are overdue, and the oldest day of a running
    clock. Rows that nobody has are counted with the owner of their dataset."""

    department: str
    rows: Counter[State] = field(default_factory=Counter)
    overdue: int = 0
    oldest: date | None = None
    due: date | None = None

    def add(self, case: Case) -> None:
        self.rows[case.state] += case.rows
        self.overdue += case.overdue
        if case.due is not None and (self.due is None or case.due < self.due):
            self.oldest, self.due = case.since, case.due


def loads(ctx: Context, datasets: Collection[str] | None = None) -> list[Load]:
    """Every department that has rows of the named datasets (default: all) in quarantine, those with the most overdue
    first."""
    found: dict[str, Load] = {}
    for dataset in quarantine.datasets(ctx.tables):
        if datasets is not None and dataset not in datasets:
            continue
        entry = ctx.catalogue.entries.get(dataset)
        for case in cases(ctx, dataset, by_rule=False) if entry else ():
            name = case.department or (entry.owner if entry else "")
            found.setdefault(name, Load(name)).add(case)
    return sorted(found.values(), key=lambda each: (-each.overdue, each.department))
