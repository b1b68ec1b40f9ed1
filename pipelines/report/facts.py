"""What the report says, gathered from ledger, verdicts and quarantine. Counts only: no value of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, get_args

from pydantic import ValidationError

from exchange.errors import Busy
from exchange.risks import Risk, recent
from exchange.state import State
from lake import progress, quarantine, recordstore, store
from lake.incidents import Incident, incidents
from lake.ledger import BatchSum
from lake.records import Checked, CheckResult, Published, Verdict
from lake.reporting import Due, reports
from pipelines import applied, objected
from pipelines.context import Context
from pipelines.contracts.reviewing import Form, forms, waiting
from pipelines.drift.clocks import Clocks, Unfollowed
from pipelines.quarantine.casework import Load, loads
from pipelines.status import BatchStatus, Lateness, batch_statuses, late_datasets
from schemas.errors import LakeError
from schemas.model import Dimension, Entry

WATCHED: Final = timedelta(days=90)
DIMENSIONS: tuple[str, ...] = get_args(Dimension)


@dataclass(frozen=True)
class Indicator:
    """A GB/T 36344 indicator X = A/B: `passed` of `evaluated`. A check on the whole table counts as one."""

    passed: int = 0
    evaluated: int = 0

    @property
    def share(self) -> float | None:
        return self.passed / self.evaluated if self.evaluated else None

    def __add__(self, other: Indicator) -> Indicator:
        return Indicator(self.passed + other.passed, self.evaluated + other.evaluated)


def indicator(result: CheckResult) -> Indicator:
    """One check's part in its dimension."""
    if result.row_level:
        return Indicator(result.evaluated - result.failed, result.evaluated)
    return Indicator(int(result.success), 1)


@dataclass(frozen=True)
class BatchFacts:
    """One batch: its rows, its verdict if it was checked, and the sums between its stages."""

    status: BatchStatus
    verdict: Verdict | None
    sums: tuple[BatchSum, ...]

    @cached_property
    def dimensions(self) -> dict[str, Indicator]:
        found = dict.fromkeys(DIMENSIONS, Indicator())
        for result in self.verdict.results if self.verdict else ():
            found[result.dimension] += indicator(result)
        return found

    @property
    def score(self) -> Indicator:
        return sum(self.dimensions.values(), Indicator())

    @property
    def balanced(self) -> bool:
        return all(item.sum.holds for item in self.sums)


@dataclass(frozen=True)
class DatasetFacts:
    """One dataset with its batches, oldest first; `quarantine` counts rows by stage, field and rule of all batches."""

    entry: Entry
    owner: str
    batches: tuple[BatchFacts, ...]
    late: Lateness | None
    quarantine: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    publications: tuple[Published, ...] = ()
    collections: Indicator = Indicator()
    """Attempts to collect that reached the source and were complete: accessibility, GB/T 36344 0601."""

    def dimension(self, name: str) -> Indicator:
        """The dataset's indicator of a dimension: its newest verdict's, and for accessibility its collections too."""
        checked = self.checked.dimensions[name] if self.checked else Indicator()
        return checked + self.collections if name == "accessibility" else checked

    @property
    def latest(self) -> BatchFacts | None:
        return self.batches[-1] if self.batches else None

    @property
    def checked(self) -> BatchFacts | None:
        """The newest batch that has a verdict."""
        return next((batch for batch in reversed(self.batches) if batch.verdict), None)


@dataclass(frozen=True)
class Facts:
    """The whole report."""

    written_at: datetime
    datasets: tuple[DatasetFacts, ...]
    loads: tuple[Load, ...] = ()
    objections: tuple[objected.Tally, ...] | None = ()
    applications: tuple[applied.Tally, ...] | None = ()
    """None of these where the exchange's database did not answer."""
    risks: tuple[Risk, ...] | None = ()
    """Of the last `WATCHED`, the newest first; None as of these."""
    incidents: tuple[tuple[Incident, tuple[Due, ...]], ...] = ()
    """Every security incident with the reports that it asks for, the newest first."""
    contracts: tuple[Form, ...] = ()
    """Every form of a contract that was in use, the newest first."""
    unfollowed: tuple[Unfollowed, ...] = ()

    @property
    def batches(self) -> list[BatchFacts]:
        return [batch for dataset in self.datasets for batch in dataset.batches]

    @property
    def changed(self) -> list[Form]:
        """Contracts that changed, the newest first."""
        return [form for form in self.contracts if form.used.number > 1]

    @property
    def unreviewed(self) -> list[Form]:
        return waiting(self.contracts)

    @property
    def outdated(self) -> list[Form]:
        """Contracts that have changed since they were assessed."""
        return [form for form in self.contracts if form.outdated]

    @property
    def score(self) -> Indicator:
        return sum((d.checked.score for d in self.datasets if d.checked), Indicator())


