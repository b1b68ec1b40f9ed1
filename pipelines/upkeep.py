"""Upkeep of the whole lake, once a day: what is granted no more, what is old, what killed runs left behind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from lake.upkeep import Removed, clean
from pipelines.certifying import attest
from pipelines.context import Context
from pipelines.withdrawal import withdraw


@dataclass(frozen=True)
class Upkeep:
    """What was removed: names of the tables that the catalogue grants no more, and counts of the rest."""

    withdrawn: tuple[str, ...]
    removed: Removed


def upkeep(ctx: Context) -> Upkeep:
    """Withdraw first, so that nothing ungranted is tidied instead of removed; then clean the lake. Beside other runs,
    and after a kill, it can be run at any time. LakeError where the catalogue holds nothing."""
    withdrawn = tuple(withdraw(ctx))
    return Upkeep(withdrawn, clean(ctx.settings, ctx.tables, ctx.clock(), partial(attest, ctx)))
