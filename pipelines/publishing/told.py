"""What a publication says of itself: in its snapshot, its certificate and its record."""

from __future__ import annotations

import json

from lake.properties import named, said
from lake.records import Disclosure, Published
from lake.version import code_version
from pipelines.contracts.form import contract_hash
from pipelines.gates import disclosure, released
from pipelines.proof import certifying
from pipelines.proof.certifying import Standing
from pipelines.publishing.job import Job, outside_of
from pipelines.publishing.rows import unfit_of
from schemas.model import Hmac


def properties_of(job: Job, source: int, judged: disclosure.Judged) -> dict[str, str]:
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
        **({"outside": str(outside_of(job, source))} if job.territory else {}),
        **({"unfit": json.dumps(unfit)} if (unfit := unfit_of(job, source)) else {}),
        **({released.SHAPES: released.written(job.shapes)} if job.judged else {}),
        **job.stands_under,
    )


def publication(
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
        outside=outside_of(job, source),
        unfit=json.loads(said(properties, "unfit") or "{}"),
    )


def record_of(job: Job, source: int, snapshot: int, *, reused: bool) -> Published:
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
        outside=int(said(summary, "outside") or 0),
        unfit=json.loads(said(summary, "unfit") or "{}"),
        disclosure=risk,
        reused=reused,
    )
