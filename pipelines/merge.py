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

DuckDB decides within its memory limit, and says of each of the batch's rows in a bit whether it is written. These rows,
and what stays of the files that are rewritten, stream into the new ones.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lake import balance, datafiles, deletes, memory, progress, properties, quarantine, store
from lake.deletes import Part, Positions
from lake.parquet import few_values
from lake.records import Checked, Merged
from lake.version import code_version
from lake.zones import Identifier, identifier
from pipelines.context import Context
from pipelines.engine import engine, engine_errors
from pipelines.merging import aside, brake, sql
from schemas.arrow import SEQ, entry_schema
from schemas.errors import CommitConflict, LakeError
from schemas.model import Entry, Field, Keep

TRIES: Final = 8
PRIVATE_GRADE: Final = 3
"""From this grade on a column's bounds stay out of footers and manifests (GB/T 43697)."""
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
Bits: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Job:
    """One batch on its way into one table; `aside` are the keys of rows that its source holds and that could not be
    standardised, `digest` is of everything that decides the result besides the table."""

    ctx: Context
    entry: Entry
    checked: Checked
    table: Identifier
    aside: pa.Table
    digest: str


def merge(ctx: Context, entry: Entry, checked: Checked) -> Merged:
    """Merge with DuckDB: see `merge_by`."""
    return merge_by(_local, ctx, entry, checked)


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
            return _merged_before(job) or _merge_once(job, planning)
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


def _merged_before(job: Job) -> Merged | None:
    wanted = properties.named(batch=job.checked.batch.id, input=job.digest)
    found = job.ctx.tables.find_snapshot(job.table, **wanted)
    if found is None:
        return None
    snapshot, summary = found
    numbers = {name: int(properties.said(summary, name) or 0) for name in COUNTED}
    return Merged(batch=job.checked.batch, table=".".join(job.table), snapshot=snapshot, **numbers)


class Planner(Protocol):
    """An engine that decides what becomes of a batch's rows, by the statements of `merging.sql`."""

    def plan(self) -> dict[str, int]:
        """Decide; returns rows by action, and `rows_in`."""

    def supersede(self) -> dict[str, int]:
        """Decide that no row changes anything; the same counts."""

    def refused(self) -> Iterable[pa.RecordBatch]:
        """Rows that an append-only table does not take: `file`, `row`, `data`."""

    def going(self) -> dict[str, int]:
        """Of each stored file the rows that are changed or deleted, where there are any."""

    def places(self, path: str) -> Positions:
        """Where in the file they are, rising."""

    def rows(self, rewritten: list[Part], counted: Counted) -> datafiles.Rows:
        """The rows of the new files; `counted` is told how many they are before they are committed."""


Counted = Callable[[int], None]
Planning = Callable[["Job", list[Part]], AbstractContextManager[Planner]]


def _merge_once(job: Job, planning: Planning) -> Merged:
    """Plan against the current snapshot and commit on it: CommitConflict if it is no longer the current one."""
    tables = job.ctx.tables
    base = tables.current_snapshot(job.table)
    stored = [] if base is None else tables.parts(job.table, base)
    with planning(job, stored) as planner:
        counts = planner.supersede() if _is_late(job) else planner.plan()
        record = _record(job, counts, sum(part.rows for part in stored))
        brake.hold(job.ctx, job.entry, record, source=job.digest, base=base)
        if job.entry.merge.kind == "append":
            _set_aside(job, planner)
        change = _change(planner, stored)
        rows = _rows(planner, change, record)
        removed = [part.path for part in change.rewritten]
        snapshot = tables.replace(
            job.table, rows, removed, _properties(job, record), base=base, deleted=change.deleted
        )
    return record.model_copy(update={"snapshot": snapshot})


@contextmanager
def _local(job: Job, stored: list[Part]) -> Iterator[Planner]:
    """DuckDB, whose failures are errors of ours."""
    failing = engine_errors("merge the batch", "merge", dataset=job.entry.id, batch=job.checked.batch.id)
    with failing, engine(job.ctx.settings) as db:
        yield _Local(job, db, stored)


