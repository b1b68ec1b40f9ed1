"""A table that another platform shares becomes rows of the landing zone: one snapshot, whole, and proved.

Its certificate is taken first, and checked against the key that the entry pins; the rows are read a page at a time of
just that snapshot, and are as many as it certifies. The same snapshot is not taken twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from pyarrow import ipc

from lake import certificates, landing, upstream
from lake.batch import Batch
from lake.certificates import Certificate
from lake.records import Landed, LandedFile, SourceColumn, Upstream
from lake.signing import public_key
from pipelines.context import Context
from pipelines.drift.judge import judged
from pipelines.sources.exchange_client import Peer, open_peer
from pipelines.sources.scanned import columns_of
from schemas.errors import ColumnsMissing, SettingsError, SourceError
from schemas.model import Entry, ExchangeSource

PAGE_ROWS: Final = 20_000


@dataclass(frozen=True)
class Offered:
    """A table as the other platform describes it: `policy` is that of the table that we read, a grant's own one too."""

    policy: str
    snapshot: str
    columns: tuple[SourceColumn, ...]
    described: dict[str, Any] = field(repr=False)


def collect_exchange(ctx: Context, entry: Entry, batch: Batch) -> Landed:
    """Land the newest snapshot of the other platform's table, or nothing where we have it.

    SourceError where it is not reachable, not (any longer) granted, not certified by the pinned key, or sends other
    rows than it certifies; nothing is landed then. SettingsError where the connection is missing."""
    if (done := landing.landed(ctx.settings, batch)) is not None:
        return done
    source = entry.source
    assert isinstance(source, ExchangeSource)  # noqa: S101
    with opened(ctx, source) as peer, landing.open_landing(ctx.settings, batch) as writer:
        table, columns = offered(peer, source), columns_of(entry)
        _require(table, columns, source)
        data, certificate = certified(peer, source, table)
        theirs, before = _upstream(ctx, peer, data, certificate, columns), _before(ctx, entry)
        landed = Landed(
            batch=batch,
            files=(),
            rows=0,
            position=theirs.snapshot,
            columns=table.columns,
            upstream=theirs,
            collected_at=ctx.clock(),
        )
        if before is not None and _same(before, theirs):
            return writer.commit(landed.model_copy(update={"skipped": (_name(theirs),)}))
        reader = _reader(peer, table, source, columns, certificate.rows)
        path, sha256, size, rows = writer.add_rows(f"{entry.name}.parquet", reader)
        _agree(source, certificate.rows, rows)
        file = LandedFile(
            path=path, origin=_name(theirs), sha256=sha256, size=size, rows=rows, format="parquet"
        )
        found = {"files": (file,), "rows": rows, "counted": certificate.rows}
        return writer.commit(judged(ctx, entry, landed.model_copy(update=found)))


def opened(ctx: Context, source: ExchangeSource) -> Any:
    """A client of the source's platform, to be used in a `with`."""
    return open_peer(
        source.connection,
        ctx.connect(source.connection),
        f"{source.connection}/{source.dataset}/{source.policy}",
        timeout=source.timeout.total_seconds(),
        retries=source.retries,
    )


def _name(theirs: Upstream) -> str:
    return f"{theirs.dataset}/{theirs.policy}@{theirs.snapshot}"


def _before(ctx: Context, entry: Entry) -> Upstream | None:
    """What the newest batch that landed was."""
    return next((each.upstream for each in landing.history(ctx.settings, entry.id)), None)


def _same(before: Upstream, now: Upstream) -> bool:
    told = ("dataset", "policy", "snapshot", "key", "columns")
    return all(getattr(before, name) == getattr(now, name) for name in told)


# ── what is offered, and its proof ────────────────────────────────────────────────────────────────────────


def offered(peer: Peer, source: ExchangeSource) -> Offered:
    """The table as we would read it now. SourceError where nothing was published yet, or it is not for us."""
    try:
        found = json.loads(peer.get("tables", source.dataset, source.policy))
        columns = tuple(SourceColumn(name=each["name"], type=each["type"]) for each in found["fields"])
        policy, snapshot, readable = str(found["policy"]), found["snapshot"], bool(found["readable"])
    except (ValueError, KeyError, TypeError):
        raise _refused(peer, "the other platform's description of the table cannot be read") from None
    if not readable:
        raise _refused(
            peer,
            "the other platform does not (any longer) grant us this table",
            "ask its provider for a grant",
        )
    if snapshot is None:
        raise _refused(peer, "nothing was published yet", "ask the provider when it will be")
    return Offered(policy, str(snapshot), columns, found)


