"""Publish with Spark: workers mask, and put what is shared into an order that tells nothing.

    curated files ─worker─► masked files, in a zone that only the pipeline reads ─driver─► the gates look at every row
                                      └─worker─► shuffled, as data files of the share table

The gates are one process: they count over the whole release, in DuckDB's bounded memory. What the disclosure gate
judges (the open zone, and share policies that ask for it) is also ordered and written here, as by the local engine; and
an increment of a share table, which is little. Noise is drawn by the local engine alone, in the rows' own order.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from lake import datafiles, store, zones
from lake.records import Merged, Published
from pipelines.context import Context
from pipelines.gates import disclosure
from pipelines.publish import publish_by
from pipelines.publishing.job import Job, Masked, Watch, origins_of, unbalanced
from pipelines.publishing.origins import FILE, PLACE
from pipelines.publishing.rows import judged_rows
from pipelines.spark import frames
from pipelines.spark.session import Spark, session
from pipelines.spark.spread import cluster_errors, spread
from pipelines.spark.worker.mask import Shared, mask, write
from schemas.model import Entry, Zone


def publish(ctx: Context, entry: Entry, merged: Merged, zone: Zone, policy: str) -> Published:
    """See `pipelines.publish.publish_by`."""
    return publish_by(ctx, entry, merged, zone, policy, masking=_masking)


@contextmanager
def _masking(job: Job, source: int) -> Iterator[Masked]:
    """The masked rows as files, which are gone afterwards."""
    spark, batch = session(job.ctx.settings), job.merged.batch
    folder = store.join(
        zones.folder(job.ctx.settings, "standard", batch.dataset, batch.id),
        f"masked-{job.zone}-{job.policy}",
        job.masks_hash[:16],
    )
    store.remove_tree(folder)
    try:
        yield _masked(job, source, spark, folder)
    finally:
        store.remove_tree(folder)


def _masked(job: Job, source: int, spark: Spark, folder: str) -> Masked:
    parts = frames.files(job.ctx.tables.parts(job.curated, source))
    form = job.schema.append(FILE).append(PLACE)
    shared = Shared(
        plan=job.plan,
        fields={name: job.entry.fields[name] for name in job.plan},
        key=job.key,
        domain=job.work.domain,
        curated=job.ctx.tables.file_schema(job.curated),
        form=form,
        origins=origins_of(job, source),
        folder=folder,
    )
    paths = spread(spark, partial(mask, shared), list(enumerate(parts)))
    return _Spark(job, spark, paths, shared)


@dataclass(frozen=True)
class _Spark:
    """Masked once, read again by each who asks."""

    job: Job
    spark: Spark
    paths: Sequence[str]
    shared: Shared

    def rows(self) -> Iterator[pa.RecordBatch]:
        for batch in frames.stored_rows(self.paths):
            yield batch.select(self.job.schema.names)

    def final(self, judged: disclosure.Judged, watched: Watch) -> datafiles.Rows:
        if self.job.zone == "share" and not self.job.limits:
            return partial(self._shuffled, watched)
        return judged_rows(self.job, self.rows(), judged, watched)

    def _shuffled(self, watched: Watch, folder: str, schema: pa.Schema) -> list[str]:
        """First the gate sees every row; then the workers deal them out at random and write them."""
        rows = sum(batch.num_rows for batch in watched(self.rows()))
        origins, prefix = self.shared.origins, uuid.uuid4().hex
        with cluster_errors():
            dealt = _dealt(frames.parquet(self.spark, self.paths, self.shared.form), rows)
        paths, written = frames.data_files(
            dealt, folder, schema, prefix, partial(write, origins, folder, schema)
        )
        if written != rows:
            store.remove_files([*paths, *map(origins.beside, paths)])
            raise unbalanced(self.job, rows, written)
        return paths


def _dealt(frame: frames.Frame, rows: int) -> frames.Frame:
    """The rows in a random order, a partition for each data file. The seed is secret and the same for every attempt: a
    partition that is made again is the one that was lost."""
    from pyspark.sql import functions as F

    files = max(1, -(-rows // datafiles.FILE_ROWS))
    drawn = frame.withColumn("_drawn", F.rand(secrets.randbits(63)))
    return drawn.repartition(files, "_drawn").sortWithinPartitions("_drawn").drop("_drawn")
