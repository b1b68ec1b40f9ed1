"""Publish: the curated table, masked for one policy of one zone, as a table of its own.

The rows of exactly the curated snapshot that the batch left are read, only the columns that the policy
grants; each batch of rows is masked (`pipelines.masks`) before anything else sees it, put into an order that
tells nothing, and written in one commit. The commit's snapshot says from what it was made: batch, curated
snapshot, masks, key version.

- **No step back.** A table that already stands on a newer curated snapshot keeps it; if its masks changed
meanwhile,
  that newer snapshot is published under the new masks.
- **No old masks.** While masks and key stay, a publication replaces the rows and older ones remain as
snapshots. When
  they change the table begins anew (`lake.renewal`), and nothing of the old columns or tokens can be read; so it
  does after an erasure, which may leave no older snapshot.
- **No order.** Curated rows may lie in the order of a key that is hidden here; where anything is hidden the
published
  rows are sorted by what is published, so that their order says nothing more.
- **Nothing ungranted.** `withdrawal` removes the tables and downloads that the entry no longer grants.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from lake import datafiles, renewal
from lake.properties import named, said
from lake.records import Disclosure, Merged, Published
from lake.tables import Identifier, identifier
from lake.version import code_version
from pipelines import certifying, downloads
from pipelines.context import Context
from pipelines.engine import engine
from pipelines.gates import disclosure, leak
from pipelines.masks import RULES, apply
from pipelines.masks.keys import Key
from pipelines.masks.plan import planned
from pipelines.masks.tokens import Tokens
from pipelines.withdrawal import published_table, withdraw
from schemas.arrow import published_schema
from schemas.errors import EngineError, MaskError, Unbalanced, XuanwuError
from schemas.model import Entry, Hmac, Mask, Zone

__all__ = ["contract_hash", "publish", "published_table", "withdraw"]

BATCH_ROWS = 32 * 1024


@dataclass(frozen=True)
class Job:
    """One publication: what is read, under which masks, where it goes. `source` is a curated snapshot."""

    ctx: Context
    entry: Entry
    merged: Merged
    zone: Zone
    policy: str
    plan: dict[str, Mask]
    key: Key | None

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
        """Digest of all that decides a row's masked form but the key: masks, types, zone, our own rules."""
        fields = {
            name: [
                self.entry.fields[name].model_dump(
                    mode="json", include={"type", "precision", "scale", "timezone"}
                ),
                mask.model_dump(mode="json"),
            ]
            for name, mask in self.plan.items()
        }
        gate = disclosure.rules(self.entry, self.zone, self.plan)
        judged = {"gate": gate} if gate else {}
        return _digest({"rules": RULES, "zone": self.zone, "fields": list(fields.items()), **judged})

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


def publish(ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str) -> Published:
    """Publish with the local engine: see `publish_by`."""
    return publish_by(ctx, entry, merged, zone, policy, masking=_local)


def publish_by(
    ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str, *, masking: Masking
) -> Published:
    """Publish the batch's curated snapshot under a policy; what stands already is found and not repeated.

    Where it raises nothing is committed and the publication before stands: LeakFound where a column holds
    what it must not; DisclosureRisk where persons would be singled out; MaskError where a mask does not fit
    or its key is missing; Unbalanced where rows were lost on the way; CommitConflict if another run published
    meanwhile: run it again.
    """
    job = _planned(ctx, entry, merged, zone, policy)
    standing = next(ctx.tables.snapshots(job.table), None)
    source = _source(job, standing)
    alike = standing is not None and _under(job, standing[1]) and certifying.certified(standing, ctx)
    certifying.settle(ctx, job.table, standing)
    anew = merged.batch.erasure is not None and not (
        standing and said(standing[1], "batch") == merged.batch.id
    )
    if standing is not None and alike and not anew and said(standing[1], "curated_snapshot") == str(source):
        snapshot, reused = standing[0], True
        renewal.sweep(ctx.tables, job.table)
    else:
        snapshot, reused = _write(job, masking, source, standing, alike=alike, anew=anew), False
    published = _with_downloads(job, _record(job, source, snapshot, reused=reused))
    return certifying.completed(ctx, job.table, published)


def _planned(ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str) -> Job:
    """The plan, tried on no rows: what cannot work is known before anything is written."""
    work = planned(ctx, entry, zone, policy)
    return Job(ctx, entry, merged, zone, policy, work.plan, work.key)


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


def _source(job: Job, standing: tuple[int, dict[str, str]] | None) -> int:
    """The curated snapshot to publish: the batch's, or the newer one that the publication stands on
    already; the current one where upkeep has forgotten both."""
    newest_first = [snapshot for snapshot, _ in job.ctx.tables.snapshots(job.curated)]
    stood_on = said(standing[1], "curated_snapshot") if standing else None
    candidates = {job.merged.snapshot, int(stood_on or job.merged.snapshot)}
    return next((each for each in newest_first if each in candidates), newest_first[0])


