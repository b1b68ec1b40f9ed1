"""The rows that an append-only table does not take: another row is stored under their key."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lake import quarantine
from pipelines.merging.planning import Job, Planner

RULE: Final = "append_only"


def set_aside(job: Job, planner: Planner) -> None:
    """Put what an append-only table refuses into quarantine: the same rows again where the merge is run again."""
    rows = (_refusal(job, batch) for batch in planner.refused())
    stream = pa.RecordBatchReader.from_batches(quarantine.SCHEMA, rows)
    quarantine.put(job.ctx.tables, job.entry.id, job.checked.batch.id, "merge", stream)


def _refusal(job: Job, batch: pa.RecordBatch) -> pa.RecordBatch:
    field = ", ".join(job.entry.key)
    failure = {"field": field, "rule": RULE, "expected": "the row as it is stored, or a new key"}
    same = {"batch": job.checked.batch.id, "stage": "merge", "failures": [failure], "at": job.ctx.clock()}
    return pa.record_batch(
        [
            pa.array([same[f.name]] * batch.num_rows, f.type) if f.name in same else batch.column(f.name)
            for f in quarantine.SCHEMA
        ],
        schema=quarantine.SCHEMA,
    )