def gather(ctx: Context) -> Facts:
    """Read everything once. A dataset of the catalogue without a batch is there too: silence is a finding."""
    statuses: dict[str, list[BatchStatus]] = {}
    for status in batch_statuses(ctx):
        statuses.setdefault(status.dataset, []).append(status)
    late = {item.dataset: item for item in late_datasets(ctx)}
    sums: dict[tuple[str, str], list[BatchSum]] = {}
    for item in ctx.ledger.sums():
        sums.setdefault((item.batch.dataset, item.batch.id), []).append(item)
    verdicts, publications = _records(ctx)
    attempts = [
        attempt
        for attempt in ctx.ledger.runs()
        if attempt.stage == "collect" and attempt.state not in {"running", "stuck"}
    ]
    tried = Counter(attempt.batch.dataset for attempt in attempts)
    reached = Counter(attempt.batch.dataset for attempt in attempts if attempt.state == "done")
    asked = ctx.catalogue.numbers.incidents
    return Facts(
        ctx.clock(),
        tuple(
            DatasetFacts(
                entry,
                ctx.catalogue.departments[entry.owner].title.zh,
                tuple(
                    BatchFacts(s, verdicts.get((name, s.batch)), tuple(sums.get((name, s.batch), ())))
                    for s in statuses.get(name, [])
                ),
                late.get(name),
                _quarantine(ctx, name),
                publications.get(name, ()),
                Indicator(reached[name], tried[name]),
            )
            for name, entry in _told(ctx.catalogue.entries)
        ),
        tuple(loads(ctx)),
        *_cases(ctx),
        _risks(ctx),
        tuple((each, tuple(reports(each, asked))) for each in incidents(ctx.settings.lake_root)),
        tuple(forms(ctx.settings.lake_root, ctx.catalogue.numbers.catalogue.review_within, ctx.clock())),
        _unfollowed(ctx),
    )


def _unfollowed(ctx: Context) -> tuple[Unfollowed, ...]:
    clocks = Clocks(ctx)
    found = [clock for entry in ctx.catalogue.entries.values() for clock in clocks.of(entry)]
    return tuple(sorted(found, key=lambda each: each.due))


def _cases(
    ctx: Context,
) -> tuple[tuple[objected.Tally, ...] | None, tuple[applied.Tally, ...] | None]:
    """Objections and applications, counted."""
    try:
        return (
            tuple(objected.tallies(objected.objected(ctx))),
            tuple(applied.tallies(applied.applied(ctx))),
        )
    except Busy:
        return None, None


def _risks(ctx: Context) -> tuple[Risk, ...] | None:
    state = State(ctx.settings)
    try:
        return tuple(recent(state, ctx.clock() - WATCHED)) if state.begun else ()
    except Busy:
        return None


def _told(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    with progress.going("质量报告 report", len(entries), "datasets"):
        for each in entries.items():
            yield each
            progress.passed(1)


def _records(ctx: Context) -> tuple[dict[tuple[str, str], Verdict], dict[str, tuple[Published, ...]]]:
    """Verdicts by dataset and batch, and of each dataset the publications of its newest published batch."""
    verdicts: dict[tuple[str, str], Verdict] = {}
    published: dict[str, dict[str, Published]] = {}
    for attempt in ctx.ledger.done():
        batch = attempt.batch
        if attempt.stage == "check":
            record = recordstore.load(ctx.settings, batch, "check")
            if isinstance(record, Checked):
                verdicts[(batch.dataset, batch.id)] = _verdict(record.verdict)
        elif attempt.stage == "publish":
            record = recordstore.load(ctx.settings, batch, "publish", attempt.part)
            if isinstance(record, Published):
                published.setdefault(batch.dataset, {})[attempt.part] = record
    return verdicts, {name: tuple(parts.values()) for name, parts in published.items()}


def _verdict(uri: str) -> Verdict:
    try:
        return Verdict.model_validate_json(store.read_bytes(uri))
    except (FileNotFoundError, ValidationError):
        raise LakeError(
            "a verdict is missing or damaged", file=uri, next_step="run check for its batch again"
        ) from None


def _quarantine(ctx: Context, dataset: str) -> Counter[tuple[str, str, str]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in quarantine.summary(ctx.tables, dataset):
        counts[(row.stage, row.field, row.rule)] += row.rows
    return counts
