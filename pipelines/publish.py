"""Publish: the curated table, masked for one policy of one zone, as a table of its own.

The rows of exactly the curated snapshot that the batch left are read, only the columns that the policy
grants; each batch of rows is masked (`pipelines.masks`) before anything else sees it, put into an order that
tells nothing, and written in one commit. The commit's snapshot says from what it was made: batch, curated
snapshot, masks, key version.

- **No step back.** A table that already stands on a newer curated snapshot keeps it; if its masks changed meanwhile,
  that newer snapshot is published under the new masks.
- **No old masks.** While the masks stay, a publication replaces the rows and older ones remain as snapshots, under an
  older key too as long as that is kept (`rotation`). When they change the table begins anew (`lake.renewal`), and
  nothing of the old columns or tokens can be read; so it does after an erasure, which may leave no older snapshot.
- **No order.** Curated rows may lie in the order of a key that is hidden here; the rows of a share table are shuffled,
  those of an open one that hides anything sorted by what is published, so that their order says nothing more.
- **Little for little.** Of a large share table only what changed is masked, looked through and written
  (`increments`).
- **Nothing ungranted.** `withdrawal` removes the tables and downloads that the entry no longer grants.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from lake import datafiles, progress, renewal
from lake.deletes import NOWHERE, Part
from lake.properties import named, said
from lake.records import Disclosure, Merged, Published
from lake.tables import Identifier, identifier
from lake.version import code_version
from pipelines import certifying, downloads, increments, rotation
from pipelines.certifying import Standing
from pipelines.context import Context
from pipelines.gates import disclosure, leak, released
from pipelines.gates.forms import Shape
from pipelines.gates.limits import Limits, limits_of
from pipelines.masks import RULES, apply
from pipelines.masks.keys import Key
from pipelines.masks.plan import Planned, planned
from pipelines.masks.tokens import Tokens
from pipelines.noise import Noised, drawn
from pipelines.ordering import ordered, shuffled
from pipelines.origins import FILE, PLACE, Origins
from pipelines.withdrawal import published_table, withdraw
from schemas.arrow import published_schema
from schemas.errors import MaskError, Unbalanced
from schemas.model import Entry, Hmac, Mask, Zone

__all__ = ["contract_hash", "publish", "published_table", "withdraw"]


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
        return masks_hash(self.entry, self.zone, self.plan, self.limits)

    @cached_property
    def limits(self) -> Limits | None:
        """What the disclosure gate holds this publication to; None where it is not judged."""
        numbers = self.ctx.catalogue.numbers.disclosure
        return limits_of(self.entry, self.zone, self.policy, self.plan, numbers)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        return disclosure.shapes_of(self.entry, self.plan, self.limits, self.key.check if self.key else "")

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


def masks_hash(entry: Entry, zone: Zone, plan: Mapping[str, Mask], limits: Limits | None) -> str:
    """Digest of all that decides a row's masked form but the key: masks, types, zone, our own rules."""
    fields = {
        name: [
            entry.fields[name].model_dump(mode="json", include={"type", "precision", "scale", "timezone"}),
            mask.model_dump(mode="json"),
        ]
        for name, mask in plan.items()
    }
    judged = {"gate": limits.hashed} if limits else {}
    return _digest({"rules": RULES, "zone": zone, "fields": list(fields.items()), **judged})


def publish(ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str) -> Published:
    """Publish with the local engine: see `publish_by`."""
    return publish_by(ctx, entry, merged, zone, policy, masking=_local)


def publish_by(
    ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str, *, masking: Masking
) -> Published:
    """Publish the batch's curated snapshot under a policy; what stands already is found and not repeated.

    Where it raises nothing is committed and the publication before stands: LeakFound where a column holds
    what it must not; DisclosureRisk where persons would be singled out; BudgetSpent where noise would cost more
    epsilon than is left; MaskError where a mask does not fit
    or its key is missing; Unbalanced where rows were lost on the way; CommitConflict if another run published
    meanwhile: run it again.
    """
    job, standing = _planned(ctx, entry, merged, zone, policy)
    source = _source(job, standing)
    proven = certifying.certified(standing, ctx)
    alike = standing is not None and _under(job, standing[1]) and proven
    past = proven and rotation.keeps_past(ctx, job.table, zone, job.masks_hash, alike=alike)
    certifying.settle(ctx, job.table, standing)
    if merged.batch.erasure is not None and not (standing and said(standing[1], "batch") == merged.batch.id):
        past = False
    if standing is not None and alike and past and said(standing[1], "curated_snapshot") == str(source):
        snapshot, reused = standing[0], True
        renewal.sweep(ctx.tables, job.table)
    else:
        step = _increment(job, source, standing) if standing and alike and past else None
        reused = False
        if step and standing:
            snapshot = _step(job, source, standing, step)
        else:
            job, snapshot = _write(job, masking, source, standing, alike=alike, past=past)
    if zone == "share":
        _origins(job).sweep(part.path for part in ctx.tables.parts(job.table))
    published = _with_downloads(job, _record(job, source, snapshot, reused=reused))
    return certifying.completed(ctx, job.table, published)


