"""Withdrawal: what catalogue and grants give no longer is taken away, tables and downloads alike (law 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lake import releases, store
from lake.zones import Identifier, published_table
from pipelines.context import Context
from pipelines.gates import absent, released
from pipelines.proof import certifying
from pipelines.publishing.granting import with_grants
from schemas.errors import LakeError
from schemas.model import Entry
from schemas.policy import ZONES, policies


def withdraw(ctx: Context, entry: Entry | None = None) -> list[str]:
    """Remove what the catalogue does not grant (any more), of one entry, or without one of all that was ever
    published: tables of removed policies, closed zones and removed datasets, and their downloads; and the tables of
    grants that have ended. Returns the names of the tables removed. LakeError where the catalogue holds nothing: then
    it is the catalogue that is wrong. Busy where the exchange does not say what is granted."""
    if not ctx.catalogue.entries:
        raise LakeError("the catalogue is empty", next_step="see XUANWU_CATALOGUE")
    known = ctx.catalogue.entries | ({entry.id: entry} if entry else {})
    known_of = replace(ctx, catalogue=replace(ctx.catalogue, entries=known))
    entries = with_grants(known_of, entry.id if entry else None).catalogue.entries
    granted = {table for each in entries.values() for table in _granted(each)}
    removed = [table for table in _published(ctx, entry) if table not in granted]
    for table in removed:
        released.remember(ctx.settings, ctx.tables, table)
        with certifying.withdrawing(ctx, table):
            ctx.tables.drop(table)
        absent.forget(ctx.settings, table)
    for dataset in [entry.id] if entry else releases.datasets(ctx.settings.lake_root):
        _withdraw_releases(ctx, dataset, entries.get(dataset))
    return [".".join(table) for table in removed]


def _granted(entry: Entry) -> Iterator[Identifier]:
    for zone in ZONES:
        yield from (published_table(entry.id, zone, policy) for policy in policies(entry, zone))


def _withdraw_releases(ctx: Context, dataset: str, entry: Entry | None) -> None:
    """Remove the releases of what offers none, and those that lie where it does not offer them, such as what is opened
    on conditions since: the next publication makes them anew in their place. A table that stays is certified without
    them first."""
    root = ctx.settings.lake_root
    table = published_table(dataset, "open", "")
    if entry is not None and policies(entry, "open") and entry.open.downloads:
        if gone := releases.misplaced(root, entry):
            certifying.attest(ctx, table, gone)
            releases.withdraw_misplaced(root, entry)
    elif gone := releases.places(root, dataset):
        certifying.attest(ctx, table, gone)
        releases.withdraw(root, dataset, gone)


def _published(ctx: Context, entry: Entry | None) -> Iterator[Identifier]:
    """Tables of an entry or of all, and folders without a table that a process killed in `drop` left
    behind."""
    for zone in ZONES:
        folders = store.list_folders(store.join(ctx.settings.lake_root, zone))
        names = {name for _, name in ctx.tables.identifiers(zone)} | {f.rsplit("/", 1)[-1] for f in folders}
        own = published_table(entry.id, "open", "")[1] if entry else ""
        yield from ((zone, name) for name in sorted(names) if not own or f"{name}__".startswith(f"{own}__"))
