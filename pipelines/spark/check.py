"""Check on Spark: Great Expectations' Spark engine counts, the workers say which rows, the verdict is reached here.

standard files ─worker─► rows with a boolean for each of our rules ─► Great Expectations ─► failing `_seq`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pyarrow as pa

from expectations.flags import Flags
from expectations.known import referenced_datasets
from expectations.sqltables import BATCH, FAILURES, SEQ
from lake import store, zones
from lake.records import Checked, Standardised
from lake.zones import identifier
from pipelines import checksql as sql
from pipelines.check import conclude, known
from pipelines.context import Context
from pipelines.spark import frames
from pipelines.spark.frames import Frame
from pipelines.spark.session import Spark, session
from pipelines.spark.spread import cluster_errors
from pipelines.spark.sql import translated
from pipelines.spark.worker import flagged, rowjson
from schemas.arrow import standard_schema
from schemas.model import Entry
from schemas.verdict import CheckResult

REJECTS = pa.schema([("_seq", pa.int64())])


def check(ctx: Context, entry: Entry, standardised: Standardised) -> Checked:
    """See `pipelines.check.check`."""
    with _judging(ctx, entry, standardised) as found:
        return conclude(ctx, entry, standardised, found)


@contextmanager
def _judging(ctx: Context, entry: Entry, standardised: Standardised) -> Iterator[_Spark]:
    judgement = _Spark(ctx, session(ctx.settings), entry, standardised)
    try:
        with cluster_errors():
            judgement.judge()
            yield judgement
    finally:
        judgement.close()


class _Spark:
    """The batch and its failures as views of the session, kept by the workers while they are asked."""

    results: tuple[CheckResult, ...]
    rows: int

    def __init__(self, ctx: Context, spark: Spark, entry: Entry, standardised: Standardised) -> None:
        self._ctx, self._spark, self._entry, self._standardised = ctx, spark, entry, standardised
        self._kept: list[Frame] = []
        batch = standardised.batch
        self._folder = store.join(zones.folder(ctx.settings, "standard", batch.dataset, batch.id), "checked")

    def judge(self) -> None:
        from expectations.spark import run

        ctx = self._ctx
        named = referenced_datasets(self._entry)
        there = frozenset(n for n in named if ctx.tables.exists(identifier("curated", n)))
        self.results, failures = run(self._entry, known(ctx, self._standardised, there), self._lay)
        none = failures is None
        kept = self._spark.createDataFrame([], "number int, seq long") if none else failures
        self._keep(FAILURES, kept)
        self.rows = self._spark.table(BATCH).count()

    def _keep(self, name: str, frame: Frame) -> Frame:
        kept = frame.persist()
        kept.createOrReplaceTempView(name)
        self._kept.append(kept)
        return kept

    def _lay(self, flags: Flags, elsewhere: Sequence[tuple[str, str, str, str]]) -> tuple[Frame, Frame]:
        """The batch with its flags; and its fields, moments without a zone, since Python takes those as they are."""
        from pyspark.sql import functions as F

        schema = standard_schema(self._entry)
        files = store.parts(self._standardised.path)
        work = partial(flagged.rows, flags, tuple(schema.names))
        rows = frames.read(self._spark, files, flags.schema(schema), work)
        for dataset, field, column, name in elsewhere:
            rows = self._looked_up(rows, dataset, field, column, name)
        batch = self._keep(BATCH, rows)
        plain = [
            (F.col(name).cast("timestamp_ntz") if field.type == "timestamp" else F.col(name)).alias(name)
            for name, field in self._entry.fields.items()
        ]
        return batch, batch.select(*plain)

    def _looked_up(self, rows: Frame, dataset: str, field: str, column: str, name: str) -> Frame:
        """The rows with a boolean: whether their value stands in the other dataset's curated rows."""
        from pyspark.sql import functions as F

        tables = self._ctx.tables
        table = identifier("curated", dataset)
        files = frames.files(tables.parts(table))
        other = frames.table(self._spark, files, tables.file_schema(table), [field])
        values = other.select(F.col(field).alias(f"{name}_key")).distinct()
        joined = rows.join(values, rows[column] == values[f"{name}_key"], "left")
        return joined.withColumn(name, F.col(f"{name}_key").isNotNull()).drop(f"{name}_key")

    def count_rejects(self, numbers: Sequence[int]) -> int:
        return int(self._spark.sql(translated(sql.count_rejects(numbers))).first()[0])

    def rejects(self, numbers: Sequence[int]) -> pa.RecordBatchReader:
        frame = self._spark.sql(translated(sql.rejects(numbers)))
        files = frames.spilled(frame, store.join(self._folder, "rejects"), REJECTS)
        return pa.RecordBatchReader.from_batches(REJECTS, frames.stored_rows(files))

    def aside(self, numbers: Sequence[int]) -> pa.RecordBatchReader:
        words = sql.words(len(numbers))
        failed = self._spark.sql(translated(sql.failed(numbers))).withColumnRenamed("seq", SEQ)
        frame = self._spark.table(BATCH).join(failed, SEQ)
        schema = rowjson.schema(words)
        write = partial(rowjson.rows, self._entry, words)
        files = frames.spilled(frame, store.join(self._folder, "aside"), schema, write)
        return pa.RecordBatchReader.from_batches(schema, frames.stored_rows(files))

    def places(self, number: int, most: int) -> list[tuple[str, int]]:
        rows = self._spark.sql(translated(sql.places(number, most))).collect()
        return [(file, row) for file, row in rows]

    def close(self) -> None:
        for frame in self._kept:
            frame.unpersist()
        store.remove_tree(self._folder)