def _planned(
    ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str
) -> tuple[Job, Standing | None]:
    """The plan, tried on no rows: what cannot work is known before anything is written; and what stands published.
    Fields that generalise are as coarse as they stand published already."""
    work = planned(ctx, entry, zone, policy)
    job = Job(ctx, entry, merged, zone, policy, work)
    standing = next(ctx.tables.snapshots(job.table), None)
    before = released.shapes(standing[1]) if standing else {}
    return job.under(disclosure.generalised(job.plan, job.limits, before)), standing


def _under(job: Job, summary: dict[str, str]) -> bool:
    """Whether a publication was made under these masks and this key.

    MaskError if it was made with another key of the same version: whoever joined by its tokens would no
    longer find anything, and nothing would say why."""
    if all(said(summary, word) == value for word, value in job.stands_under.items()):
        return True
    same_version = job.key is not None and said(summary, "key_version") == job.key.version
    if same_version and job.stands_under["key_check"] != said(summary, "key_check"):
        raise MaskError(
            f"the masking key of version {job.stands_under['key_version']} is not the one published with before",
            dataset=job.entry.id,
            expected=f"the key whose check value is {said(summary, 'key_check')}",
            next_step="restore that key, or give the new one a version of its own (XUANWU_KEY_VERSION)",
        )
    return False


def _source(job: Job, standing: Standing | None) -> int:
    """The curated snapshot to publish: the batch's, or the newer one that the publication stands on
    already; the current one where upkeep has forgotten both."""
    newest_first = [snapshot for snapshot, _ in job.ctx.tables.snapshots(job.curated)]
    stood_on = said(standing[1], "curated_snapshot") if standing else None
    candidates = {job.merged.snapshot, int(stood_on or job.merged.snapshot)}
    return next((each for each in newest_first if each in candidates), newest_first[0])


# ── the rows ──────────────────────────────────────────────────────────────────────────────────────────────


def _write(
    job: Job, masking: Masking, source: int, standing: Standing | None, *, alike: bool, past: bool
) -> tuple[Job, int]:
    """The publication as the disclosure gate lets it through, under masks that it may have made coarser, and its
    snapshot. Where what stands published may not stay beside it (`past`) the table begins anew."""
    tables = job.ctx.tables
    job = replace(job, noise=drawn(job.ctx, job.entry, job.plan, source))
    with ExitStack() as opened:
        by = _Maskings(job, _local if job.noise else masking, source, opened)
        judged = _judged(job, source, by, standing)
        masked, past = by(judged.plan), past and judged.plan == job.plan
        job = job.under(judged.plan)
        rows = masked.final(judged, partial(_watched, job, source, judged))
        properties, base = _properties(job, source, judged), standing[0] if standing else None
        with _publication(job, source, standing, properties, judged).committing() as seal:
            if past:
                return job, tables.replace(job.table, rows, "all", properties, base=base, seal=seal)
            if not tables.exists(job.table):
                tables.ensure(job.table, job.schema)
            return job, renewal.renew(
                tables, job.table, job.schema, rows, properties=properties, base=base, seal=seal
            )


@dataclass
class _Maskings:
    """The masked rows by plan: what the gate tries is masked once, and what it chooses is written."""

    job: Job
    masking: Masking
    source: int
    opened: ExitStack
    tried: dict[str, Masked] = field(default_factory=dict)

    def __call__(self, plan: Mapping[str, Mask]) -> Masked:
        job = self.job.under(plan)
        if job.masks_hash not in self.tried:
            self.tried[job.masks_hash] = self.opened.enter_context(self.masking(job, self.source))
        return self.tried[job.masks_hash]


def _increment(job: Job, source: int, standing: Standing) -> increments.Increment | None:
    """How the share table that stands becomes that of `source`, where little has changed."""
    since = said(standing[1], "curated_snapshot")
    if job.zone != "share" or job.limits or since is None:
        return None
    return increments.plan(
        job.ctx.tables, job.curated, job.table, _origins(job), since=int(since), until=source
    )


