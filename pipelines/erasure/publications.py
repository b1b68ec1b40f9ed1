"""What is published of a dataset, made anew without the subject: tables, and the releases that lie for download."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from lake import certificates, releases, store
from lake.batch import Batch
from lake.records import Published
from lake.zones import Identifier, published_table
from pipelines.erasure.batches import Work
from pipelines.gates import absent
from pipelines.proof.certifying import withdrawing
from pipelines.stages import parts, run_stage
from schemas.errors import DisclosureRisk, LeakFound
from schemas.model import Entry, Zone


def publish_anew(work: Work, entry: Entry, batch: Batch) -> None:
    """Publish the batch without the subject, as tables that begin anew and releases that stand alone. What would not
    pass its gates then is withdrawn: it must not stay as it was."""
    ctx, root = replace(work.ctx, erasing=True), work.ctx.settings.lake_root
    for part in parts(entry, "publish"):
        zone, _, policy = part.partition("/")
        table = published_table(entry.id, cast(Zone, zone), policy)
        if not ctx.tables.exists(table):
            continue
        _note(work, entry, table, policy)
        absent.forget(ctx.settings, table)
        try:
            published = cast(Published, run_stage(ctx, "publish", batch, part))
        except (DisclosureRisk, LeakFound):
            _withdraw(work, entry, table)
            continue
        path = certificates.path_of(*table, published.snapshot)
        work.progress.published(".".join(table), certificates.prove(root, store.join(root, path)))


def _note(work: Work, entry: Entry, table: Identifier, policy: str) -> None:
    """Write down how many files are about to be replaced."""
    files = [path for path in store.list_files(work.ctx.tables.location(table)) if path.endswith(".parquet")]
    work.progress.note(cast(Zone, table[0]), entry.id, policy, 0, len(files))
    if table[0] == "open":
        lying = releases.files(work.ctx.settings.lake_root, entry.id)
        work.progress.note("downloads", entry.id, "releases", 0, len(lying))


def _withdraw(work: Work, entry: Entry, table: Identifier) -> None:
    """The releases first: a process that is killed in between finds the table, and goes on."""
    work.progress.withdraw(".".join(table))
    with withdrawing(work.ctx, table):
        if table[0] == "open":
            releases.withdraw(work.ctx.settings.lake_root, entry.id)
        work.ctx.tables.drop(table)