def certified(peer: Peer, source: ExchangeSource, table: Offered) -> tuple[bytes, Certificate]:
    """The certificate of the snapshot, signed by the pinned key."""
    data = peer.get("tables", source.dataset, table.policy, "certificate", snapshot=table.snapshot)
    try:
        named = certificates.decode(data, None).key
        if named != source.key:
            raise ValueError(f"it is signed by the key {named}, and source.key is {source.key}")
        certificate = upstream.checked(data, _key(peer, source.key), source.key)
    except (ValueError, SettingsError) as error:
        raise _refused(
            peer,
            f"the snapshot is not proved: {error}",
            "if its key was changed, have it told to you by another way, and write it into source.key",
        ) from None
    told = (certificate.dataset, certificate.policy, str(certificate.snapshot), certificate.zone)
    if told != (source.dataset, table.policy, table.snapshot, "share"):
        raise _refused(peer, "the certificate is of another table or snapshot")
    return data, certificate


def _key(peer: Peer, key: str) -> Any:
    return public_key(peer.get("keys", key), f"key {key}")


def _upstream(
    ctx: Context, peer: Peer, data: bytes, certificate: Certificate, columns: tuple[str, ...]
) -> Upstream:
    """Keep the certificate and its key; what the manifest says of them."""
    key = _key(peer, certificate.key)
    return Upstream(
        dataset=certificate.dataset,
        policy=certificate.policy,
        snapshot=str(certificate.snapshot),
        certificate=certificates.digest_of(data),
        key=certificate.key,
        proof=upstream.keep(ctx.settings.lake_root, data, certificate, key),
        columns=columns,
    )


def _refused(peer: Peer, message: str, step: str | None = None) -> SourceError:
    return SourceError(message, file=peer.what, next_step=step)


# ── the rows ──────────────────────────────────────────────────────────────────────────────────────────────


def _require(table: Offered, columns: tuple[str, ...], source: ExchangeSource) -> None:
    given = {column.name: column.type for column in table.columns}
    if missing := [name for name in columns if name not in given]:
        raise ColumnsMissing(
            f"the other platform does not give {', '.join(missing)}",
            missing=missing,
            found=given,
            file=f"{source.connection}/{source.dataset}/{source.policy}",
            expected=", ".join(columns),
        )


def _reader(
    peer: Peer, table: Offered, source: ExchangeSource, columns: tuple[str, ...], rows: int
) -> pa.RecordBatchReader:
    """The rows of the snapshot, one page in memory at a time."""

    def page(after: int) -> pa.RecordBatchReader:
        body = peer.get(
            *("tables", source.dataset, table.policy, "rows"),
            columns=",".join(columns),
            snapshot=table.snapshot,
            format="arrow",
            after=after,
            limit=PAGE_ROWS,
        )
        try:
            reader = ipc.open_stream(body)
        except pa.ArrowException:
            raise _refused(peer, "a page of rows cannot be read") from None
        if tuple(reader.schema.names) != columns:  # law 1: nothing lands that was not asked for
            raise _refused(peer, "a page has other columns than were asked for")
        return reader

    first = page(0)

    def batches() -> Iterator[pa.RecordBatch]:
        reader, after = first, 0
        while True:
            before = after
            try:
                for batch in reader:
                    after += batch.num_rows
                    yield batch
            except pa.ArrowException:
                raise _refused(peer, "a page of rows ends too early") from None
            if after >= rows or after == before:
                return
            reader = page(after)

    return pa.RecordBatchReader.from_batches(first.schema, batches())


def _agree(source: ExchangeSource, certified: int, rows: int) -> None:
    if certified != rows:
        raise SourceError(
            f"the other platform certifies {certified} rows and {rows} arrived",
            file=f"{source.connection}/{source.dataset}/{source.policy}",
            rule="landed equals what the source counted",
            next_step="run the batch again; if it stays so, tell the other platform",
        )
