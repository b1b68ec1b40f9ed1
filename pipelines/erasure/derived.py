"""Derived data about persons that do not name them: no row can be found by an identifier, so all is made anew."""

from __future__ import annotations

from functools import partial

from lake import certificates, landing, recordstore, store, zones
from lake.forgetting import forget_past
from lake.records import STAGES
from lake.zones import identifier, published_table
from pipelines.batches import batch_of as batch_of_interval
from pipelines.batches import input_interval
from pipelines.context import Context
from pipelines.erasure.batches import Work
from pipelines.erasure.publications import publish_anew
from pipelines.erasure.subject import Subject
from pipelines.proof.attesting import attest_table
from pipelines.stages import run_stage
from schemas.model import Entry, LakeSource
from schemas.policy import ZONES, policies


def unnamed(ctx: Context, subject: Subject, touched: set[str]) -> list[str]:
    """Derived datasets about persons that read, directly or not, what the subject was erased from, and hold none of
    the elements by which it was found; inputs first."""
    elements, reached = {element for element, _ in subject.values}, set(touched)
    found = []
    for dataset in ctx.catalogue.order():
        entry = ctx.catalogue.entries[dataset]
        if reached & set(entry.inputs):
            reached.add(dataset)
            held = {field.element for field in entry.fields.values()}
            derived = isinstance(entry.source, LakeSource) and entry.subject == "person"
            if derived and not elements & held and _exists(ctx, entry):
                found.append(dataset)
    return found


def _exists(ctx: Context, entry: Entry) -> bool:
    return ctx.tables.exists(identifier("curated", entry.id))


def derive_again(work: Work, dataset: str) -> None:
    """Run a batch of the inputs as they are now and publish it as an erasure is, then remove the batches before it and
    forget the tables' past."""
    ctx = work.ctx
    entry = ctx.catalogue.entry(dataset)
    batch = batch_of_interval(ctx, entry, input_interval(ctx, entry))
    for stage in STAGES[: STAGES.index("publish")]:
        run_stage(ctx, stage, batch)
    publish_anew(work, entry, batch)
    for landed in list(landing.history(ctx.settings, dataset)):
        if landed.batch.id != batch.id:
            folder = zones.folder(ctx.settings, "landing", dataset, landed.batch.id)
            work.progress.remove(certificates.relative(ctx.settings.lake_root, folder))
            work.progress.note("landing", dataset, landed.batch.id, landed.rows, len(landed.files))
            store.remove_tree(folder)
            store.remove_tree(zones.folder(ctx.settings, "standard", dataset, landed.batch.id))
            for stage in ("collect", "standardise"):
                store.remove_file(recordstore.address(ctx.settings, landed.batch, stage))
    attest = partial(attest_table, ctx)
    forget_past(ctx.tables, identifier("curated", dataset), attest)
    for zone in ZONES:
        for policy in policies(entry, zone):
            forget_past(ctx.tables, published_table(dataset, zone, policy), attest)
