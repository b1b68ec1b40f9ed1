"""Certified publication: no snapshot in share or open without its certificate, and none without a line in the log.

    log: attempt ── certificate ── commit ── downloads ── log: outcome ── certificate completed

The attempt is logged and the certificate written when the snapshot's files lie there and nobody reads them yet; where
that fails nothing is committed. A process killed before the commit leaves a certificate of nothing; one killed after
it leaves a certified snapshot whose outcome is missing, and the next publication of the table writes that first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lake import certificates, evidence, landing, store, zones
from lake.auditlog import AuditLog
from lake.batch import Batch
from lake.certificates import PROPERTY, Certificate, FileProof, GrantProof, InputProof, Words, entry_of
from lake.properties import named, said
from lake.records import Checked, Published, Record, Stage
from lake.releases import Place, home_of
from lake.signing import Signer, load_signer
from lake.version import code_version
from lake.zones import Identifier, published_table
from pipelines.context import Context
from schemas.errors import ColumnsMissing, CommitConflict, XuanwuError
from schemas.model import Entry, Hmac, Mask, Narrowed, Zone
from schemas.policy import ZONES, policies

if TYPE_CHECKING:
    from lake.commits import Staged

RELEASED = "released"
Standing = tuple[int, dict[str, str]]


def open_log(ctx: Context) -> tuple[AuditLog, Signer]:
    signer = load_signer(ctx.settings, ctx.connect)
    return AuditLog(ctx.settings, signer), signer


def certified(standing: Standing | None, ctx: Context) -> bool:
    """Whether a published snapshot has its certificate; one from before there were any has none."""
    path = said(standing[1], PROPERTY) if standing else None
    return path is not None and store.exists(store.join(ctx.settings.lake_root, path))


@dataclass
class Publication:
    """One publication on its way to its certificate: the `seal` of the commit. `source` is the curated snapshot,
    `standing` what is published now. A gate that measures risk or takes rows out says so in `risk`, `suppressed`."""

    ctx: Context
    entry: Entry
    zone: Zone
    policy: str
    table: Identifier
    curated: Identifier
    source: int
    standing: Standing | None
    plan: Mapping[str, Mask]
    masks_hash: str
    key_version: str | None
    contract: str
    batch: str
    suppressed: int = 0
    outside: int = 0
    unfit: Mapping[str, int] = field(default_factory=dict)
    risk: dict[str, str | int | bool | None] | None = None
    issued: str = field(default="", init=False)

    def properties(self, snapshot: int) -> dict[str, str]:
        return named(certificate=certificates.path_of(*self.table, snapshot))

    def issue(self, staged: Staged) -> None:
        """Log the attempt, then write the certificate."""
        log, signer = open_log(self.ctx)
        certificate = self._certificate(staged, signer)
        self.issued = certificates.own_path(certificate)
        data = certificates.encode(certificate, signer)
        log.append(_entry(certificate, data, "attempt"))
        store.write_atomic(store.join(self.ctx.settings.lake_root, self.issued), data)

    @contextmanager
    def committing(self) -> Iterator[Publication]:
        """A commit that lost takes its certificate with it."""
        try:
            yield self
        except CommitConflict:
            if self.issued:
                store.remove_files([store.join(self.ctx.settings.lake_root, self.issued)])
            raise

    def _certificate(self, staged: Staged, signer: Signer) -> Certificate:
        root, tables = self.ctx.settings.lake_root, self.ctx.tables
        manifests = tuple(certificates.prove(root, uri) for uri in sorted(staged.manifests))
        previous, data = self._previous(), tuple(self._data(staged))
        return Certificate(
            dataset=self.entry.id,
            zone=self.zone,
            policy=self.policy,
            table=".".join(self.table),
            snapshot=staged.snapshot,
            curated_snapshot=self.source,
            batch=self.batch,
            batches=self._batches(),
            previous=previous,
            rows_in=tables.row_count(self.curated, self.source),
            rows=sum(staged.files.values()),
            suppressed=self.suppressed,
            outside=self.outside,
            unfit=dict(self.unfit),
            grant=self._grant(),
            masks_hash=self.masks_hash,
            masks={name: _words(mask, self.key_version) for name, mask in self.plan.items()},
            hashes=tuple(sorted({mask.hash for mask in self.plan.values() if isinstance(mask, Hmac)})),
            key_version=self.key_version,
            contract=self.contract,
            code_version=code_version(),
            risk=self.risk,
            data=data,
            manifest_list=certificates.prove(root, staged.manifest_list),
            manifests=manifests,
            releases=self._releases(),
            issued_at=self.ctx.clock(),
            key=signer.id,
        )

    def _grant(self) -> GrantProof | None:
        policy = policies(self.entry, self.zone).get(self.policy)
        if not isinstance(policy, Narrowed):
            return None
        rows = policy.rows
        return GrantProof(
            request=policy.grant,
            of=policy.of,
            recipient=policy.recipient,
            territory=rows.field if rows else None,
            division=rows.division if rows else None,
        )

    def _data(self, staged: Staged) -> Iterator[FileProof]:
        """The data files. Those that stood certified before are as they were proved then, and are not read again."""
        root, path = self.ctx.settings.lake_root, said(self.standing[1], PROPERTY) if self.standing else None
        before = certificates.load(root, path) if path else None
        known = {proof.path: proof for proof in before.data} if before else {}
        for uri, rows in sorted(staged.files.items()):
            proof = known.get(certificates.relative(root, uri))
            yield proof if proof and proof.rows == rows else certificates.prove(root, uri, rows)

    def _releases(self) -> tuple[FileProof, ...]:
        root, previous = self.ctx.settings.lake_root, self._previous()
        before = certificates.load(root, previous.path) if previous else None
        return _releases(root, self.table, self.entry.id, before.releases if before else ())

    def _previous(self) -> FileProof | None:
        if not certified(self.standing, self.ctx) or self.standing is None:
            return None
        path = str(said(self.standing[1], PROPERTY))
        return certificates.prove(self.ctx.settings.lake_root, store.join(self.ctx.settings.lake_root, path))

    def _batches(self) -> tuple[certificates.BatchProof, ...]:
        """The batches of the curated snapshots after the one that stands published, up to the one published now."""
        settings, ledger = self.ctx.settings, self.ctx.ledger
        ids = reversed(list(dict.fromkeys(self._batch_ids())))
        return tuple(
            evidence.batch_proof(
                settings, ledger, self.entry.id, each, _inputs(self.ctx, self.entry.id, each)
            )
            for each in ids
        )

    def _batch_ids(self) -> Iterator[str]:
        """The newest first."""
        last = said(self.standing[1], "curated_snapshot") if self._previous() and self.standing else None
        begun = False
        for snapshot, summary in self.ctx.tables.snapshots(self.curated):
            begun = begun or snapshot == self.source
            if begun and str(snapshot) == last and snapshot != self.source:
                return
            batch = said(summary, "batch")
            if begun and batch:
                yield batch
                if last == str(self.source):
                    return


def _releases(
    lake: str, table: Identifier, dataset: str, known: tuple[FileProof, ...]
) -> tuple[FileProof, ...]:
    """Every release that is kept of a table, and the noise of its dataset. They are written once: those that are known
    from a certificate are not read again, and stay named where somebody has removed them."""
    paths = {proof.path for proof in known}
    fresh = (
        uri for uri in kept_releases(lake, table, dataset) if certificates.relative(lake, uri) not in paths
    )
    return (*known, *(certificates.prove(lake, uri) for uri in fresh))


def kept_releases(lake: str, table: Identifier, dataset: str) -> list[str]:
    """What the public was given of a table, and the noise that was drawn for its dataset."""
    return [
        uri
        for folder in (table, ("noise", dataset))
        for uri in store.list_files(store.join(lake, RELEASED, *folder))
    ]


def _words(mask: Mask, key_version: str | None) -> Words:
    from pipelines.masks.words import words_of

    zh, en = words_of(mask, key_version)
    return Words(zh=zh, en=en)


def _inputs(ctx: Context, dataset: str, batch_id: str) -> list[InputProof]:
    attempts = ctx.ledger.attempts(batch_id, dataset)
    landed = landing.landed(ctx.settings, attempts[0].batch) if attempts else None
    found = landed.inputs if landed else {}
    return [
        InputProof(dataset=name, snapshot=snapshot, certificates=tuple(_of_input(ctx, name, snapshot)))
        for name, snapshot in sorted(found.items())
    ]


def _of_input(ctx: Context, dataset: str, snapshot: int) -> Iterator[FileProof]:
    """The certificates of what was published of that curated snapshot, as they stand."""
    entry = ctx.catalogue.entries.get(dataset)
    for zone in ZONES if entry else ():
        for policy in policies(entry, zone) if entry else ():
            table = published_table(dataset, zone, policy)
            found = ctx.tables.find_snapshot(table, **named(curated_snapshot=str(snapshot)))
            path = said(found[1], PROPERTY) if found else None
            uri = store.join(ctx.settings.lake_root, path) if path else ""
            if uri and store.exists(uri):
                yield certificates.prove(ctx.settings.lake_root, uri)


# ── after the commit ──────────────────────────────────────────────────────────────────────────────────────


def settle(ctx: Context, table: Identifier, standing: Standing | None) -> None:
    """Write the outcome of a publication whose process was killed after its commit, before anything is built on it."""
    path = said(standing[1], PROPERTY) if standing else None
    certificate = certificates.load(ctx.settings.lake_root, path) if path else None
    if certificate is not None and certificate.metadata is None:
        _complete(ctx, table, certificate, certificate.downloads)


def completed(ctx: Context, table: Identifier, published: Published, entry: Entry) -> Published:
    """Log the outcome and complete the certificate with what there is since the commit. Found complete already,
    nothing is written."""
    certificate = certificates.load(ctx.settings.lake_root, certificates.path_of(*table, published.snapshot))
    if certificate is not None:
        _complete(ctx, table, certificate, _downloads(ctx, published, entry, certificate))
    return published


def attest(ctx: Context, table: Identifier, gone: Collection[Place] = ()) -> None:
    """After upkeep that wrote new metadata for a published table but no new snapshot: log it, and certify the
    snapshot that readers see with the metadata as it is now, and without the releases that go from these places."""
    standing = next(ctx.tables.snapshots(table), None)
    path = said(standing[1], PROPERTY) if standing else None
    certificate = certificates.load(ctx.settings.lake_root, path) if path else None
    if certificate is not None:
        stay = (proof for proof in certificate.downloads if proof.path.partition("/")[0] not in gone)
        _complete(ctx, table, certificate, tuple(stay))


def _complete(
    ctx: Context, table: Identifier, certificate: Certificate, downloads: tuple[FileProof, ...]
) -> None:
    root = ctx.settings.lake_root
    metadata = certificates.prove(root, ctx.tables.metadata_file(table))
    releases = _releases(root, table, certificate.dataset, certificate.releases)
    whole = certificate.model_copy(
        update={"metadata": metadata, "downloads": downloads, "releases": releases}
    )
    if whole == certificate:
        return
    log, signer = open_log(ctx)
    whole = whole.model_copy(update={"key": signer.id})
    data = certificates.encode(whole, signer)
    with log.turn() as append:
        append(_entry(whole, data, "outcome"))
        store.write_atomic(store.join(root, certificates.own_path(whole)), data)


def _downloads(
    ctx: Context, published: Published, entry: Entry, before: Certificate
) -> tuple[FileProof, ...]:
    """Every file of the dataset's releases. Releases are written once: only files not certified before are read,
    and the pointer, which is written again."""
    if not published.downloads:
        return ()
    root, home = ctx.settings.lake_root, home_of(ctx.settings.lake_root, entry)
    known = {proof.path: proof for proof in _known_downloads(ctx, before)}
    known |= {
        path: FileProof(path=path, sha256=each.sha256, size=each.size, rows=each.rows)
        for each in published.downloads
        if (path := certificates.relative(root, each.path)) not in known
    }
    found = []
    for uri in store.list_files(home):
        path = certificates.relative(root, uri)
        again = uri.rpartition("/")[0] == home or path not in known
        found.append(certificates.prove(root, uri) if again else known[path])
    return tuple(found)


def _known_downloads(ctx: Context, before: Certificate) -> tuple[FileProof, ...]:
    earlier = certificates.load(ctx.settings.lake_root, before.previous.path) if before.previous else None
    return (*(earlier.downloads if earlier else ()), *before.downloads)


def _entry(certificate: Certificate, data: bytes, phase: str) -> dict[str, Any]:
    return {
        "action": "publish",
        "phase": phase,
        "dataset": certificate.dataset,
        "table": certificate.table,
        "batch": certificate.batch,
        "snapshot": certificate.snapshot,
        "curated_snapshot": certificate.curated_snapshot,
        "rows": certificate.rows,
        "certificate": {
            "path": certificates.own_path(certificate),
            "sha256": certificates.digest_of(data),
        },
        "metadata": entry_of(certificate.metadata) if certificate.metadata else None,
    }


# ── other decisions ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def withdrawing(ctx: Context, table: Identifier) -> Iterator[None]:
    """Log that a table is taken away, and that it is gone."""
    log, _ = open_log(ctx)
    root = ctx.settings.lake_root
    kept = store.list_files(store.join(root, RELEASED, *table))
    said_of: dict[str, Any] = {"action": "withdraw", "table": ".".join(table)}
    if kept:
        said_of |= {"releases": [entry_of(certificates.prove(root, uri)) for uri in kept]}
    log.append({**said_of, "phase": "attempt"})
    yield
    log.append({**said_of, "phase": "outcome"})


def judged(ctx: Context, batch: Batch, stage: Stage, record: Record) -> None:
    """Log a check's outcome with the digest of its verdict."""
    if isinstance(record, Checked):
        verdict = certificates.prove(ctx.settings.lake_root, record.verdict)
        counts = {"rows_in": record.rows_in, "rows_out": record.rows_out, "warnings": record.warnings}
        open_log(ctx)[0].append(
            {**_stage(batch, stage, "done"), "verdict": entry_of(verdict), "counts": counts}
        )


def stopped(ctx: Context, batch: Batch, stage: Stage, part: str, error: BaseException) -> None:
    """Log that a batch was stopped by a check, before its publication, or by columns that its source lacks. Where the
    log cannot be written, or the lake not be reached, the error itself says more."""
    lacks = {"missing": list(error.missing)} if isinstance(error, ColumnsMissing) else {}
    if not (lacks or stage in {"check", "publish"}) or not isinstance(error, XuanwuError):
        return
    with suppress(XuanwuError, OSError):
        verdict = store.join(zones.folder(ctx.settings, "verdicts", batch.dataset, batch.id), "verdict.json")
        there = stage == "check" and store.exists(verdict)
        proof = certificates.prove(ctx.settings.lake_root, verdict) if there else None
        open_log(ctx)[0].append(
            {
                **_stage(batch, stage, "stopped"),
                "part": part,
                "by": type(error).__name__,
                "verdict": entry_of(proof) if proof else None,
                **lacks,
            }
        )


def _stage(batch: Batch, stage: Stage, result: str) -> dict[str, Any]:
    said_of = {"action": "stage", "phase": "outcome", "stage": stage, "result": result}
    return {**said_of, "dataset": batch.dataset, "batch": batch.id}
