"""Standardise: landed files become one Parquet file in the entry's types; rows that do not convert are set
aside.

    each file ─readers─► batches of source columns ─casts─► good rows ─► rows.parquet (─enrich─► `from:`
    fields) └──► failed rows ─► spill ─► quarantine, in one commit

What a department has corrected is laid over what its source gave (`quarantine.corrections`); landed bytes stay.

Rows keep their order. `_seq` numbers every row that was read, good or not, over all files of the batch, so
that it is the same in every rerun. Killed at any point and run again the result is the same: the Parquet
file appears as a whole, the quarantine's rows of this batch and stage are replaced as a whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from lake import quarantine, store, zones
from lake.ahead import ahead
from lake.records import Landed, Standardised
from pipelines.casting.converting import Tally, Work, good, plan
from pipelines.context import Context
from pipelines.drift.codes import told
from pipelines.enrich import enrich
from pipelines.quarantine.corrections import corrections_of
from pipelines.quarantine.rejects import spill
from schemas.arrow import standard_schema
from schemas.model import Entry


def standardise(ctx: Context, entry: Entry, landed: Landed) -> Standardised:
    """Write the batch's rows in the entry's types, set aside what does not convert, and obtain `from:`
    fields.

    Raises SourceError where a file cannot be read or lacks a column that the entry names, LakeError where a correction
    is not the one that was logged, or finds no row."""
    folder = zones.folder(ctx.settings, "standard", entry.id, landed.batch.id)
    path, schema = store.join(folder, "rows.parquet"), standard_schema(entry)
    columns = plan(entry, ctx.catalogue)
    corrections = corrections_of(ctx, landed, {column.source for column in columns})
    with spill(ctx.settings) as rejects, ThreadPoolExecutor(ctx.settings.threads, "cast") as pool:
        work = Work(landed.batch.id, columns, schema, corrections, rejects, {}, Tally(), ctx.clock(), pool)
        groups = ahead(store.row_groups(good(entry, landed.files, work), schema))
        with store.atomic_parquet(path, schema, statistics=False) as writer, closing(groups):
            for table in groups:
                writer.write_table(table)
            corrections.require(landed, work.tally.corrected)
        with rejects.read() as rows:
            quarantined = quarantine.put(ctx.tables, entry.id, landed.batch.id, "standardise", rows)
    return Standardised(
        batch=landed.batch,
        path=path,
        rows_in=work.tally.rows_in,
        rows_out=work.tally.rows_out,
        quarantined=quarantined,
        corrected=work.tally.corrected,
        corrections=corrections.acts,
        unmatched=enrich(ctx, entry, path),
        unknown_codes=told(
            {c.field.name: work.unknown[c.field.name] for c in columns if c.field.name in work.unknown}
        ),
    )
