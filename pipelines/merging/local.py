"""Merge on this machine: DuckDB decides within its memory limit, and says of each of the batch's rows in a bit whether
it is written. These rows, and what stays of the files that are rewritten, stream into the new ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lake import memory, progress, store
from lake.deletes import Part, Positions
from lake.parquet import few_values
from pipelines.engine import engine, engine_errors
from pipelines.merging import sql
from pipelines.merging.planning import Counted, Job, Planner
from schemas.arrow import SEQ

BATCH_ROWS: Final = 32 * 1024
Bits: TypeAlias = NDArray[np.bool_]


@contextmanager
def planning(job: Job, stored: list[Part]) -> Iterator[Planner]:
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
