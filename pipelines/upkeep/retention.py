"""Retention: what has been kept for as long as policy.yaml, or its entry, says is removed, and the log tells of it.

    originals       with their corrections. The manifest stays for good: it holds the position from which an incremental
                    source goes on, the digests by which a file is known, and what certificates speak of
    typed rows      are made again from the originals, while these are there
    dismissed rows  of the quarantine

Kept however old: a dataset's newest batch, one that has not come to its last publication, one whose rows still wait in
quarantine or for a replay, and one that the certificate of a standing publication names. What was removed cannot be
run again from there, and whoever tries is told so.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake import certificates, handling, landing, properties, quarantine, store, zones
from lake.certificates import PROPERTY, relative
from lake.forgetting import erase
from lake.ledger import Attempt
from lake.properties import said
from lake.records import STAGES, Landed
from lake.zones import published_table
from pipelines.context import Context
from pipelines.proof.certifying import open_log
from pipelines.quarantine.casework import cases, handled
from pipelines.quarantine.corrections import waiting
from pipelines.resuming import last_run
from pipelines.stages import parts
from schemas.errors import CommitConflict
from schemas.model import Entry
from schemas.policy import ZONES, policies

ACTION = "retain"


@dataclass(frozen=True)
class Expired:
    """What was removed: originals (files), the typed rows of batches, and dismissed rows."""

    originals: int = 0
    typed: int = 0
    dismissed: int = 0

    def __add__(self, other: Expired) -> Expired:
        return Expired(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def expire(ctx: Context) -> Expired:
    """Remove what is older than it may be, of every dataset of the catalogue. It may be killed and run again."""
    done = Expired()
    for entry in ctx.catalogue.entries.values():
        done += _expire(ctx, entry)
    return done


def _expire(ctx: Context, entry: Entry) -> Expired:
    now, keep = ctx.clock(), entry.retention
    old = [b for b in _old(ctx, entry) if now - b.collected_at > min(keep.landing, keep.standard)]
    kept = _kept(ctx, entry) if old else set()
    free = [landed for landed in old if landed.batch.id not in kept]
    originals = [b for b in free if now - b.collected_at > keep.landing and _has_originals(ctx, b)]
    typed = [b for b in free if now - b.collected_at > keep.standard and store.exists(_standard(ctx, b))]
    files = _remove_originals(ctx, entry, originals) if originals else 0
    _remove_typed(ctx, entry, [*typed, *(b for b in originals if b not in typed)])
    return Expired(files, len(typed), _remove_dismissed(ctx, entry, now))


# ── what may go ───────────────────────────────────────────────────────────────────────────────────────────


def _old(ctx: Context, entry: Entry) -> list[Landed]:
    """Every landed batch but the newest that brought something."""
    found = [landed for landed in landing.history(ctx.settings, entry.id) if landed.files]
    return found[1:]


def _kept(ctx: Context, entry: Entry) -> set[str]:
    """Batches that stay, however old they are."""
    runs: dict[str, list[Attempt]] = {}
    for attempt in ctx.ledger.runs(entry.id):
        runs.setdefault(attempt.batch.id, []).append(attempt)
    unfinished = {name for name, attempts in runs.items() if not _finished(entry, attempts)}
    work = {case.batch for case in cases(ctx, entry.id, by_rule=False) if case.state != "dismissed"}
    return unfinished | work | set(waiting(ctx, entry.id)) | _certified(ctx, entry)


def _finished(entry: Entry, attempts: list[Attempt]) -> bool:
    """Whether the batch's last run came to its last publication."""
    run = last_run(attempts)
    state = {(each.stage, each.part): each.state for each in attempts}
    wanted = {(stage, part) for stage in STAGES for part in parts(entry, stage)}
    later = {(s, p) for s, p in wanted if STAGES.index(s) >= STAGES.index(run[0].stage)}
    again = {(each.stage, each.part) for each in run}
    return all(state.get(each) == "done" for each in wanted) and later <= again


