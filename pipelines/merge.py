"""Merge: a checked batch becomes part of the curated table, in one commit whose snapshot names the batch.

- *snapshot*: the batch is the whole dataset. Stored rows whose key it no longer holds are deleted; a batch whose
  interval ends before that of one merged already changes nothing.
- *upsert*: by key, the newest by `order_by` wins.
- *append*: what is stored never changes. The same row again is `unchanged`, another row of the same key is set aside.

Of the data files that hold a changed or deleted row, small ones are rewritten; in large ones the few rows that go are
marked as deleted, until they are a fifth of the file (ADR 0010). Small files are rewritten when they have become many.
Rows that stay keep their `_batch`, the batch that last changed them. A field that the entry gained is
null in the rows stored before; one that it lost stays in the table, null in rows written since, and is not
published, since publication follows the entry.

DuckDB decides and joins within its memory limit; the rows stream from it into the new files.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from lake import balance, properties, quarantine, store
from lake.deletes import Part, Positions
from lake.records import Checked, Merged
from lake.tables import Identifier
from lake.version import code_version
from pipelines import mergesql as sql
from pipelines.context import Context
from pipelines.engine import engine
from schemas.arrow import entry_schema
from schemas.errors import CommitConflict, EngineError
from schemas.model import Entry

TRIES: Final = 8
BATCH_ROWS: Final = 32 * 1024
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
RULE: Final = "append_only"
SMALL_ROWS: Final = 100_000
SMALL_FILES: Final = 64
DEAD: Final = 0.2
"""Of a data file's rows, the share that may be marked as deleted before it is written anew."""


@dataclass(frozen=True)
class _Job:
    """One batch on its way into one table; `digest` is of everything that decides the result besides the table."""

    ctx: Context
    entry: Entry
    checked: Checked
    table: Identifier
    digest: str


def merge(ctx: Context, entry: Entry, checked: Checked) -> Merged:
    """Merge the batch and return its counts; a batch merged before, from the same input, is found and not repeated.

    CommitConflict if other runs keep committing first; LakeError if a field changed to a type that cannot hold the
    rows stored; Unbalanced if the rows do not add up, before anything is committed."""
    job = _Job(ctx, entry, checked, ctx.tables.identifier("curated", entry.id), _digest(entry, checked))
    ctx.tables.ensure(job.table, curated_schema(entry))
    for attempt in range(TRIES):
        try:
            return _merged_before(job) or _merge_once(job)
        except CommitConflict:
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311  spreads competing runs, no secret
    raise CommitConflict(
        "other runs keep committing to the curated table first",
        dataset=entry.id,
        batch=checked.batch.id,
        next_step="run merge again when they are done",
    )


def curated_schema(entry: Entry) -> pa.Schema:
    """The entry's fields and `_batch`, the id of the batch that last changed the row."""
    return entry_schema(entry).append(pa.field(sql.BATCH, pa.string()))


