"""Standardise on Spark: each worker reads a part of what landed and writes one Parquet file of the batch.

    landed file, or row groups of one ─worker─► rows/00007.parquet      ─► enrich ─► the standardised batch
                                       └──────► rejects/00007.parquet   ─driver─► quarantine, in one commit

A landed Parquet file is shared out by row groups. Any other file is one worker's: where a row of a CSV begins cannot be
told in its middle. `_seq` is the row's number in the batch, as the local engine counts it: the rows of every landed
file are known since it was collected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from lake import progress, quarantine, store, zones
from lake.records import Landed, LandedFile, Standardised
from lake.rejected import SCHEMA
from pipelines.casting.converting import plan
from pipelines.context import Context
from pipelines.drift.codes import Unknown, add, told
from pipelines.quarantine.corrections import corrections_of
from pipelines.spark import enrich
from pipelines.spark.frames import stored_rows
from pipelines.spark.session import session
from pipelines.spark.spread import spread
from pipelines.spark.worker.convert import Done, Shared, Unit, convert
from pipelines.telling import file_name
from schemas.errors import Unbalanced
from schemas.model import Entry

TASK_ROWS = 1_000_000
"""Rows of a Parquet file that one task takes, about."""


def standardise(ctx: Context, entry: Entry, landed: Landed) -> Standardised:
    """See `pipelines.standardise.standardise`: the same record, but for a folder in the place of a file."""
    spark = session(ctx.settings)
    folder = zones.folder(ctx.settings, "standard", entry.id, landed.batch.id)
    rows, rejects = store.join(folder, "rows"), store.join(folder, "rejects")
    for before in (rows, rejects):
        store.remove_tree(before)
    columns = plan(entry, ctx.catalogue)
    corrections = corrections_of(ctx, landed, {column.source for column in columns})
    shared = Shared(entry, columns, corrections, landed.batch.id, ctx.clock(), folder)
    units = list(shared_out(landed.files))
    done = spread(spark, partial(convert, shared), units)
    for unit, report in zip(units, done, strict=True):
        _require_all(unit, report, entry.id)
        progress.passed(report.rows_in)
    corrected = sum(report.corrected for report in done)
    corrections.require(landed, corrected)
    stream = pa.RecordBatchReader.from_batches(SCHEMA, stored_rows([d.rejects for d in done if d.rejects]))
    quarantined = quarantine.put(ctx.tables, entry.id, landed.batch.id, "standardise", stream)
    store.remove_tree(rejects)
    path, unmatched = enrich.enrich(ctx, spark, entry, rows)
    return Standardised(
        batch=landed.batch,
        path=path,
        rows_in=sum(report.rows_in for report in done),
        rows_out=sum(report.rows_out for report in done),
        quarantined=quarantined,
        corrected=corrected,
        corrections=corrections.acts,
        unmatched=unmatched,
        unknown_codes=unknown_codes(done),
    )


def shared_out(files: Sequence[LandedFile]) -> Iterator[Unit]:
    """The units of a batch, in the order of its rows. A file with erased rows is not shared out: the places that they
    left are counted over the whole file."""
    first = number = 0
    for file in files:
        sizes = _groups(file) if file.format == "parquet" and not file.erased and not file.member else []
        cut: list[tuple[int, ...] | None] = [*_cut(sizes)]
        for groups in cut or [None]:
            rows = file.rows if groups is None else sum(sizes[group] for group in groups)
            yield Unit(number, file, first, rows, groups)
            first, number = first + rows, number + 1


def _groups(file: LandedFile) -> list[int]:
    """Rows of each row group; none where the file is compressed as a whole, which readers see through."""
    system, path = store.filesystem(file.path)
    try:
        with pq.ParquetFile(path, filesystem=system) as opened:
            found = opened.metadata
            return [found.row_group(group).num_rows for group in range(found.num_row_groups)]
    except pa.ArrowInvalid:
        return []


def _cut(sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    held: list[int] = []
    rows = 0
    for group, size in enumerate(sizes):
        if held and rows + size > TASK_ROWS:
            yield tuple(held)
            held, rows = [], 0
        held.append(group)
        rows += size
    if held:
        yield tuple(held)


def _require_all(unit: Unit, done: Done, dataset: str) -> None:
    if done.rows_in != unit.rows:
        raise Unbalanced(
            f"landed rows {unit.rows} ≠ rows read {done.rows_in}",
            dataset=dataset,
            file=file_name(unit.file.name),
            rule="nothing lost (law 2)",
            next_step="collect the batch again",
        )


def unknown_codes(done: Sequence[Done]) -> dict[str, dict[str, int]]:
    """The workers' counts together, and what `drift.codes` tells of them."""
    found: Unknown = {}
    for report in done:
        for name, texts in report.unknown.items():
            add(found.setdefault(name, Counter()), texts.items())
    return told(found)