def _step(job: Job, source: int, standing: Standing, step: increments.Increment) -> int:
    """Commit an increment: the new rows, and what stays of published files that are written anew, among each other."""
    tables, judged = job.ctx.tables, disclosure.Judged(job.plan)
    expected = tables.row_count(job.curated, source)
    if step.rows != expected:
        raise _unbalanced(job, expected, step.rows)
    origins = _origins(job, source)
    fresh = _looked(job, source, _with_origin(job, step.fresh, origins))
    rows = itertools.chain(fresh, _staying(job, step, origins))
    mixed = shuffled(job.ctx.settings, _form(job), rows, step.written)
    writer = origins.writer(_counted(job, mixed, step.written))
    properties, anew = _properties(job, source, judged), [part.path for part in step.anew]
    with _publication(job, source, standing, properties, judged).committing() as seal:
        return tables.replace(
            job.table, writer, anew, properties, standing[0], deleted=step.marked, seal=seal
        )


def _judged(job: Job, source: int, by: _Maskings, standing: Standing | None) -> disclosure.Judged:
    """The disclosure gate's verdict, held against every release before."""
    settings, tables = job.ctx.settings, job.ctx.tables
    kept: list[released.Kept] = []
    if job.limits:
        released.remember(settings, tables, job.table)
        kept = released.releases(settings, job.table)
    return disclosure.judge(
        disclosure.Opening(
            settings=settings,
            numbers=job.ctx.catalogue.numbers.disclosure,
            entry=job.entry,
            zone=job.zone,
            policy=job.policy,
            plan=job.plan,
            rows=lambda plan: by(plan).rows(),
            counts=lambda names: tables.scan(job.curated, names, source),
            kept=kept,
            key=job.key.check if job.key else "",
            must=job.merged.batch.erasure is not None,
            out_before=_left_out(standing),
        )
    )


def _left_out(standing: Standing | None) -> int:
    """Rows that the release that stands leaves out or has cells emptied of."""
    told = said(standing[1], "disclosure") if standing else None
    record = Disclosure.model_validate_json(told) if told else None
    return record.suppressed + record.emptied if record else 0


