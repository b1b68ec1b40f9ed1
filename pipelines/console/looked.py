"""Who looked at one person's record: from identifiers to the forms in which each share table publishes them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from exchange.desk import Desk
from exchange.looks import Look, Record, looks, telling
from exchange.narrowing import policies_of
from exchange.requests import ever_granted
from lake.properties import said
from lake.zones import identifier
from pipelines.context import Context
from pipelines.erasure.subject import Subject
from pipelines.masks import apply
from pipelines.masks.plan import planned
from schemas.model import Entry
from schemas.policy import narrowed, policies


def looked(ctx: Context, desk: Desk, subject: Subject) -> list[Look]:
    """The reads that saw the subject's rows, and those of whole tables that may have; through grants' own tables too,
    ended ones among them. That it was asked stands in the
    audit log, without the subject. MaskError where a table's key is not at hand."""
    grants = [each for each in ever_granted(desk.state) if each.terms.narrow]
    entries = (narrowed(entry, policies_of(entry, grants)) for entry in ctx.catalogue.entries.values())
    records = [record for entry in entries for record in _records(ctx, entry, subject)]
    found = looks(desk, records)
    desk.log.append({"action": "looked", "tables": len(records), "found": len(found)})
    return found


def _records(ctx: Context, entry: Entry, subject: Subject) -> Iterator[Record]:
    for policy in policies(entry, "share"):
        columns = [name for name in telling(entry, policy) if entry.fields[name].element]
        wanted = [
            (name, value)
            for name in columns
            for element, value in subject.values
            if entry.fields[name].element == element
        ]
        for version in _versions(ctx, entry, policy) if wanted else ():
            work = planned(ctx, entry, "share", policy, key_version=version or None)
            for name, value in wanted:
                column = pa.array([value], pa.string())
                masked = apply(column, work.plan[name], entry.fields[name], work.tokens())
                yield Record(entry.id, policy, name, str(masked[0].as_py()))


def _versions(ctx: Context, entry: Entry, policy: str) -> set[str]:
    """Versions of the keys under which the table's snapshots were made; the one in use of a table that is gone."""
    table = identifier("share", entry.id, policy)
    found = {said(summary, "key_version") or "" for _, summary in ctx.tables.snapshots(table)}
    return found or {ctx.settings.key_version}
