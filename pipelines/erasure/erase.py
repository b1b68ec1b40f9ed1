"""Erase one person from the whole lake, prove that nothing is left, and certify it (PIPL Art. 47; Decree 809 Art. 27).

    log: begun ── what is granted no more withdrawn
        ── every dataset: originals, typed rows, quarantine, curated ── published anew ── the past forgotten
        ── derived data made anew ── what was written in the exchange ── the public site built anew
        ── search of every byte
        ── log: completed, with the certificate

A row goes whole that holds an identifier of the subject, in whatever field. It can be killed and run again at any
point: it is the same erasure until it is completed. While the certificate stands, rows of the subject are erased as
they are collected (`suppression`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from lake import (
    certificates,
    erasures,
    landing,
    properties,
    quarantine,
    recordstore,
    search,
    store,
    zones,
)
from lake.batch import Batch, erasure_batch
from lake.erasures import Erasure, Place, Search
from lake.forgetting import erase as erase_rows
from lake.forgetting import forget_past, holds
from lake.records import Merged
from lake.version import code_version
from lake.zones import Identifier, identifier
from pipelines.context import Context
from pipelines.erasure.batches import Rows, Work, at, erase_batch, set_aside
from pipelines.erasure.derived import derive_again, unnamed
from pipelines.erasure.progress import Progress
from pipelines.erasure.proving import searched
from pipelines.erasure.publications import publish_anew
from pipelines.erasure.subject import Subject
from pipelines.erasure.written import erase_written, plan_written, require_unwritten
from pipelines.keys import load_key
from pipelines.listing import build_site
from pipelines.merging.counts import COUNTED
from pipelines.proof.attesting import attest_table
from pipelines.proof.certifying import open_log
from pipelines.publishing.granting import with_grants
from pipelines.publishing.withdrawal import withdraw
from portal import is_site
from schemas.errors import LakeError
from schemas.model import Entry

ROUNDS = 2


@dataclass(frozen=True)
class Erased:
    """What was removed, by zone and dataset; the certificate's path; publications that had to be withdrawn, since
    they would not pass their gates without the subject."""

    erasure: Erasure
    certificate: str
    withdrawn: tuple[str, ...]


def plan(ctx: Context, subject: Subject) -> list[Place]:
    """Where rows of the subject lie, without changing anything: landing, quarantine, curated, and what was written in
    the exchange."""
    found = plan_written(ctx, subject)
    for dataset in _datasets(ctx):
        table = identifier("curated", dataset)
        now, _ = holds(ctx.tables, table, subject.in_rows)
        aside = sum(
            pc.sum(subject.in_rows(part)).as_py() or 0 for part in quarantine.rows(ctx.tables, dataset)
        )
        found.append(Place(zone="curated", dataset=dataset, rows=now, files=0))
        found.append(Place(zone="quarantine", dataset=dataset, rows=aside, files=0))
        found.append(_planned_landing(ctx, subject, dataset))
    return [place for place in found if place.rows or place.files]


def _planned_landing(ctx: Context, subject: Subject, dataset: str) -> Place:
    from pipelines.erasure.originals import Choice, chosen

    entry = ctx.catalogue.entries.get(dataset)
    there = landing.history(ctx.settings, dataset) if entry else ()
    files = [f for each in there if not landing.expired(ctx.settings, each.batch) for f in each.files]
    rows = (
        [len(chosen(f, entry, Choice((), subject.in_text, subject.in_rows))) for f in files] if entry else []
    )
    return Place(zone="landing", dataset=dataset, rows=sum(rows), files=sum(map(bool, rows)))


def erase(ctx: Context, subject: Subject, basis: str, *, beside_runs: bool = False) -> Erased:
    """Erase the subject. LakeError where other stages are at work, where the catalogue holds nothing, or where the
    search still finds an identifier; MaskError without the masking key, which the subject's digests need."""
    _alone(ctx, beside_runs)
    ctx = with_grants(ctx)
    erasure = _begin(ctx, subject, basis)
    work = Work(ctx, subject, erasure.id, Progress(ctx.settings, erasure.id))
    withdraw(ctx)
    touched: set[str] = set()
    for dataset in _datasets(ctx):
        if _erase_dataset(work, erasure, dataset):
            touched.add(dataset)
    for dataset in unnamed(ctx, subject, touched):
        derive_again(work, dataset)
    erase_written(work)
    if is_site(ctx.settings.portal_root):
        build_site(ctx)
    looked = searched(work)
    require_unwritten(work)
    return _complete(work, erasure, looked)


def _alone(ctx: Context, beside_runs: bool) -> None:
    running = [a for a in ctx.ledger.runs() if a.state == "running" and not a.batch.erasure]
    if running and not beside_runs:
        names = sorted({f"{a.batch.dataset} {a.stage}" for a in running})
        raise LakeError(
            f"{len(running)} stages are at work: {', '.join(names[:5])}",
            rule="an erasure has the lake for itself, or a stage would bring back what it removes",
            next_step="pause the schedules and wait; where a process was killed, run its batch again, or give "
            "--beside-runs",
        )