class _Local:
    """The plan as tables of one DuckDB connection. The order of rows is not kept, which saves memory."""

    def __init__(self, job: Job, db: duckdb.DuckDBPyConnection, stored: list[Part]) -> None:
        self._job, self._db, self._stored = job, db, stored
        origin = [pa.field(sql.FILE, pa.string()), pa.field(sql.AT, pa.int64())]
        form = pa.schema([*job.ctx.tables.schema(job.table), *origin])
        db.execute("SET preserve_insertion_order = false")
        db.register("stored_form", form.empty_table())
        db.register("aside", job.aside)
        for statement in [
            *sql.short([part.path for part in stored]),
            *sql.relations(store.parts(job.checked.path), job.checked.rejects, stored),
        ]:
            db.execute(statement)

    def plan(self) -> dict[str, int]:
        entry = self._job.entry
        self._keep("duplicate", sql.duplicate(entry, sql.often(entry)))
        if entry.merge.kind == "upsert":
            self._keep("matched", sql.matched(entry, self._job.checked.batch), sql.SHORT_FILE)
            level = {path for (path,) in self._db.execute(sql.LEVEL).fetchall()}
            stored = sql.stored_rows([part for part in self._stored if part.path in level])
            self._keep("same", sql.same(entry, f"({stored})"))
            self._keep("plan", sql.PLANNED, sql.SHORT_ACTION)
            self._drop("matched", "same")
        else:
            self._keep("plan", sql.plan(entry), f"{sql.SHORT_FILE}, {sql.SHORT_ACTION}")
        if entry.merge.kind == "snapshot":
            self._db.execute(f"INSERT INTO plan {sql.deletions(entry)}")
        return self._numbers(sql.COUNTS)

    def supersede(self) -> dict[str, int]:
        self._db.execute(sql.NO_PLAN)
        rows = self._numbers("SELECT 'rows_in', count(*) FROM incoming")["rows_in"]
        return {"rows_in": rows, "superseded": rows}

    def _keep(self, table: str, query: str, short: str = "") -> None:
        said = f"SELECT * REPLACE ({short}) FROM ({query})" if short else query
        self._db.execute(f"CREATE TEMP TABLE {table} AS {said}")

    def _drop(self, *tables: str) -> None:
        """What the plan was made of takes as much memory as the plan, while the rows are read and written."""
        for table in tables:
            self._db.execute(f"DROP TABLE {table}")

    def _numbers(self, query: str) -> dict[str, int]:
        return {name: int(rows) for name, rows in self._db.execute(query).fetchall()}

    def refused(self) -> pa.RecordBatchReader:
        return self._db.execute(sql.refused(self._job.entry)).to_arrow_reader(BATCH_ROWS)

    def going(self) -> dict[str, int]:
        return self._numbers(sql.TOUCHED)

    def places(self, path: str) -> Positions:
        return np.asarray(self._db.execute(sql.PLACES, [path]).fetchnumpy()["place"], np.int64)

    def rows(self, rewritten: list[Part], counted: Counted) -> Iterator[pa.RecordBatch]:
        """Which rows of the batch are written is a bit for each: a join would hold them all, or spill them. With what
        goes of the files it is all that is still asked of DuckDB, whose memory is the writer's from then on."""
        written, going = self._written(), {part.path: self.places(part.path) for part in rewritten}
        self._db.close()
        memory.give_back()
        rows = 0
        for batch in itertools.chain(
            self._stays(rewritten, going), self._fresh(written, encoded=not rewritten)
        ):
            rows += batch.num_rows
            progress.passed(batch.num_rows)
            yield batch
        counted(rows)

    def _written(self) -> Bits:
        """By `_seq`, which of the batch's rows are new or changed."""
        written = np.zeros(self._numbers(sql.LAST)["last"] + 1, np.bool_)
        for batch in self._db.execute(sql.WRITTEN).to_arrow_reader(BATCH_ROWS):
            written[batch.column(0).to_numpy()] = True
        return written

    def _stays(self, rewritten: list[Part], going: dict[str, Positions]) -> Iterator[pa.RecordBatch]:
        tables, table = self._job.ctx.tables, self._job.table
        for part in rewritten:
            for batch, places in tables.read_places(table, part, tables.schema(table).names):
                stay = np.isin(places, going[part.path], invert=True)
                yield batch if stay.all() else batch.filter(pa.array(stay))

    def _fresh(self, written: Bits, *, encoded: bool) -> Iterator[pa.RecordBatch]:
        """The batch's rows; texts of few values as numbers in a dictionary, where no other rows come with them that are
        text: of a file that takes both the row groups would end where the one follows the other."""
        fields, batch_id = list(self._job.entry.fields), self._job.checked.batch.id
        for path in store.parts(self._job.checked.path):
            filesystem, inner = store.filesystem(path)
            footer = pq.read_metadata(inner, filesystem=filesystem)
            few = few_values(footer) if encoded else []
            with pq.ParquetFile(
                inner, filesystem=filesystem, metadata=footer, read_dictionary=few, pre_buffer=False
            ) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=[*fields, SEQ.name], use_threads=False):
                    new = written[batch.column(SEQ.name).to_numpy()]
                    kept = batch.select(fields) if new.all() else batch.select(fields).filter(pa.array(new))
                    if kept.num_rows:
                        yield kept.append_column(sql.BATCH, pa.repeat(batch_id, kept.num_rows))


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


def _is_late(job: Job) -> bool:
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


def _record(job: Job, counts: dict[str, int], before: int) -> Merged:
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


def _set_aside(job: Job, planner: Planner) -> None:
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


def _rows(planner: Planner, change: _Change, record: Merged) -> datafiles.Rows | None:
    """The rows of the new files, which stop the commit if there are not as many as the counts say."""
    if not (record.inserted or record.updated or change.rewritten):
        return None
    expected = ("rows to write", change.stay + record.inserted + record.updated)
    progress.expect(expected[1])

    def counted(rows: int) -> None:
        balance.require([balance.Sum((("rows written", rows),), (expected,))], "merge", record)

    return planner.rows(change.rewritten, counted)


def _properties(job: Job, record: Merged) -> dict[str, str]:
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
