"""How a batch stands, by the attempts at its stages: what status, the report and resume all go by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lake.ledger import Attempt, State
from pipelines.context import Context
from pipelines.stages import parts

_FIRST: Final[tuple[State, ...]] = ("stuck", "running", "failed")


def decisive(attempts: Sequence[Attempt]) -> Attempt:
    """The attempt that says how these stand: of the newest of every stage and part one that is stuck, or running, or
    failed; where all were done, the last. The zones of a batch end in any order, so that what the last to end did
    says nothing of the others."""
    newest = {(each.stage, each.part): each for each in attempts}.values()
    for state in _FIRST:
        if found := [each for each in newest if each.state == state]:
            return max(found, key=lambda each: each.id)
    return attempts[-1]


def still_wanted(ctx: Context, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """The attempts without the failed ones to publish what is granted no more, by the catalogue or the exchange: it
    is never tried again, so that they would be the batch's last word for ever."""
    entries = ctx.catalogue.entries
    unknown = {
        (each.batch.dataset, each.part)
        for each in attempts
        if each.stage == "publish" and each.state == "failed" and each.batch.dataset in entries
    } - {(name, part) for name, entry in entries.items() for part in parts(entry, "publish")}
    if not unknown:
        return attempts
    from pipelines.publishing.granting import with_grants

    granted = with_grants(ctx).catalogue.entries
    ended = {(name, part) for name, part in unknown if part not in parts(granted[name], "publish")}
    return [
        each for each in attempts if each.state != "failed" or (each.batch.dataset, each.part) not in ended
    ]
