"""One landed batch without a subject's rows: originals, typed rows, and the records by which its stages are run again.

A row is found in the original, in the typed rows or in quarantine, wherever its identifier can be read, and goes
everywhere by its file and number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake import handling, landing, quarantine, recordstore, store, zones
from lake.certificates import FileProof, digest_of, relative, seal
from lake.erasures import ErasedBatch, ErasedFile, Located
from lake.handling import Said
from lake.records import Checked, Landed, LandedFile, Standardised
from pipelines.context import Context
from pipelines.erasure.originals import Choice, chosen
from pipelines.erasure.progress import Progress
from pipelines.erasure.subject import Subject
from pipelines.erasure.suppression import rewritten
from pipelines.proof.certifying import open_log
from schemas.model import Entry

Rows = dict[str, set[int]]
"""File, as `_file` names it, to row numbers."""


@dataclass(frozen=True)
class Work:
    """What every batch of an erasure is given."""

    ctx: Context
    subject: Subject
    erasure: str
    progress: Progress


def erase_batch(work: Work, entry: Entry, landed: Landed, aside: Rows) -> Rows:
    """Erase a batch's rows, those of `aside` (found in quarantine) among them; returns all that were ever erased of
    it, for the quarantine to drop. Nothing is written where there are none, nor of a batch whose originals were removed
    by retention."""
    if landing.expired(work.ctx.settings, landed.batch) is not None:
        return {}
    typed = _typed_rows(work, landed)
    known = _merged(typed, aside, _corrected(work, landed))
    gone = {
        file: chosen(
            file, entry, Choice(known.get(file.name, ()), work.subject.in_text, work.subject.in_rows)
        )
        for file in landed.files
    }
    if any(gone.values()):
        landed = _land(work, entry, landed, gone)
    elif not any(file.erased for file in landed.files):
        return {}
    everything = {file.name: set(file.erased) for file in landed.files if file.erased}
    _erase_handled(work, landed, everything)
    landing.replace(work.ctx.settings, landed)
    if recordstore.exists(work.ctx.settings, landed.batch, "collect"):
        recordstore.save(work.ctx.settings, landed, "collect")
    removed = sum(map(len, gone.values()))
    standard, checked = _typed(work, landed, everything)
    if removed:
        rows = {"collect": removed, "standardise": standard, "check": checked}
        work.ctx.ledger.erased(landed.batch, work.erasure, rows)
    return everything


def _merged(*several: Rows) -> Rows:
    found: Rows = defaultdict(set)
    for each in several:
        for name, rows in each.items():
            found[name] |= rows
    return found


# ── originals ─────────────────────────────────────────────────────────────────────────────────────────────


def _land(work: Work, entry: Entry, landed: Landed, gone: dict[LandedFile, list[int]]) -> Landed:
    """Write the new files, then down what is about to happen; the manifest is replaced by the caller."""
    new = rewritten(entry, landed, gone)
    settings = work.ctx.settings
    folder = zones.folder(settings, "landing", landed.batch.dataset, landed.batch.id)
    uri, data = store.join(folder, landing.MANIFEST), landing.encode(new)
    path = relative(settings.lake_root, uri)
    work.progress.batch(
        ErasedBatch(
            dataset=landed.batch.dataset,
            batch=landed.batch.id,
            manifest=FileProof(path=path, sha256=digest_of(data), size=len(data)),
            manifest_before=store.sha256_of(uri),
            files=tuple(
                ErasedFile(
                    before=_located(settings.lake_root, old),
                    after=_located(settings.lake_root, now),
                    rows=len(gone.get(old, [])),
                )
                for old, now in zip(landed.files, new.files, strict=True)
                if old != now
            ),
        )
    )
    rows, files = sum(map(len, gone.values())), sum(map(bool, gone.values()))
    work.progress.note("landing", landed.batch.dataset, landed.batch.id, rows, files)
    return new


def _located(root: str, file: LandedFile) -> Located:
    """The file as it stands, whatever its manifest says."""
    sha256, size = store.digest_of(file.path)
    return Located(**seal(file.salt, sha256), size=size, rows=file.rows, path=relative(root, file.path))


# ── typed rows ────────────────────────────────────────────────────────────────────────────────────────────


def _standard(work: Work, landed: Landed) -> list[str]:
    """The Parquet files of the typed rows, not those of the rows that the checks refused."""
    folder = zones.folder(work.ctx.settings, "standard", landed.batch.dataset, landed.batch.id)
    return [path for path in store.list_files(folder) if path.endswith(".parquet") and "_row" in _names(path)]


def _names(uri: str) -> list[str]:
    system, path = store.filesystem(uri)
    return list(pq.read_schema(path, filesystem=system).names)


def _read(*uris: str) -> Iterator[pa.RecordBatch]:
    for uri in uris:
        system, path = store.filesystem(uri)
        with pq.ParquetFile(path, filesystem=system, pre_buffer=False) as file:
            yield from file.iter_batches(1 << 15)


def _typed_rows(work: Work, landed: Landed) -> Rows:
    """Where the identifier stands in the typed rows."""
    found = defaultdict(set)
    for batch in _read(*_standard(work, landed)):
        hits = batch.filter(work.subject.in_rows(batch))
        for name, row in zip(hits["_file"].to_pylist(), hits["_row"].to_pylist(), strict=True):
            found[name].add(row)
    return found


def at(batch: pa.RecordBatch, file: str, row: str, rows: Mapping[str, set[int]]) -> pa.Array:
    """Which rows of a batch are among these, by the columns that name their file and number."""
    hit = pa.repeat(pa.scalar(False), batch.num_rows)
    for name, numbers in rows.items():
        here = pc.and_(
            pc.equal(batch[file], name), pc.is_in(batch[row], pa.array(sorted(numbers), pa.int64()))
        )
        hit = pc.or_(hit, pc.fill_null(here, False))
    return hit


def _typed(work: Work, landed: Landed, rows: Rows) -> tuple[int, int]:
    """Write the typed rows anew, and the records of the stages that told of them; returns how many rows went, and
    how many of those had passed the checks."""
    uris, settings, batch = _standard(work, landed), work.ctx.settings, landed.batch
    if not uris:
        return 0, 0
    gone: list[int] = []
    for part in _read(*uris):
        gone += part.filter(at(part, "_file", "_row", rows))["_seq"].to_pylist()
    checked = (
        cast(Checked, recordstore.load(settings, batch, "check")) if _has(work, landed, "check") else None
    )
    refused = _numbers(checked.rejects) if checked and checked.rejects else set()
    passed = len(set(gone) - refused)
    work.progress.note("standard", batch.dataset, batch.id, len(gone), 1 if gone else 0)
    for uri in uris if gone else ():
        _rewrite(uri, rows)
    if _has(work, landed, "standardise"):
        _restandardised(work, landed, uris)
    if checked:
        _rechecked(work, uris, checked, refused)
    return len(gone), passed


def _has(work: Work, landed: Landed, stage: str) -> bool:
    return recordstore.exists(work.ctx.settings, landed.batch, stage)  # type: ignore[arg-type]


def _numbers(uri: str) -> set[int]:
    return {seq for batch in _read(uri) for seq in batch["_seq"].to_pylist()} if store.exists(uri) else set()


def _rewrite(uri: str, rows: Rows) -> None:
    first = next(_read(uri), None)
    if first is None:
        return
    kept = (batch.filter(pc.invert(at(batch, "_file", "_row", rows))) for batch in _read(uri))
    with store.atomic_parquet(uri, first.schema, statistics=False) as writer:
        for table in store.row_groups(kept, first.schema):
            writer.write_table(table)


def _restandardised(work: Work, landed: Landed, uris: list[str]) -> None:
    """The record with the rows that there are now: a later stage, run again, must find what it says."""
    record = cast(Standardised, recordstore.load(work.ctx.settings, landed.batch, "standardise"))
    left = sum(batch.num_rows for batch in _read(*uris))
    new = {"rows_in": landed.rows, "rows_out": left, "quarantined": landed.rows - left}
    recordstore.save(work.ctx.settings, record.model_copy(update=new), "standardise")


def _rechecked(work: Work, uris: list[str], record: Checked, refused: set[int]) -> None:
    left = {seq for batch in _read(*uris) for seq in batch["_seq"].to_pylist()}
    out = len(left - refused)
    new = {"rows_in": len(left), "rows_out": out, "quarantined": len(left) - out}
    recordstore.save(work.ctx.settings, record.model_copy(update=new), "check")


# ── what people did about rows set aside ──────────────────────────────────────────────────────────────────


def _corrected(work: Work, landed: Landed) -> Rows:
    """Where the identifier stands in a correction, whose row may not have it in its original."""
    found: Rows = defaultdict(set)
    for act in handling.acts(work.ctx.settings, landed.batch.dataset, landed.batch.id):
        rows = handling.rows_of(work.ctx.settings, act)
        for part in rows.to_batches():
            for each in part.filter(work.subject.in_rows(part)).select(handling.PLACES.names).to_pylist():
                found[each["file"]].add(each["row"])
    return found


def _erase_handled(work: Work, landed: Landed, rows: Rows) -> None:
    """Acts on rows that are erased become acts on the others, in the same place of the order. The new one is there
    before the old one goes: of a process killed in between both count, and say the same."""
    ctx, batch = work.ctx, landed.batch
    renamed: dict[str, str] = {}
    for act in handling.acts(ctx.settings, batch.dataset, batch.id):
        table = handling.rows_of(ctx.settings, act).combine_chunks()
        gone = [at(part, "file", "row", rows) for part in table.to_batches()]
        removed = sum(pc.sum(each).as_py() or 0 for each in gone)
        if not removed:
            continue
        work.progress.note("handling", batch.dataset, f"{batch.id} {act.name[:5]}", removed, 1)
        left = table.filter(pc.invert(pa.chunked_array(gone)))
        if left.num_rows:
            said = Said(act.by, act.at, act.why, act.department, act.workbook)
            new = handling.record(
                ctx.settings,
                open_log(ctx)[0],
                (act.dataset, act.batch),
                act.kind,
                left,
                said=said,
                number=int(act.name[:5]),
            )
            renamed[act.name] = new.name
        for path in handling.files(ctx.settings, act):
            work.progress.remove(relative(ctx.settings.lake_root, path))
        handling.remove(ctx.settings, act)
        renamed.setdefault(act.name, "")
    _rename(work, landed, renamed)


def _rename(work: Work, landed: Landed, renamed: Mapping[str, str]) -> None:
    """The typed rows' record names the acts as they are now."""
    if not renamed or not _has(work, landed, "standardise"):
        return
    record = cast(Standardised, recordstore.load(work.ctx.settings, landed.batch, "standardise"))
    names = tuple(filter(None, (renamed.get(name, name) for name in record.corrections)))
    recordstore.save(work.ctx.settings, record.model_copy(update={"corrections": names}), "standardise")


# ── quarantine ────────────────────────────────────────────────────────────────────────────────────────────


def set_aside(work: Work, dataset: str) -> dict[str, Rows]:
    """Where the identifier stands in the dataset's quarantine: batch to rows."""
    found: dict[str, Rows] = defaultdict(lambda: defaultdict(set))
    for part in quarantine.rows(work.ctx.tables, dataset):
        hits = part.filter(work.subject.in_rows(part)).select(["batch", "file", "row"])
        for each in hits.to_pylist():
            found[each["batch"]][each["file"]].add(each["row"])
    return found
