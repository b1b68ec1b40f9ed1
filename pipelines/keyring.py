"""The versions of the masking key in the published tables: which are kept, and whether the tokens are theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from lake.properties import said
from lake.zones import identifier, published_table
from pipelines.context import Context
from pipelines.engine import engine
from pipelines.gates import disclosure, released
from pipelines.gates.limits import limits_of
from pipelines.masks import apply
from pipelines.masks.plan import Planned, planned
from pipelines.publishing.granting import with_grants
from pipelines.publishing.job import masks_hash
from pipelines.publishing.rotation import held, kept_key
from schemas.model import Entry, Fpe, Hmac, Zone
from schemas.policy import ZONES, policies

State = Literal["in use", "kept", "missing", "another key"]
Check = Literal["as published", "differs", "masks changed", "rows forgotten", "no key"]


@dataclass(frozen=True)
class Standing:
    """A snapshot of a published table and the key that its tokens were made with. `check` is None where nobody asked
    for it."""

    dataset: str
    zone: Zone
    policy: str
    snapshot: int
    current: bool
    version: str
    state: State
    check: Check | None = None


def standing(ctx: Context, *, verify: bool = False) -> Iterator[Standing]:
    """Every readable snapshot that was made with a key, dataset by dataset, the newest first. `verify` computes the
    tokens of each again, from the curated rows it was made of."""
    for entry in with_grants(ctx).catalogue.entries.values():
        for zone in ZONES:
            for policy in policies(entry, zone):
                yield from _of(ctx, entry, zone, policy, verify=verify)


def _of(ctx: Context, entry: Entry, zone: Zone, policy: str, *, verify: bool) -> Iterator[Standing]:
    table = published_table(entry.id, zone, policy)
    if not ctx.tables.exists(table):
        return
    for number, (snapshot, summary) in enumerate(ctx.tables.snapshots(table)):
        version = said(summary, "key_version") or ""
        if version:
            state = _state(ctx, version, said(summary, "key_check") or "")
            check = _verified(ctx, entry, zone, policy, (snapshot, summary)) if verify else None
            yield Standing(entry.id, zone, policy, snapshot, number == 0, version, state, check)


def _state(ctx: Context, version: str, check: str) -> State:
    key = kept_key(ctx, version)
    if key is None:
        return "missing"
    if key.check != check:
        return "another key"
    return "in use" if version == ctx.settings.key_version else "kept"


# ── the same tokens again ─────────────────────────────────────────────────────────────────────────────────


def _verified(
    ctx: Context, entry: Entry, zone: Zone, policy: str, found: tuple[int, dict[str, str]]
) -> Check:
    snapshot, summary = found
    version, source = said(summary, "key_version") or "", said(summary, "curated_snapshot") or "0"
    if not held(ctx, version, said(summary, "key_check") or ""):
        return "no key"
    work = planned(ctx, entry, zone, policy, key_version=version)
    limits = limits_of(entry, zone, policy, work.plan, ctx.catalogue.numbers.disclosure)
    coarse = disclosure.generalised(work.plan, limits, released.shapes(summary))
    if said(summary, "masks") != masks_hash(entry, zone, policy, coarse, limits):
        return "masks changed"
    if int(source) not in {each for each, _ in ctx.tables.snapshots(identifier("curated", entry.id))}:
        return "rows forgotten"
    table = published_table(entry.id, zone, policy)
    keyed = [name for name, mask in work.plan.items() if isinstance(mask, Hmac | Fpe)]
    again = _again(ctx, entry, work, keyed, int(source))
    return (
        "differs" if _surplus(ctx, ctx.tables.scan(table, keyed, snapshot), again, keyed) else "as published"
    )


def _again(
    ctx: Context, entry: Entry, work: Planned, names: list[str], source: int
) -> Iterator[pa.RecordBatch]:
    tokens = work.tokens()
    for batch in ctx.tables.scan(identifier("curated", entry.id), names, source):
        masked = [apply(batch.column(name), work.plan[name], entry.fields[name], tokens) for name in names]
        yield pa.RecordBatch.from_arrays(masked, names=names)


def _surplus(
    ctx: Context, published: Iterator[pa.RecordBatch], again: Iterator[pa.RecordBatch], names: list[str]
) -> int:
    """Published rows that the key does not make of the curated ones. DuckDB spills what it cannot hold."""
    schema = pa.schema([(name, pa.string()) for name in names])
    with engine(ctx.settings) as connection:
        for name, batches in (("published", published), ("again", again)):
            connection.register(
                name, pa.RecordBatchReader.from_batches(schema, (each.cast(schema) for each in batches))
            )
        row = connection.execute(
            "SELECT count(*) FROM (SELECT * FROM published EXCEPT ALL SELECT * FROM again)"
        ).fetchone()
    return int(row[0]) if row else 0