def _watched(
    job: Job, source: int, judged: disclosure.Judged, rows: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The rows to write, seen by the leak gate. Unbalanced at their end, before the commit, if they are not as many
    as were read from."""
    expected = job.ctx.tables.row_count(job.curated, source) - len(judged.gone)
    return _counted(job, _looked(job, source, rows), expected, len(judged.gone))


def _looked(job: Job, source: int, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return leak.watch(leak.Watched(job.ctx, job.entry, job.zone, job.policy, job.plan, source), rows)


def _counted(
    job: Job, rows: Iterable[pa.RecordBatch], expected: int, suppressed: int = 0
) -> Iterator[pa.RecordBatch]:
    written = 0
    for batch in rows:
        written += batch.num_rows
        progress.passed(batch.num_rows)
        yield batch
    if written != expected:
        raise _unbalanced(job, expected, written, suppressed)


def _unbalanced(job: Job, expected: int, written: int, suppressed: int = 0) -> Unbalanced:
    return Unbalanced(
        f"curated rows {expected} ≠ published rows {written}"
        + (f", without {suppressed} suppressed" if suppressed else ""),
        dataset=job.entry.id,
        batch=job.merged.batch.id,
        rule="nothing lost (law 2)",
    )


def mask_rows(job: Job, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of the plan's curated columns, masked. Where there is noise they must be all, in the snapshot's order."""
    tokens, start = job.work.tokens(), 0
    for batch in rows:
        yield _mask(job, batch, tokens, start)
        start += batch.num_rows


def _mask(job: Job, batch: pa.RecordBatch, tokens: Tokens | None, start: int = 0) -> pa.RecordBatch:
    """The batch masked; `start` is its first row's place in the snapshot, for columns with noise."""
    columns = [
        job.noise[name].at(start, batch.column(name))
        if name in job.noise
        else apply(batch.column(name), mask, job.entry.fields[name], tokens)
        for name, mask in job.plan.items()
    ]
    return pa.RecordBatch.from_arrays(columns, schema=job.schema)


@contextmanager
def _local(job: Job, source: int) -> Iterator[Masked]:
    yield _Local(job, source)


@dataclass(frozen=True)
class _Local:
    """Masked as they are read, and again for each who asks."""

    job: Job
    source: int

    def rows(self) -> Iterator[pa.RecordBatch]:
        return mask_rows(
            self.job, self.job.ctx.tables.scan(self.job.curated, list(self.job.plan), self.source)
        )

    def final(self, judged: disclosure.Judged, watched: Watch) -> datafiles.Rows:
        job, settings = self.job, self.job.ctx.settings
        if job.zone == "share" and not job.limits:
            parts, origins = job.ctx.tables.parts(job.curated, self.source), _origins(job, self.source)
            rows = _with_origin(job, parts, origins)
            return origins.writer(
                watched(shuffled(settings, _form(job), rows, sum(part.rows for part in parts)))
            )
        rows = judged.passed(self.rows())
        return watched(ordered(settings, job.schema, rows, job.entry.id) if hides(job) else rows)


def hides(job: Job) -> bool:
    return len(job.plan) < len(job.entry.fields) or any(mask.kind != "keep" for mask in job.plan.values())


# ── where share rows come from ────────────────────────────────────────────────────────────────────────────


def _origins(job: Job, source: int | None = None) -> Origins:
    """The origins of the table's rows: of new ones in the curated files of this snapshot."""
    files = [part.path for part in job.ctx.tables.parts(job.curated, source)] if source else []
    return Origins.of(job.ctx.settings, job.entry.id, job.table, files)


def _form(job: Job) -> pa.Schema:
    return job.schema.append(FILE).append(PLACE)


def _with_origin(job: Job, parts: Iterable[Part], origins: Origins) -> Iterator[pa.RecordBatch]:
    """The rows of these curated files, masked, with where they lie."""
    tokens = job.work.tokens()
    for part in parts:
        for batch, places in job.ctx.tables.read_places(job.curated, part, list(job.plan)):
            yield origins.added(_mask(job, batch, tokens), part.path, places)


def _staying(job: Job, step: increments.Increment, origins: Origins) -> Iterator[pa.RecordBatch]:
    """What stays of published files that are written anew: masked and looked through before."""
    for part in step.anew:
        going, origin = step.going.get(part.path, NOWHERE), origins.read(part.path)
        for batch, places in job.ctx.tables.read_places(job.table, part, job.schema.names):
            stay = np.isin(places, going, invert=True)
            if origin is not None:
                yield origins.carried(batch.filter(pa.array(stay)), origin, places[stay])


# ── what is written down ──────────────────────────────────────────────────────────────────────────────────


def _properties(job: Job, source: int, judged: disclosure.Judged) -> dict[str, str]:
    hashes = sorted({mask.hash for mask in job.plan.values() if isinstance(mask, Hmac)})
    made = job.ctx.tables.snapshots(job.curated)
    batch = next((said(summary, "batch") for found, summary in made if found == source), None)
    return named(
        dataset=job.entry.id,
        zone=job.zone,
        policy=job.policy,
        batch=batch or job.merged.batch.id,
        curated_snapshot=str(source),
        hash=",".join(hashes),
        contract=contract_hash(job.entry),
        code_version=code_version(),
        **({"disclosure": judged.record.model_dump_json()} if judged.record else {}),
        **({released.SHAPES: released.written(job.shapes)} if job.limits else {}),
        **job.stands_under,
    )


def _publication(
    job: Job,
    source: int,
    standing: Standing | None,
    properties: dict[str, str],
    judged: disclosure.Judged,
) -> certifying.Publication:
    return certifying.Publication(
        ctx=job.ctx,
        entry=job.entry,
        zone=job.zone,
        policy=job.policy,
        table=job.table,
        curated=job.curated,
        source=source,
        standing=standing,
        plan=job.plan,
        masks_hash=job.masks_hash,
        key_version=job.key.version if job.key else None,
        contract=contract_hash(job.entry),
        batch=str(said(properties, "batch")),
        risk=judged.certified,
        suppressed=len(judged.gone),
    )


def _record(job: Job, source: int, snapshot: int, *, reused: bool) -> Published:
    tables = job.ctx.tables
    summary = next(summary for found, summary in tables.snapshots(job.table) if found == snapshot)
    told = said(summary, "disclosure")
    risk = Disclosure.model_validate_json(told) if told else None
    return Published(
        batch=job.merged.batch,
        zone=job.zone,
        policy=job.policy,
        table=".".join(job.table),
        snapshot=snapshot,
        curated_snapshot=source,
        masks_hash=job.masks_hash,
        key_version=job.key.version if job.key else None,
        rows_in=tables.row_count(job.curated, source),
        rows_out=tables.row_count(job.table, snapshot),
        suppressed=risk.suppressed if risk else 0,
        disclosure=risk,
        reused=reused,
    )


def _with_downloads(job: Job, published: Published) -> Published:
    if job.zone != "open" or not job.entry.open.downloads:
        return published
    files = downloads.release(job.ctx, job.entry, published, job.plan)
    return published.model_copy(update={"downloads": files})


def _digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def contract_hash(entry: Entry) -> str:
    """Digest of the resolved entry, wherever its file lies."""
    return _digest(entry.model_dump(mode="json", exclude={"file"}))
