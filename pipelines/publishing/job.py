"""One publication: what is read, under which masks, where it goes, and how it is told from another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import pyarrow as pa

from lake import datafiles
from lake.records import Merged
from lake.zones import Identifier, identifier, published_table
from pipelines.context import Context
from pipelines.contracts.form import digest
from pipelines.gates import disclosure
from pipelines.gates.forms import Shape
from pipelines.gates.limits import Limits, counts_of, limits_of
from pipelines.keys import Key
from pipelines.masks import RULES
from pipelines.masks.plan import Planned
from pipelines.publishing.noise import Noised
from pipelines.publishing.origins import FILE, PLACE, Origins
from pipelines.publishing.territory import outside, territory_of
from schemas.arrow import published_schema
from schemas.errors import Unbalanced
from schemas.model import Entry, Mask, Narrowed, Territory, Zone
from schemas.policy import policies


@dataclass(frozen=True)
class Job:
    """One publication: what is read, under which masks, where it goes. `source` is a curated snapshot."""

    ctx: Context
    entry: Entry
    merged: Merged
    zone: Zone
    policy: str
    work: Planned
    noise: Mapping[str, Noised] = field(default_factory=dict)

    @property
    def plan(self) -> dict[str, Mask]:
        return self.work.plan

    @property
    def key(self) -> Key | None:
        return self.work.key

    def under(self, plan: Mapping[str, Mask]) -> Job:
        """The same publication under another plan."""
        return replace(self, work=replace(self.work, plan=dict(plan)))

    @property
    def curated(self) -> Identifier:
        return identifier("curated", self.entry.id)

    @property
    def table(self) -> Identifier:
        return published_table(self.entry.id, self.zone, self.policy)

    @cached_property
    def schema(self) -> pa.Schema:
        return published_schema(self.entry, self.plan)

    @cached_property
    def masks_hash(self) -> str:
        return masks_hash(self.entry, self.zone, self.policy, self.plan, self.limits)

    @property
    def erases(self) -> bool:
        """Whether it is made since a person was erased: what stands published must not stay."""
        return self.ctx.erasing or self.merged.batch.erasure is not None

    @property
    def territory(self) -> Territory | None:
        """Of which territory the rows are; None where all are published."""
        return territory_of(self.entry, self.zone, self.policy)

    @cached_property
    def limits(self) -> Limits | None:
        """What the disclosure gate holds this publication to; None where it is not judged."""
        numbers = self.ctx.catalogue.numbers.disclosure
        return limits_of(self.entry, self.zone, self.policy, self.plan, numbers)

    @property
    def judged(self) -> bool:
        """Whether the disclosure gate judges it: what it lets out is held against every release before."""
        return self.limits is not None or counts_of(self.entry, self.zone) is not None

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        key = self.key.check if self.key else ""
        return disclosure.shapes_of(self.entry, self.zone, self.plan, self.limits, key)

    @property
    def stands_under(self) -> dict[str, str]:
        """What a snapshot says by which a publication under the same masks and key is known."""
        version, check = (self.key.version, self.key.check) if self.key else ("", "")
        return {"masks": self.masks_hash, "key_version": version, "key_check": check}


class Masked(Protocol):
    """An engine's masked rows of a curated snapshot. Nothing of them lies yet where a reader's grant can reach."""

    def rows(self) -> Iterable[pa.RecordBatch]:
        """The masked rows, each time in the same order: the gates look at them."""

    def final(self, judged: disclosure.Judged, watched: Watch) -> datafiles.Rows:
        """The rows to write: without those that are judged to stay out, in an order that tells nothing, once
        `watched` has seen them all."""


Watch = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


Masking = Callable[["Job", int], AbstractContextManager[Masked]]


def masks_hash(entry: Entry, zone: Zone, policy: str, plan: Mapping[str, Mask], limits: Limits | None) -> str:
    """Digest of all that decides a row's masked form but the key: masks, types, zone, our own rules, and of a grant's
    own table the recipient and the territory."""
    fields = {
        name: [
            entry.fields[name].model_dump(mode="json", include={"type", "precision", "scale", "timezone"}),
            mask.model_dump(mode="json"),
        ]
        for name, mask in plan.items()
    }
    judged = {"gate": limits.hashed} if limits else {}
    own = policies(entry, zone).get(policy)
    granted = (
        {"grant": own.model_dump(mode="json", include={"of", "recipient", "rows"})}
        if isinstance(own, Narrowed)
        else {}
    )
    return digest({"rules": RULES, "zone": zone, "fields": list(fields.items()), **judged, **granted})


def hides(job: Job) -> bool:
    return len(job.plan) < len(job.entry.fields) or any(mask.kind != "keep" for mask in job.plan.values())


def unbalanced(job: Job, expected: int, written: int, suppressed: int = 0) -> Unbalanced:
    return Unbalanced(
        f"curated rows {expected} ≠ published rows {written}"
        + (f", without {suppressed} suppressed" if suppressed else ""),
        dataset=job.entry.id,
        batch=job.merged.batch.id,
        rule="nothing lost (law 2)",
    )


def outside_of(job: Job, source: int) -> int:
    return outside(job.ctx.tables, job.curated, job.territory, source)


def origins_of(job: Job, source: int | None = None) -> Origins:
    """The origins of the table's rows: of new ones in the curated files of this snapshot."""
    files = [part.path for part in job.ctx.tables.parts(job.curated, source)] if source else []
    return Origins.of(job.ctx.settings, job.entry.id, job.table, files)


def form(job: Job) -> pa.Schema:
    return job.schema.append(FILE).append(PLACE)
