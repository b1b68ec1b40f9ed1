"""Merge: a checked batch becomes part of the curated table, in one commit whose snapshot names the batch.

- *snapshot*: the batch is the whole dataset. Stored rows whose key it no longer holds are deleted, but for those whose
  row was set aside; a batch whose interval ends before that of one merged already changes nothing.
- *upsert*: by key, the newest by `order_by` wins.
- *append*: what is stored never changes. The same row again is `unchanged`, another row of the same key is set aside.

Of the data files that hold a changed or deleted row, small ones are rewritten; in large ones the few rows that go are
marked as deleted, until they are a fifth of the file (ADR 0010). Small files are rewritten when they have become many.
Rows that stay keep their `_batch`, the batch that last changed them. A field that the entry gained is
null in the rows stored before; one that it lost stays in the table, null in rows written since, and is not
published, since publication follows the entry.

Where what is: `merging.planning` what is asked of an engine, `merging.local` DuckDB, `merging.sql` the statements of
every engine, `merging.counts` the record and what the snapshot says, `merging.aside` the keys of rows set aside,
`merging.refused` the rows that an append refuses, `merging.brake` what holds a batch.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lake import balance, datafiles, deletes, progress, store
from lake.deletes import Part, Positions
from lake.records import Checked, Merged
from lake.zones import identifier
from pipelines.context import Context
from pipelines.merging import aside, brake, counts, local, refused, sql
from pipelines.merging.planning import Job, Planner, Planning
from schemas.arrow import entry_schema
from schemas.errors import CommitConflict
from schemas.model import Entry, Field, Keep

TRIES: Final = 8
PRIVATE_GRADE: Final = 3
"""From this grade on a column's bounds stay out of footers and manifests (GB/T 43697)."""


def merge(ctx: Context, entry: Entry, checked: Checked) -> Merged:
    """Merge with DuckDB: see `merge_by`."""
    return merge_by(local.planning, ctx, entry, checked)


def merge_by(planning: Planning, ctx: Context, entry: Entry, checked: Checked) -> Merged:
    """Merge the batch and return its counts; a batch merged before, from the same input, is found and not repeated.

    CommitConflict if other runs keep committing first; LakeError if a field changed to a type that cannot hold the
    rows stored; Unbalanced if the rows do not add up, and DecisionNeeded if the batch is far from usual
    (`pipelines.merging.brake`), before anything is committed."""
    keys = aside.keys_aside(ctx, entry, checked.batch)
    made_of = _digest(entry, checked, *([aside.digest(keys)] if keys.num_rows else []))
    job = Job(ctx, entry, checked, identifier("curated", entry.id), keys, made_of)
    ctx.tables.ensure(
        job.table, curated_schema(entry), [f.name for f in entry.fields.values() if _private(f)]
    )
    for attempt in range(TRIES):
        try:
            return counts.merged_before(job) or _merge_once(job, planning)
        except CommitConflict:
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311  spreads competing runs, no secret
    raise CommitConflict(
        "other runs keep committing to the curated table first",
        dataset=entry.id,
        batch=checked.batch.id,
        next_step="run merge again when they are done",
    )


def _private(field: Field) -> bool:
    """Whether a column's bounds are kept nowhere: it is graded so, or a reader of the share zone gets it masked, as
    a free text that may hold anything."""
    return field.grade >= PRIVATE_GRADE or not isinstance(field.masks.share, Keep | None)


def curated_schema(entry: Entry) -> pa.Schema:
    """The entry's fields and `_batch`, the id of the batch that last changed the row."""
    return entry_schema(entry).append(pa.field(sql.BATCH, pa.string()))


def _digest(entry: Entry, checked: Checked, *more: str) -> str:
    parts = [
        *map(store.sha256_of, store.parts(checked.path)),
        store.sha256_of(checked.rejects) if checked.rejects else "",
        json.dumps([entry.merge.kind, entry.merge.order_by, entry.key, list(entry.fields)]),
        *more,
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _merge_once(job: Job, planning: Planning) -> Merged:
    """Plan against the current snapshot and commit on it: CommitConflict if it is no longer the current one."""
    tables = job.ctx.tables
    base = tables.current_snapshot(job.table)
    stored = [] if base is None else tables.parts(job.table, base)
    with planning(job, stored) as planner:
        planned = planner.supersede() if counts.is_late(job) else planner.plan()
        record = counts.record(job, planned, sum(part.rows for part in stored))
        brake.hold(job.ctx, job.entry, record, source=job.digest, base=base)
        if job.entry.merge.kind == "append":
            refused.set_aside(job, planner)
        change = _change(planner, stored)
        rows = _rows(planner, change, record)
        removed = [part.path for part in change.rewritten]
        snapshot = tables.replace(
            job.table, rows, removed, counts.said(job, record), base=base, deleted=change.deleted
        )
    return record.model_copy(update={"snapshot": snapshot})


@dataclass(frozen=True)
class _Change:
    """What a merge does to the data files: those that it writes anew, and how many of their rows stay; and places in
    others whose rows are marked as deleted."""

    rewritten: list[Part]
    stay: int
    deleted: dict[str, Positions]


def _change(planner: Planner, stored: list[Part]) -> _Change:
    going = planner.going()
    anew = deletes.rewritten(stored, going)
    stay = sum(part.rows - going.get(part.path, 0) for part in anew)
    marked = sorted(going.keys() - {part.path for part in anew})
    return _Change(anew, stay, {path: planner.places(path) for path in marked})


def _rows(planner: Planner, change: _Change, record: Merged) -> datafiles.Rows | None:
    """The rows of the new files, which stop the commit if there are not as many as the counts say."""
    if not (record.inserted or record.updated or change.rewritten):
        return None
    expected = ("rows to write", change.stay + record.inserted + record.updated)
    progress.expect(expected[1])

    def counted(rows: int) -> None:
        balance.require([balance.Sum((("rows written", rows),), (expected,))], "merge", record)

    return planner.rows(change.rewritten, counted)