def _datasets(ctx: Context) -> list[str]:
    """Every dataset of the catalogue, inputs first, and those that only the lake still knows."""
    known = ctx.catalogue.order()
    tables = [
        name.replace("__", ".")
        for zone in ("curated", "quarantine")
        for _, name in ctx.tables.identifiers(zone)
    ]
    landed = [
        ".".join(folder.rsplit("/", 2)[-2:])
        for department in store.list_folders(store.join(ctx.settings.lake_root, "landing"))
        for folder in store.list_folders(department)
    ]
    return list(dict.fromkeys([*known, *tables, *landed]))


# ── certificate ───────────────────────────────────────────────────────────────────────────────────────────


def _begin(ctx: Context, subject: Subject, basis: str) -> Erasure:
    """The erasure of this subject that was begun, or a new one, signed and logged before anything is removed."""
    said = subject.identifiers(load_key(ctx.settings.key_version, ctx.connect, "nothing was erased"))
    if found := erasures.unfinished(ctx.settings.lake_root, said):
        return found
    now = ctx.clock()
    _, signer = open_log(ctx)
    erasure = Erasure(
        id=f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{said[0].digest[:8]}",
        state="begun",
        basis=basis,
        subject=said,
        begun_at=now,
        key=signer.id,
    )
    _certify(ctx, erasure, "attempt")
    return erasure


def _certify(ctx: Context, erasure: Erasure, phase: str) -> None:
    """In this order: a certificate that the log does not name is none, and one that is begun can be begun again."""
    log, signer = open_log(ctx)
    data = erasures.encode(erasure, signer)
    log.append(erasures.entry(erasure, data, certificates.digest_of(data), phase))
    store.write_atomic(store.join(ctx.settings.lake_root, erasures.path_of(erasure.id)), data)


def _complete(work: Work, erasure: Erasure, looked: Search) -> Erased:
    state = work.progress.state
    _, signer = open_log(work.ctx)
    whole = erasure.model_copy(
        update={
            "state": "completed",
            "places": work.progress.places(),
            "batches": tuple(state.batches[name] for name in sorted(state.batches)),
            "removed": tuple(state.removed),
            "publications": tuple(state.publications[name] for name in sorted(state.publications)),
            "search": looked,
            "completed_at": work.ctx.clock(),
            "key": signer.id,
        }
    )
    _certify(work.ctx, whole, "outcome")
    work.progress.finished()
    return Erased(whole, erasures.path_of(erasure.id), tuple(state.withdrawn))


def lift(ctx: Context, erasure: str) -> None:
    """From now on the subject may be collected again. LakeError where there is no such erasure."""
    root = ctx.settings.lake_root
    if erasure not in {each.id for each in erasures.in_force(root)}:
        raise LakeError(
            "there is no such erasure in force",
            expected=", ".join(each.id for each in erasures.in_force(root)) or "none is",
            next_step="the certificates lie in proof/erasures of the lake",
        )
    log, signer = open_log(ctx)
    said = {"erasure": erasure, "lifted_at": ctx.clock().isoformat(), "key": signer.id}
    data = certificates.canonical({"lifted": said, "signature": signer.sign("lift", said)}) + b"\n"
    path = erasures.lifted_path(erasure)
    log.append(
        {
            "action": "lift",
            "phase": "outcome",
            "erasure": erasure,
            "certificate": {"path": path, "sha256": certificates.digest_of(data)},
        }
    )
    store.write_atomic(store.join(root, path), data)


# ── one dataset ───────────────────────────────────────────────────────────────────────────────────────────


def _erase_dataset(work: Work, erasure: Erasure, dataset: str) -> bool:
    """Erase the subject from everything of a dataset; whether there was anything."""
    ctx, entry = work.ctx, work.ctx.catalogue.entries.get(dataset)
    aside = set_aside(work, dataset)
    batches: dict[str, Rows] = {}
    for landed in list(landing.history(ctx.settings, dataset)) if entry else ():
        gone = erase_batch(work, cast(Entry, entry), landed, aside.get(landed.batch.id, {}))
        if gone:
            batches[landed.batch.id] = gone
    curated = identifier("curated", dataset)
    _, ever = holds(ctx.tables, curated, work.subject.in_rows)
    left = _leftovers(work, dataset, unknown=entry is None)
    mine = any(each.dataset == dataset for each in work.progress.state.batches.values())
    begun = ctx.tables.exists(curated) and _standing(ctx, curated, erasure.id) is not None
    if not (aside or mine or ever or left or begun):
        return False
    _erase_quarantine(work, dataset, batches)
    if ctx.tables.exists(curated) and ctx.tables.current_snapshot(curated) is not None:
        batch = _erase_curated(work, erasure, dataset)
        if entry is not None:
            publish_anew(work, entry, batch)
        forget_past(ctx.tables, curated, partial(attest_table, ctx))
    return True


