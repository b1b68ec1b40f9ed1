"""Keys change, what was published with them stays readable, as long as the keys are kept.

A publication under a new version of the key is one more snapshot of a share table, while the old key is kept: readers
of an earlier snapshot join by its version's tokens, as they did. Once an old key is taken away (it is lost, or known
to somebody) the table begins anew at its next publication, and nothing under that key can be read any more. Open
tables always begin anew: whoever subtracts releases shall not meet one that no gate held against the others.
"""

from __future__ import annotations

from lake.properties import said
from lake.zones import Identifier
from pipelines.context import Context
from pipelines.keys import Key, load_key
from schemas.errors import MaskError
from schemas.model import Zone


def keeps_past(ctx: Context, table: Identifier, zone: Zone, masks: str, *, alike: bool) -> bool:
    """Whether the snapshots of a table may stay beside a new one: it has the same masks, of the open zone also the
    same key (`alike`), and every key that they were made with is still there."""
    if not ctx.tables.exists(table):
        return False
    before = [summary for _, summary in ctx.tables.snapshots(table)]
    rotated = zone == "share" and bool(before) and all(said(each, "masks") == masks for each in before)
    keys = {(said(each, "key_version") or "", said(each, "key_check") or "") for each in before}
    return (alike or rotated) and all(not version or held(ctx, version, check) for version, check in keys)


def kept_key(ctx: Context, version: str) -> Key | None:
    """The key of a version, None where there is none (any more)."""
    try:
        return load_key(version, ctx.connect)
    except MaskError:
        return None


def held(ctx: Context, version: str, check: str) -> bool:
    """Whether the key of a version is there and is the one with this check value."""
    key = kept_key(ctx, version)
    return key is not None and key.check == check
