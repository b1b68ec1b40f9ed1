"""Merge on Spark: the statements of `merging.sql` over many machines, the new files by the workers, one commit here.

Iceberg's own MERGE INTO is not used: it commits before anybody has seen the counts, and then nothing holds a batch that
does not balance or that a person must decide upon (see docs/adr).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pyarrow as pa

from lake import datafiles, progress, store, zones
from lake.deletes import Part, Positions
from lake.records import Checked, Merged
from pipelines.context import Context
from pipelines.merge import merge_by
from pipelines.merging import sql
from pipelines.merging.planning import Counted, Job, Planner
from pipelines.spark import frames
from pipelines.spark.frames import Frame
from pipelines.spark.session import Spark, session
from pipelines.spark.spread import cluster_errors
from pipelines.spark.sql import translated
from pipelines.spark.worker import rowjson
from schemas.arrow import standard_schema
from schemas.model import Entry

ORIGIN = (sql.FILE, sql.AT)
REWRITTEN = "rewritten"


def merge(ctx: Context, entry: Entry, checked: Checked) -> Merged:
    """See `pipelines.merge.merge_by`."""
    return merge_by(_planning, ctx, entry, checked)


@contextmanager
def _planning(job: Job, stored: list[Part]) -> Iterator[Planner]:
    planner = _Spark(job, session(job.ctx.settings), stored)
    try:
        with cluster_errors():
            planner.lay_out()
            yield planner
    finally:
        planner.close()


class _Spark:
    """The plan as views of the session, those that are asked again and again kept by the workers."""

    def __init__(self, job: Job, spark: Spark, stored: list[Part]) -> None:
        self._job, self._spark, self._stored = job, spark, stored
        self._schema = job.ctx.tables.file_schema(job.table)
        self._kept: list[Frame] = []
        self._counts: dict[str, int] = {}
        batch = job.checked.batch
        folder = zones.folder(job.ctx.settings, "standard", batch.dataset, batch.id)
        self._aside = store.join(folder, "refused")

    def lay_out(self) -> None:
        """`standard`, `incoming` and `aside`."""
        checked, spark = self._job.checked, self._spark
        rows = [tuple(row.values()) for row in self._job.aside.to_pylist()]
        keys = frames.spark_schema(self._job.aside.schema)
        spark.createDataFrame(rows, keys).createOrReplaceTempView("aside")
        standard = frames.parquet(spark, store.parts(checked.path), standard_schema(self._job.entry))
        incoming = standard
        if checked.rejects is not None:
            rejects = frames.parquet(spark, [checked.rejects], pa.schema([("_seq", pa.int64())]))
            incoming = standard.join(rejects, "_seq", "left_anti")
        standard.createOrReplaceTempView("standard")
        self._view("incoming", incoming)

    def _view(self, name: str, frame: Frame) -> None:
        """A view whose rows the workers keep, on disk what their memory does not hold."""
        kept = frame.persist()
        kept.createOrReplaceTempView(name)
        self._kept.append(kept)

    def _keep(self, name: str, query: str) -> None:
        self._view(name, self._spark.sql(translated(query)))

    def _rows_of(self, parts: Iterable[Part], columns: list[str]) -> Frame:
        return frames.table(self._spark, frames.files(parts), self._schema, columns, ORIGIN)

    def plan(self) -> dict[str, int]:
        entry = self._job.entry
        self._keep("duplicate", sql.duplicate(entry))
        if entry.merge.kind == "upsert":
            self._plan_upsert(entry)
        else:
            fields = list(entry.fields)
            self._rows_of(self._stored, fields).createOrReplaceTempView("stored")
            deleted = f" UNION ALL {sql.deletions(entry)}" if entry.merge.kind == "snapshot" else ""
            self._keep("plan", sql.plan(entry) + deleted)
        self._counts = self._numbers(sql.COUNTS)
        return self._counts

    def _plan_upsert(self, entry: Entry) -> None:
        """Of the stored rows keys and times first, and only where these agree all that they hold."""
        names = dict.fromkeys([*entry.key, str(entry.merge.order_by), sql.BATCH])
        self._rows_of(self._stored, list(names)).createOrReplaceTempView("stored")
        self._keep("matched", sql.matched(entry, self._job.checked.batch))
        level = {row[0] for row in self._spark.sql(translated(sql.LEVEL)).collect()}
        whole = self._rows_of((part for part in self._stored if part.path in level), list(entry.fields))
        whole.createOrReplaceTempView("level_rows")
        self._keep("same", sql.same(entry, "level_rows"))
        self._keep("plan", sql.PLANNED)

    def supersede(self) -> dict[str, int]:
        empty = "_seq long, file string, place long, action string"
        self._view("plan", self._spark.createDataFrame([], empty))
        rows = self._numbers("SELECT 'rows_in', count(*) FROM incoming")["rows_in"]
        return {"rows_in": rows, "superseded": rows}

    def _numbers(self, query: str) -> dict[str, int]:
        return {name: int(rows) for name, rows in self._spark.sql(translated(query)).collect()}

    def refused(self) -> Iterator[pa.RecordBatch]:
        entry, rows = self._job.entry, self._spark.sql(translated(sql.REFUSED))
        store.remove_tree(self._aside)
        files = frames.spilled(rows, self._aside, rowjson.schema(), partial(rowjson.rows, entry, ()))
        return frames.stored_rows(files)

    def going(self) -> dict[str, int]:
        return self._numbers(sql.TOUCHED)

    def places(self, path: str) -> Positions:
        rows = self._spark.sql(translated(sql.PLACES.replace("?", ":path")), {"path": path})
        return np.asarray([row[0] for row in rows.collect()], np.int64)

    def rows(self, rewritten: list[Part], counted: Counted) -> datafiles.Writer:
        new = sum(self._counts.get(action, 0) for action in ("insert", "update"))
        expected = sum(part.rows for part in rewritten) + new

        def write(folder: str, schema: pa.Schema) -> list[str]:
            frame = self._result(rewritten, schema.names)
            files = max(1, -(-expected // datafiles.FILE_ROWS))
            spread = frame.repartition(files, *self._job.entry.key)
            paths, rows = frames.data_files(spread, folder, schema, uuid.uuid4().hex)
            progress.passed(rows)
            try:
                counted(rows)
            except BaseException:
                store.remove_files(paths)
                raise
            return paths

        return write

    def _result(self, rewritten: list[Part], columns: list[str]) -> Frame:
        fresh = self._spark.sql(translated(sql.fresh(self._job.entry, self._job.checked.batch)))
        if not rewritten:
            return fresh
        self._rows_of(rewritten, columns).createOrReplaceTempView(REWRITTEN)
        stays = self._spark.sql(translated(sql.stays(REWRITTEN, columns)))
        return stays.unionByName(fresh, allowMissingColumns=True)

    def close(self) -> None:
        for frame in self._kept:
            frame.unpersist()
        store.remove_tree(self._aside)