def _leftovers(work: Work, dataset: str, *, unknown: bool) -> bool:
    """Remove folders of batches that never landed, and, of datasets that the catalogue does not know, every batch,
    where the identifier stands in them: nothing of them could be read by rows."""
    root, needles = work.ctx.settings.lake_root, search.Needles([v for _, v in work.subject.values])
    there = False
    for zone in ("landing", "standard", "handling"):
        for folder in store.list_folders(zones.folder(work.ctx.settings, zone, dataset)):
            landed = zone != "landing" or store.exists(store.join(folder, landing.MANIFEST))
            if landed and not unknown:
                continue
            if search.search(search.files_below(folder), needles).found:
                files = len(search.files_below(folder))
                work.progress.remove(certificates.relative(root, folder))
                work.progress.note(zone, dataset, folder.rsplit("/", 1)[-1], 0, files)
                store.remove_tree(folder)
                there = True
    return there


def _erase_quarantine(work: Work, dataset: str, batches: dict[str, Rows]) -> None:
    table, tables = quarantine.table_of(dataset), work.ctx.tables
    if not tables.exists(table):
        return

    def hit(batch: pa.RecordBatch) -> pa.Array:
        found = work.subject.in_rows(batch)
        for name, rows in batches.items():
            found = pc.or_(found, pc.and_(pc.equal(batch["batch"], name), at(batch, "file", "row", rows)))
        return found

    now, ever = holds(tables, table, hit)
    if ever:
        work.progress.note("quarantine", dataset, "table", now, 1 if now else 0)
        erase_rows(tables, table, hit, lambda *_: properties.named(erasure=work.erasure))
        forget_past(tables, table, partial(attest_table, work.ctx))


# ── curated ───────────────────────────────────────────────────────────────────────────────────────────────


def _standing(ctx: Context, table: Identifier, erasure: str) -> dict[str, str] | None:
    """What the snapshot of this erasure says, where an earlier run has made it."""
    found = ctx.tables.find_snapshot(table, **properties.named(erasure=erasure))
    return found[1] if found else None


def _erase_curated(work: Work, erasure: Erasure, dataset: str) -> Batch:
    """Commit the curated table without the subject's rows, as a batch of its own that brings nothing and deletes
    them; the ledger has it as a merge."""
    ctx, table = work.ctx, identifier("curated", dataset)
    batch = erasure_batch(dataset, erasure.id, erasure.begun_at)
    if said := _standing(ctx, table, erasure.id):
        counts = {name: int(properties.said(said, name) or 0) for name in COUNTED}
        snapshot = _cleared(ctx, table, said)
    else:
        gone = erase_rows(ctx.tables, table, work.subject.in_rows, _said(work, batch, table))
        work.progress.note("curated", dataset, "table", gone.before - gone.after, gone.files)
        counts, snapshot = _counts(gone.before, gone.after), gone.snapshot
    merged = Merged(batch=batch, table=".".join(table), snapshot=snapshot, **counts)
    attempt = ctx.ledger.begin(batch, "merge")
    recordstore.save(ctx.settings, merged, "merge")
    ctx.ledger.finish(attempt, merged)
    return batch


def _cleared(ctx: Context, table: Identifier, said: dict[str, str]) -> int:
    """The snapshot that stands, after one more commit without a change, since the process may have been killed
    between the two of `lake.forgetting.erase`."""
    current = ctx.tables.current_snapshot(table)
    newest = next(ctx.tables.snapshots(table))[1]
    if properties.said(newest, "erasure") != properties.said(said, "erasure"):
        return int(current or 0)
    own = {name: value for name, value in said.items() if name.startswith("xuanwu.")}
    return ctx.tables.replace(table, None, (), own, base=current)


def _counts(before: int, after: int) -> dict[str, int]:
    return dict.fromkeys(COUNTED, 0) | {"deleted": before - after, "total": after, "total_before": before}


def _said(work: Work, batch: Batch, table: Identifier) -> Callable[[int, int], dict[str, str]]:
    """Properties as a merge's, with the newest interval carried over."""
    ends = (properties.said(summary, "newest_end") for _, summary in work.ctx.tables.snapshots(table))
    newest = next(filter(None, ends), None)
    files = properties.named(
        batch=batch.id,
        interval_start=batch.start.isoformat(),
        interval_end=batch.end.isoformat(),
        erasure=work.erasure,
        code_version=code_version(),
        **({"newest_end": newest} if newest else {}),
    )

    def of(before: int, after: int) -> dict[str, str]:
        counts = _counts(before, after)
        work.progress.note(
            "curated", batch.dataset, "table", counts["deleted"], 1 if counts["deleted"] else 0
        )
        return files | properties.named(**{name: str(count) for name, count in counts.items()})

    return of
