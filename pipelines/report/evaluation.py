"""The five documents of a de-identification's evaluation (GB/T 42460): plan, identifiers, risk, conclusion, record.
A page for each publication that the disclosure gate judges, from catalogue, certificates and audit log.

The gate measures at every publication and its numbers are signed; the documents say them to people. Counts and names
of fields, no value of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from lake import store
from lake.auditlog import entries, logged
from lake.certificates import FOLDER, Certificate, lake_keys, relative
from lake.signing import Trust
from lake.zones import published_table
from pipelines.context import Context
from pipelines.contracts.form import contract_hash
from pipelines.gates.limits import Limits, limits_of
from pipelines.masks.words import words_of
from pipelines.publishing.granting import with_grants
from pipelines.report.page import write_page
from pipelines.report.proof import Proof, proof_of
from pipelines.report.words import ACT_WORDS, LEVEL_WORDS, RELEASE_WORDS, RISK_WORDS, Pair
from schemas.model import Entry, Field, Mask, Zone
from schemas.policy import ZONES, mask_plan, policies

Risks = Mapping[str, str | int | bool | None]
_NOTHING: Risks = {}


@dataclass(frozen=True)
class Treated:
    """A field and what becomes of it; `words` is None where it is not published."""

    field: Field
    words: Pair | None


@dataclass(frozen=True)
class Act:
    """What was done or decided, as the audit log has it; `detail` is rows, a reason's kind, or epsilon."""

    index: int
    at: datetime
    words: Pair
    detail: str


@dataclass(frozen=True)
class Evaluation:
    """One publication's. `limits` is None where it holds aggregates; `releases` are its certificates, newest first."""

    entry: Entry
    owner: str
    zone: Zone
    policy: str
    plan: Mapping[str, Mask]
    limits: Limits | None
    releases: tuple[Proof, ...]
    acts: tuple[Act, ...]

    @property
    def table(self) -> str:
        return ".".join(published_table(self.entry.id, self.zone, self.policy))

    @property
    def newest(self) -> Certificate | None:
        return self.releases[0].certificate if self.releases else None

    @property
    def measured(self) -> Risks:
        """What the gate measured of the newest release, as its certificate says it."""
        return (self.newest and self.newest.risk) or _NOTHING

    @property
    def changed(self) -> bool:
        """Whether the catalogue says something else today than when the newest release was made."""
        return self.newest is not None and self.newest.contract != contract_hash(self.entry)

    @property
    def published(self) -> Mapping[str, Pair]:
        """The masks in words: those of the newest release, or of the plan where there is none."""
        if self.newest:
            return {name: (said.zh, said.en) for name, said in self.newest.masks.items()}
        return {name: words_of(mask) for name, mask in self.plan.items()}

    @cached_property
    def fields(self) -> list[Treated]:
        """Every field of the dataset, by what it tells of a person."""
        order = list(RISK_WORDS)
        treated = [Treated(field, self.published.get(name)) for name, field in self.entry.fields.items()]
        return sorted(treated, key=lambda each: order.index(each.field.risk or ""))

    @property
    def stopped(self) -> Act | None:
        """The attempt that a gate stopped, where nothing was published since."""
        last = next((act for act in reversed(self.acts) if act.words in _ENDS), None)
        return last if last and last.words == ACT_WORDS["stopped"] else None


_ENDS = (ACT_WORDS["published"], ACT_WORDS["stopped"])


def write_evaluations(ctx: Context, folder: Path, datasets: Sequence[str] = ()) -> list[Path]:
    """Write `<table>.html` for each publication that is judged, of the named datasets or of all; returns the paths.

    XuanwuError where a name is no dataset."""
    return [
        write_page(
            folder / f"{each.table}.html",
            "evaluation.html.j2",
            it=each,
            numbers=ctx.catalogue.numbers.disclosure,
            written_at=ctx.clock(),
            risks=RISK_WORDS,
            levels=LEVEL_WORDS,
            kinds=RELEASE_WORDS,
        )
        for each in evaluations(ctx, datasets)
    ]


def evaluations(ctx: Context, datasets: Sequence[str] = ()) -> Iterator[Evaluation]:
    """Of the named datasets, or of all; tables of grants are among them."""
    known, log = with_grants(ctx).catalogue, _Log.of(ctx.settings.lake_root)
    for name in datasets or known.entries:
        entry = known.entry(name)
        for zone in ZONES:
            for policy, granted in policies(entry, zone).items():
                plan = mask_plan(entry, zone, granted)
                limits = limits_of(entry, zone, policy, plan, known.numbers.disclosure)
                if limits or (zone == "open" and entry.open.counts is not None):
                    owner, table = known.departments[entry.owner].title.zh, (entry.id, zone, policy)
                    releases, acts = log.releases(*table), tuple(log.acts(*table))
                    yield Evaluation(entry, owner, zone, policy, plan, limits, releases, acts)


@dataclass(frozen=True)
class _Log:
    """The audit log of a lake, read once."""

    lake: str
    entries: Sequence[tuple[int, dict[str, Any]]]
    indexes: Mapping[tuple[str, str], int]
    trust: Trust

    @classmethod
    def of(cls, lake: str) -> _Log:
        return cls(lake, list(entries(lake)), logged(lake), lake_keys(lake))

    def releases(self, dataset: str, zone: Zone, policy: str) -> tuple[Proof, ...]:
        """The certificates of a table, the newest first; what the log does not know is last."""
        folder = store.join(self.lake, FOLDER, *published_table(dataset, zone, policy))
        paths = [relative(self.lake, uri) for uri in store.list_files(folder)]
        found = [proof_of(self.lake, path, self.indexes, self.trust) for path in paths]
        return tuple(sorted(found, key=lambda each: -1 if each.index is None else each.index, reverse=True))

    def acts(self, dataset: str, zone: Zone, policy: str) -> Iterator[Act]:
        """What came of publishing a table, in the order in which it happened."""
        table, part = ".".join(published_table(dataset, zone, policy)), f"{zone}/{policy}"
        for index, entry in self.entries:
            said = (entry.get("action"), entry.get("phase"), entry.get("result"))
            match said:
                case ("publish", "outcome", _) if entry["table"] == table:
                    kind, detail = "published", f"{entry['rows']:,} 行 rows"
                case ("withdraw", "outcome", _) if entry["table"] == table:
                    kind, detail = "withdrawn", ""
                case ("stage", "outcome", "stopped") if (entry["dataset"], entry.get("part")) == (
                    dataset,
                    part,
                ):
                    kind, detail = "stopped", str(entry["by"])
                case ("noise", "outcome", _) if entry["dataset"] == dataset and zone == "open":
                    kind, detail = "noise", f"{entry['field']}: ε {entry['epsilon']}, Σε {entry['spent']}"
                case _:
                    continue
            yield Act(index, datetime.fromisoformat(entry["at"]), ACT_WORDS[kind], detail)
