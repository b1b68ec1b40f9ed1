"""What a merge counts, and what its snapshot says of it from then on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lake import balance, properties
from lake.records import Merged
from lake.version import code_version
from pipelines.merging.planning import Job
from schemas.errors import LakeError

COUNTED: Final = (
    "rows_in",
    "inserted",
    "updated",
    "unchanged",
    "superseded",
    "quarantined",
    "deleted",
    "total",
    "total_before",
)


def merged_before(job: Job) -> Merged | None:
    """The counts of the same batch from the same input, where it was merged."""
    wanted = properties.named(batch=job.checked.batch.id, input=job.digest)
    found = job.ctx.tables.find_snapshot(job.table, **wanted)
    if found is None:
        return None
    snapshot, summary = found
    numbers = {name: int(properties.said(summary, name) or 0) for name in COUNTED}
    return Merged(batch=job.checked.batch, table=".".join(job.table), snapshot=snapshot, **numbers)


def record(job: Job, counts: dict[str, int], before: int) -> Merged:
    """The counts as a record, its snapshot still to come. Each is counted by itself, so that the sums can fail.
    LakeError where rows of the batch found several stored rows of their key."""
    decided = sum(rows for name, rows in counts.items() if name not in ("rows_in", "delete"))
    if decided > counts["rows_in"]:
        raise LakeError(
            f"rows of the curated table share a key with another, by {', '.join(job.entry.key)}",
            expected="one stored row for each key",
            next_step="put `key` back as it was when they were merged, then run merge again: by another key it is "
            "another dataset, with an id of its own",
        )
    inserted, deleted = counts.get("insert", 0), counts.get("delete", 0)
    merged = Merged(
        batch=job.checked.batch,
        table=".".join(job.table),
        snapshot=0,
        rows_in=counts["rows_in"],
        inserted=inserted,
        updated=counts.get("update", 0),
        unchanged=counts.get("unchanged", 0),
        superseded=counts.get("superseded", 0) + counts.get("duplicate", 0),
        quarantined=counts.get("quarantine", 0),
        deleted=deleted,
        total=before + inserted - deleted,
        total_before=before,
    )
    checked = balance.between("merge", job.checked.rows_out, merged.rows_in)
    balance.require([*balance.within(merged), checked], "merge", merged)
    return merged


def is_late(job: Job) -> bool:
    """Whether this is a snapshot older than one merged before: an older whole must not undo a newer one."""
    if job.entry.merge.kind != "snapshot":
        return False
    newest = _newest_end(job)
    return newest is not None and newest > job.checked.batch.end


def _newest_end(job: Job) -> datetime | None:
    """The latest end of an interval merged so far. Each snapshot says it, so that it outlives those that upkeep
    forgets: a late batch may be the last one that was merged."""
    for _, summary in job.ctx.tables.snapshots(job.table):
        if newest := properties.said(summary, "newest_end"):
            return datetime.fromisoformat(newest)
    return None


def said(job: Job, record: Merged) -> dict[str, str]:
    """What the snapshot says of itself. Counts only, so that anybody who sees the table may read it."""
    return properties.named(
        batch=record.batch.id,
        interval_start=record.batch.start.isoformat(),
        interval_end=record.batch.end.isoformat(),
        newest_end=max(record.batch.end, _newest_end(job) or record.batch.end).isoformat(),
        input=job.digest,
        code_version=code_version(),
        **{name: str(getattr(record, name)) for name in COUNTED},
    )