# ── the rows ──────────────────────────────────────────────────────────────────────────────────────────────


def _write(
    job: Job,
    masking: Masking,
    source: int,
    standing: tuple[int, dict[str, str]] | None,
    *,
    alike: bool,
    anew: bool = False,
) -> int:
    tables = job.ctx.tables
    with masking(job, source) as masked:
        judged = _judged(job, masked, alike=alike)
        rows = masked.final(judged, partial(_watched, job, source, judged))
        properties, base = _properties(job, source, judged), standing[0] if standing else None
        with _publication(job, source, standing, properties, judged).committing() as seal:
            if alike and not anew:
                return tables.replace(job.table, rows, "all", properties, base=base, seal=seal)
            if not tables.exists(job.table):
                tables.ensure(job.table, job.schema)
            return renewal.renew(
                tables, job.table, job.schema, rows, properties=properties, base=base, seal=seal
            )


def _judged(job: Job, masked: Masked, *, alike: bool) -> disclosure.Judged:
    """The disclosure gate's verdict, held against the releases before that have the same form."""
    tables = job.ctx.tables
    before = [snapshot for snapshot, _ in tables.snapshots(job.table)] if alike else []
    return disclosure.judge(
        disclosure.Opening(
            settings=job.ctx.settings,
            entry=job.entry,
            zone=job.zone,
            plan=job.plan,
            schema=job.schema,
            rows=masked.rows,
            earlier=[partial(tables.scan, job.table, job.schema.names, snapshot) for snapshot in before],
        )
    )


def _watched(
    job: Job, source: int, judged: disclosure.Judged, rows: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The rows to write, seen by the leak gate. Unbalanced at their end, before the commit, if they are not as many
    as were read from."""
    expected, written = job.ctx.tables.row_count(job.curated, source) - len(judged.gone), 0
    for batch in leak.watch(leak.Watched(job.ctx, job.entry, job.zone, job.policy, job.plan, source), rows):
        written += batch.num_rows
        yield batch
    if written != expected:
        raise Unbalanced(
            f"curated rows {expected} ≠ published rows {written}"
            + (f", without {len(judged.gone)} suppressed" if len(judged.gone) else ""),
            dataset=job.entry.id,
            batch=job.merged.batch.id,
            rule="nothing lost (law 2)",
        )


def mask_rows(job: Job, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of the plan's curated columns, masked."""
    tokens = Tokens(job.key, job.zone) if job.key else None
    fields = job.entry.fields
    for batch in rows:
        columns = [apply(batch.column(name), mask, fields[name], tokens) for name, mask in job.plan.items()]
        yield pa.RecordBatch.from_arrays(columns, schema=job.schema)


@contextmanager
def _local(job: Job, source: int) -> Iterator[Masked]:
    yield _Local(job, source)


@dataclass(frozen=True)
class _Local:
    """Masked as they are read, and again for each who asks; DuckDB orders them."""

    job: Job
    source: int

    def rows(self) -> Iterator[pa.RecordBatch]:
        return mask_rows(
            self.job, self.job.ctx.tables.scan(self.job.curated, list(self.job.plan), self.source)
        )

    def final(self, judged: disclosure.Judged, watched: Watch) -> Iterator[pa.RecordBatch]:
        rows = judged.passed(self.rows())
        return watched(_ordered(self.job, rows) if hides(self.job) else rows)


def hides(job: Job) -> bool:
    return len(job.plan) < len(job.entry.fields) or any(mask.kind != "keep" for mask in job.plan.values())


def _ordered(job: Job, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows sorted by all that is published of them. DuckDB sees masked values only, and spills what its
    memory cannot hold."""
    failures: list[XuanwuError] = []
    reader = pa.RecordBatchReader.from_batches(job.schema, _keeping(rows, failures))
    try:
        with engine(job.ctx.settings) as connection:
            connection.register("masked", reader)
            yield from connection.execute("SELECT * FROM masked ORDER BY ALL").to_arrow_reader(BATCH_ROWS)
    except (duckdb.Error, pa.ArrowException) as error:
        if failures:
            raise failures[0] from None
        raise EngineError(
            f"the local engine could not order the rows ({type(error).__name__})",
            dataset=job.entry.id,
            next_step="see XUANWU_MEMORY and the free space of XUANWU_HOME, then publish again",
        ) from None


def _keeping(rows: Iterable[pa.RecordBatch], failures: list[XuanwuError]) -> Iterator[pa.RecordBatch]:
    """DuckDB turns what is raised while it reads into an error of its own: ours is kept beside."""
    try:
        yield from rows
    except XuanwuError as error:
        failures.append(error)
        raise


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
        **job.stands_under,
    )


def _publication(
    job: Job,
    source: int,
    standing: tuple[int, dict[str, str]] | None,
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
