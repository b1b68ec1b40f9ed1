"""Columns obtained by sharing, joined on Spark: the join of `pipelines.enrich`, over many machines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pyarrow as pa

from lake import store
from lake.zones import identifier
from pipelines import enrich as local
from pipelines.context import Context
from pipelines.spark import frames
from pipelines.spark.session import Spark
from pipelines.spark.spread import cluster_errors
from pipelines.spark.sql import translated
from pipelines.spark.worker.join import write
from pipelines.views import current
from schemas.arrow import entry_schema, standard_schema
from schemas.model import Entry

OWN = "xuanwu_own"


def enrich(ctx: Context, spark: Spark, entry: Entry, folder: str) -> tuple[str, dict[str, int]]:
    """Fill the entry's `from:` fields of the rows in a folder. Returns the folder that holds the rows then, and by
    field the rows that found no partner: see `pipelines.enrich.enrich`, and its errors."""
    shared = {name: field.shared_from for name, field in entry.fields.items() if field.shared_from}
    if not shared:
        return folder, {}
    lookups, schema = local.lookups_of(shared), standard_schema(entry)
    with cluster_errors():
        views = {dataset: _view(ctx, spark, entry, dataset, lookups) for dataset, _, _ in lookups}
        for dataset, _, key in lookups:
            other = ctx.catalogue.entry(dataset)
            double = spark.sql(translated(local.double_keys(other, key), views)).first()[0]
            local.refuse_double_keys(other, key, entry.id, double)
        frames.parquet(spark, store.list_files(folder), schema).createOrReplaceTempView(OWN)
        joined = spark.sql(translated(local.joined(ctx, entry, lookups, OWN), views))
    target = f"{folder}-joined"
    store.remove_tree(target)
    reports = frames.written(joined, partial(write, target, schema, len(lookups)))
    store.remove_tree(folder)
    missed = [sum(report[number] for report in reports) for number in range(len(lookups))]
    return target, local.unmatched(shared, lookups, missed)


def _view(ctx: Context, spark: Spark, entry: Entry, dataset: str, lookups: Sequence[local.Lookup]) -> str:
    """The columns of the other dataset's curated rows that the lookups need, in its entry's types."""
    from pyspark.sql import functions as F

    other, table = ctx.catalogue.entry(dataset), identifier("curated", dataset)
    snapshot = current(ctx.tables, other, entry.id)
    given = [
        f.shared_from.field
        for f in entry.fields.values()
        if f.shared_from and f.shared_from.dataset == dataset
    ]
    names = list(dict.fromkeys([*(key for name, _, key in lookups if name == dataset), *given]))
    rows = frames.table(
        spark, frames.files(ctx.tables.parts(table, snapshot)), ctx.tables.file_schema(table), names
    )
    kinds = frames.spark_schema(pa.schema([entry_schema(other).field(name) for name in names]))
    view = f"xuanwu_{'__'.join(dataset.split('.'))}"
    rows.select(*(F.col(f.name).cast(f.dataType) for f in kinds)).createOrReplaceTempView(view)
    return view
