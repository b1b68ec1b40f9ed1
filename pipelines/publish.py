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

import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa

from lake import renewal
from lake.properties import said
from lake.records import Disclosure, Merged, Published
from lake.signing import load_signer
from pipelines import downloads
from pipelines.context import Context
from pipelines.engine import engine_errors
from pipelines.gates import disclosure, released
from pipelines.masks.plan import planned
from pipelines.proof import certifying
from pipelines.proof.certifying import Standing
from pipelines.publishing import counting, increments, rotation
from pipelines.publishing.job import (
    Job,
    Masked,
    Masking,
    form,
    hides,
    origins_of,
    unbalanced,
)
from pipelines.publishing.noise import drawn
from pipelines.publishing.ordering import shuffled
from pipelines.publishing.rows import (
    counted,
    local,
    looked,
    mask_rows,
    staying,
    watched,
    with_origin,
    within_territory,
)
from pipelines.publishing.told import properties_of, publication, record_of
from schemas.errors import MaskError
from schemas.model import Entry, Mask, Zone


def publish(ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str) -> Published:
    """Publish with the local engine: see `publish_by`."""
    return publish_by(ctx, entry, merged, zone, policy, masking=local)


@engine_errors("publish the batch", "publish")
def publish_by(
    ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str, *, masking: Masking
) -> Published:
    """Publish the batch's curated snapshot under a policy; what stands already is found and not repeated.

    Where it raises nothing is committed and the publication before stands: LeakFound where a column holds
    what it must not; DisclosureRisk where persons would be singled out; BudgetSpent where noise would cost more
    epsilon than is left; MaskError where a mask does not fit
    or its key is missing; Unbalanced where rows were lost on the way; EngineError where the local engine failed;
    CommitConflict if another run published meanwhile: run it again.
    """
    job, standing = _planned(ctx, entry, merged, zone, policy)
    source = _source(job, standing)
    proven = certifying.certified(standing, ctx)
    alike = standing is not None and _under(job, standing[1]) and proven
    past = proven and rotation.keeps_past(ctx, job.table, zone, job.masks_hash, alike=alike)
    certifying.settle(ctx, job.table, standing)
    counted: pa.RecordBatch | None = None
    if job.erases and not (standing and said(standing[1], "batch") == merged.batch.id):
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
            job, snapshot, counted = _write(job, masking, source, standing, alike=alike, past=past)
            if counted is not None:
                released.remember(ctx.settings, ctx.tables, job.table, (snapshot, counted))
    if zone == "share":
        origins_of(job).sweep(part.path for part in ctx.tables.parts(job.table))
    published = _with_downloads(job, record_of(job, source, snapshot, reused=reused), counted)
    return certifying.completed(ctx, job.table, published, entry)


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


def _write(
    job: Job, masking: Masking, source: int, standing: Standing | None, *, alike: bool, past: bool
) -> tuple[Job, int, pa.RecordBatch | None]:
    """The publication as the disclosure gate lets it through, under masks that it may have made coarser, its snapshot,
    and its rows, where they were counted. Where what stands published may not stay beside it (`past`) the table begins
    anew."""
    tables = job.ctx.tables
    job = replace(job, noise=drawn(job.ctx, job.entry, job.plan, source))
    with ExitStack() as opened:
        by = _Maskings(job, local if job.noise or job.territory else masking, source, opened)
        judged = _judged(job, source, by, standing, alike=alike and past)
        masked, past = by(judged.plan), past and judged.plan == job.plan
        job = job.under(judged.plan)
        rows = masked.final(judged, partial(watched, job, source, judged))
        properties, base = properties_of(job, source, judged), standing[0] if standing else None
        with publication(job, source, standing, properties, judged).committing() as seal:
            if past:
                snapshot = tables.replace(job.table, rows, "all", properties, base=base, seal=seal)
                return job, snapshot, judged.counted
            if not tables.exists(job.table):
                tables.ensure(job.table, job.schema)
            snapshot = renewal.renew(
                tables, job.table, job.schema, rows, properties=properties, base=base, seal=seal
            )
            return job, snapshot, judged.counted


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
    if job.zone != "share" or job.limits or job.territory or since is None:
        return None
    return increments.plan(_way(job, int(since), source), origins_of(job))


def _way(job: Job, since: int, until: int) -> increments.Way:
    return increments.Way(job.ctx.tables, job.curated, job.table, since, until, job.ctx.settings.threads)


def _step(job: Job, source: int, standing: Standing, step: increments.Increment) -> int:
    """Commit an increment: the new rows, and what stays of published files that are written anew, among each other."""
    tables, judged = job.ctx.tables, disclosure.Judged(job.plan)
    expected = tables.row_count(job.curated, source)
    if step.rows != expected:
        raise unbalanced(job, expected, step.rows)
    origins = origins_of(job, source)
    fresh = looked(job, source, with_origin(job, step.fresh, origins))
    rows = itertools.chain(fresh, staying(job, step, origins))
    mixed = shuffled(job.ctx.settings, form(job), rows, step.written)
    writer = origins.writer(counted(job, mixed, step.written))
    properties, anew = properties_of(job, source, judged), [part.path for part in step.anew]
    with publication(job, source, standing, properties, judged).committing() as seal:
        return tables.replace(
            job.table, writer, anew, properties, standing[0], deleted=step.marked, seal=seal
        )


def _judged(
    job: Job, source: int, by: _Maskings, standing: Standing | None, *, alike: bool
) -> disclosure.Judged:
    """The disclosure gate's verdict, held against every release before."""
    settings, tables = job.ctx.settings, job.ctx.tables
    kept: list[released.Kept] = []
    if job.judged:
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
            counts=lambda names: within_territory(job, names, source),
            secret=partial(_cover, job),
            counted=partial(_distinct, job, source, by, standing if alike else None, kept),
            kept=kept,
            key=job.key.check if job.key else "",
            must=job.erases,
            out_before=_left_out(standing),
        )
    )


def _cover(job: Job) -> str:
    """The secret of the table's cover, the same for all its releases as long as the signing key is the same."""
    return load_signer(job.ctx.settings, job.ctx.connect).secret("cover", ".".join(job.table))


def _distinct(
    job: Job, source: int, by: _Maskings, standing: Standing | None, kept: list[released.Kept]
) -> pa.RecordBatch | None:
    """The masked rows, counted: from the release `standing`, of these masks, where that is the shorter way."""
    if not hides(job):
        return None
    since = said(standing[1], "curated_snapshot") if standing and not _left_out(standing) else None
    if standing and since is not None and not job.noise and not job.territory:
        rows, way = released.rows(kept, standing[0]), _way(job, int(since), source)
        former = counting.Former(job.ctx.settings, way, rows, released.CHANGE)
        found = counting.changed(former, job.schema, list(job.plan), partial(mask_rows, job))
        if found is not None:
            return found
    return counting.count(job.ctx.settings, job.schema, by(job.plan).rows())


def _left_out(standing: Standing | None) -> int:
    """Rows that the release that stands leaves out or has cells emptied of."""
    told = said(standing[1], "disclosure") if standing else None
    record = Disclosure.model_validate_json(told) if told else None
    return record.suppressed + record.emptied if record else 0


def _with_downloads(job: Job, published: Published, counted: pa.RecordBatch | None) -> Published:
    if job.zone != "open" or not job.entry.open.downloads:
        return published
    files = downloads.release(job.ctx, job.entry, published, job.plan, counted)
    return published.model_copy(update={"downloads": files})