def _digest(entry: Entry, checked: Checked) -> str:
    parts = [
        *map(store.sha256_of, store.parts(checked.path)),
        store.sha256_of(checked.rejects) if checked.rejects else "",
        json.dumps([entry.merge.kind, entry.merge.order_by, entry.key, list(entry.fields)]),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _merged_before(job: _Job) -> Merged | None:
    wanted = properties.named(batch=job.checked.batch.id, input=job.digest)
    found = job.ctx.tables.find_snapshot(job.table, **wanted)
    if found is None:
        return None
    snapshot, summary = found
    numbers = {name: int(properties.said(summary, name) or 0) for name in COUNTED}
    return Merged(batch=job.checked.batch, table=".".join(job.table), snapshot=snapshot, **numbers)


def _merge_once(job: _Job) -> Merged:
    """Plan against the current snapshot and commit on it: CommitConflict if it is no longer the current one."""
    tables = job.ctx.tables
    base = tables.current_snapshot(job.table)
    stored = [] if base is None else tables.parts(job.table, base)
    with engine(job.ctx.settings) as db, _engine_errors(job):
        _prepare(job, db, stored)
        counts = _all_superseded(db) if _is_late(job) else _plan(job, db, stored)
        record = _record(job, counts, sum(part.rows for part in stored))
        if job.entry.merge.kind == "append":
            _set_aside(job, db)
        change = _change(db, stored)
        rows = _rows(job, db, change.rewritten, record)
        removed = [part.path for part in change.rewritten]
        snapshot = tables.replace(
            job.table, rows, removed, _properties(job, record), base=base, deleted=change.deleted
        )
    return record.model_copy(update={"snapshot": snapshot})


@contextmanager
def _engine_errors(job: _Job) -> Iterator[None]:
    """DuckDB's messages may quote values: ours names the kind of failure."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise EngineError(
            f"the local engine could not merge the batch ({type(error).__name__})",
            dataset=job.entry.id,
            batch=job.checked.batch.id,
            next_step="see XUANWU_MEMORY and the free space of XUANWU_HOME, then run merge again",
        ) from None


@dataclass(frozen=True)
class _Change:
    """What a merge does to the data files: those that it writes anew, and places in others whose rows are marked as
    deleted."""

    rewritten: list[Part]
    deleted: dict[str, Positions]


def _change(db: duckdb.DuckDBPyConnection, stored: list[Part]) -> _Change:
    """Large files of which little goes stay; the others are written anew, and small ones once they are many, so that
    a table which gets a few rows every hour does not become thousands of files."""
    going = dict(db.execute(sql.TOUCHED).fetchall())
    small = [part for part in stored if part.rows < SMALL_ROWS]
    many = {part.path for part in small} if len(small) >= SMALL_FILES else set()
    stays = [part for part in stored if part.path not in many and _stays(part, going.get(part.path, 0))]
    places = {part.path: _places(db, part.path) for part in stays if part.path in going}
    kept = {part.path for part in stays}
    rewritten = [
        part for part in stored if part.path not in kept and (part.path in going or part.path in many)
    ]
    return _Change(rewritten, places)


def _stays(part: Part, going: int) -> bool:
    whole = part.file.record_count
    return not going or (whole >= SMALL_ROWS and whole - part.rows + going <= DEAD * whole)


def _places(db: duckdb.DuckDBPyConnection, path: str) -> Positions:
    return np.asarray(db.execute(sql.PLACES, [path]).fetchnumpy()["place"], np.int64)


def _prepare(job: _Job, db: duckdb.DuckDBPyConnection, stored: list[Part]) -> None:
    """Views on the batch and on the stored rows. The order of rows is not kept, which saves memory."""
    origin = [pa.field(sql.FILE, pa.string()), pa.field(sql.AT, pa.int64())]
    form = pa.schema([*job.ctx.tables.schema(job.table), *origin])
    db.execute("SET preserve_insertion_order = false")
    db.register("stored_form", form.empty_table())
    for statement in sql.relations(store.parts(job.checked.path), job.checked.rejects, stored):
        db.execute(statement)


def _is_late(job: _Job) -> bool:
    """Whether this is a snapshot older than one merged before: an older whole must not undo a newer one."""
    if job.entry.merge.kind != "snapshot":
        return False
    newest = _newest_end(job)
    return newest is not None and newest > job.checked.batch.end


def _newest_end(job: _Job) -> datetime | None:
    """The latest end of an interval merged so far. Each snapshot says it, so that it outlives those that upkeep
    forgets: a late batch may be the last one that was merged."""
    for _, summary in job.ctx.tables.snapshots(job.table):
        if newest := properties.said(summary, "newest_end"):
            return datetime.fromisoformat(newest)
    return None


def _all_superseded(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    db.execute(sql.NO_PLAN)
    rows = _numbers(db, "SELECT 'rows_in', count(*) FROM incoming")["rows_in"]
    return {"rows_in": rows, "superseded": rows}


def _plan(job: _Job, db: duckdb.DuckDBPyConnection, stored: list[Part]) -> dict[str, int]:
    """Decide what becomes of each row; returns rows by action."""
    db.execute(sql.rank(job.entry))
    if job.entry.merge.kind == "upsert":
        db.execute(sql.matched(job.entry, job.checked.batch))
        level = {path for (path,) in db.execute(sql.LEVEL).fetchall()}
        db.execute(sql.same(job.entry, [part for part in stored if part.path in level]))
        db.execute(sql.PLANNED)
    else:
        db.execute(sql.plan(job.entry))
    if job.entry.merge.kind == "snapshot":
        db.execute(sql.deletions(job.entry))
    return _numbers(db, sql.COUNTS)


def _numbers(db: duckdb.DuckDBPyConnection, query: str) -> dict[str, int]:
    return {name: int(rows) for name, rows in db.execute(query).fetchall()}


def _record(job: _Job, counts: dict[str, int], before: int) -> Merged:
    """The counts as a record, its snapshot still to come. Each is counted by itself, so that the sums can fail."""
    inserted, deleted = counts.get("insert", 0), counts.get("delete", 0)
    record = Merged(
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
    checked = balance.between("merge", job.checked.rows_out, record.rows_in)
    balance.require([*balance.within(record), checked], "merge", record)
    return record


def _set_aside(job: _Job, db: duckdb.DuckDBPyConnection) -> None:
    """Put what an append-only table refuses into quarantine: the same rows again where the merge is run again."""
    reader = db.execute(sql.refused(job.entry)).to_arrow_reader(BATCH_ROWS)
    rows = (_refusal(job, batch) for batch in reader)
    stream = pa.RecordBatchReader.from_batches(quarantine.SCHEMA, rows)
    quarantine.put(job.ctx.tables, job.entry.id, job.checked.batch.id, "merge", stream)


def _refusal(job: _Job, batch: pa.RecordBatch) -> pa.RecordBatch:
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


def _rows(
    job: _Job, db: duckdb.DuckDBPyConnection, rewritten: list[Part], record: Merged
) -> pa.RecordBatchReader | None:
    """The rows of the new files as a stream that stops the commit if there are not as many as the counts say."""
    if not (record.inserted or record.updated or rewritten):
        return None
    columns = job.ctx.tables.schema(job.table).names
    going = dict(db.execute(sql.TOUCHED).fetchall())
    stay = sum(part.rows - going.get(part.path, 0) for part in rewritten)
    expected = ("rows to write", stay + record.inserted + record.updated)
    query = sql.result(job.entry, job.checked.batch, rewritten, columns)
    reader = db.execute(query).to_arrow_reader(BATCH_ROWS)

    def counted() -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in reader:
            rows += batch.num_rows
            yield batch
        balance.require([balance.Sum((("rows written", rows),), (expected,))], "merge", record)

    return pa.RecordBatchReader.from_batches(reader.schema, counted())


def _properties(job: _Job, record: Merged) -> dict[str, str]:
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