def _certified(ctx: Context, entry: Entry) -> set[str]:
    """The batches that the certificates of the standing publications name."""
    found = set[str]()
    for zone in ZONES:
        for policy in policies(entry, zone):
            standing = next(ctx.tables.snapshots(published_table(entry.id, zone, policy)), None)
            path = said(standing[1], PROPERTY) if standing else None
            certificate = certificates.load(ctx.settings.lake_root, path) if path else None
            found |= {batch.id for batch in certificate.batches} if certificate else set()
    return found


def _has_originals(ctx: Context, landed: Landed) -> bool:
    """Whether they lie there still, in part at least: a process may have been killed while it removed them."""
    return bool(store.list_files(landing.originals(ctx.settings, landed.batch)))


def _standard(ctx: Context, landed: Landed) -> str:
    return zones.folder(ctx.settings, "standard", landed.batch.dataset, landed.batch.id)


# ── removal ───────────────────────────────────────────────────────────────────────────────────────────────


def _remove_originals(ctx: Context, entry: Entry, batches: list[Landed]) -> int:
    """First each folder says that they went, then the log names them as removed, then they go: killed in between, the
    next upkeep does it again."""
    now, root, folders, acts = ctx.clock(), ctx.settings.lake_root, list[str](), list[handling.Act]()
    for landed in batches:
        landing.expire(ctx.settings, landed.batch, now, entry.retention.landing)
        folders.append(landing.originals(ctx.settings, landed.batch))
        found = handling.acts(ctx.settings, entry.id, landed.batch.id)
        acts += [act for act in found if act.kind == "correct"]
    gone = [relative(root, folder) for folder in folders]
    gone += [relative(root, uri) for act in acts for uri in handling.files(ctx.settings, act)]
    files = sum(len(landed.files) for landed in batches)
    counts = {"batches": len(batches), "files": files, "rows": sum(b.rows for b in batches)}
    _log(ctx, entry, "landing", entry.retention.landing.days, counts, removed=gone)
    for act in acts:
        handling.remove(ctx.settings, act)
    for folder in folders:
        store.remove_tree(folder)
    return files


def _remove_typed(ctx: Context, entry: Entry, batches: list[Landed]) -> None:
    there = [landed for landed in batches if store.exists(_standard(ctx, landed))]
    if there:
        _log(ctx, entry, "standard", entry.retention.standard.days, {"batches": len(there)})
    for landed in there:
        store.remove_tree(_standard(ctx, landed))


def _remove_dismissed(ctx: Context, entry: Entry, now: datetime) -> int:
    """In one commit; where others commit just now, at the next upkeep."""
    table, before = quarantine.table_of(entry.id), now - entry.retention.dismissed
    batches = {
        case.batch
        for case in cases(ctx, entry.id, by_rule=False)
        if case.state == "dismissed" and case.since < before.date()
    }
    if not batches:
        return 0
    known = {name: handled(ctx, entry.id, name) for name in batches}

    def hit(rows: pa.RecordBatch) -> pa.Array:
        found = np.zeros(rows.num_rows, np.bool_)
        for name, acts in known.items():
            old = np.array([act.kind == "dismiss" and act.at < before for act in acts.acts] + [False])
            here = pc.fill_null(pc.equal(rows["batch"], name), False).to_numpy(zero_copy_only=False)
            found |= here & old[acts.of(rows)]
        return pa.array(found)

    try:
        gone = erase(ctx.tables, table, hit, lambda *_: properties.named(retained="dismissed"))
    except CommitConflict:
        return 0
    removed = gone.before - gone.after
    _log(ctx, entry, "quarantine", entry.retention.dismissed.days, {"rows": removed})
    return removed


def _log(ctx: Context, entry: Entry, zone: str, days: int, counts: dict[str, int], **more: Any) -> None:
    line = {"action": ACTION, "phase": "outcome", "dataset": entry.id, "zone": zone, "days": days}
    open_log(ctx)[0].append({**line, **counts, **more})
