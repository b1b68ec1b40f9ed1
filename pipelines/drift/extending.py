"""More time to follow a change at a source, with the authority's consent (Decree 809, Art. 17: five working days)."""

from __future__ import annotations

from lake import authority
from lake.authority import Clock
from pipelines.context import Context
from pipelines.deciding import official, registered
from pipelines.drift.clocks import Clocks, Unfollowed
from pipelines.proof.certifying import open_log
from schemas.errors import XuanwuError
from schemas.model import Entry


def extend(ctx: Context, entry: Entry, days: int, *, by: str, document: str) -> list[Unfollowed]:
    """Log so many working days more for the clocks that run for a dataset; the clocks as they run then.

    A clock that has run out is not extended, so that lateness stays lateness; nor beyond `catalogue.extend_at_most` in
    all. XuanwuError where no clock is left, or what is to be logged holds a name or number of a person."""
    who, number = official(by, "--by"), registered(document, "--reason-document")
    most = ctx.catalogue.numbers.catalogue.extend_at_most
    running = Clocks(ctx).of(entry)
    chosen = [each for each in running if not each.late and 1 <= days <= most - each.extended]
    if not chosen:
        raise XuanwuError(
            _why_not(running, days, most),
            dataset=entry.id,
            expected=f"1 to {most} working days in all, of a clock that has not run out (Decree 809, Art. 17)",
            next_step=f"`xuanwu drift {entry.id}` tells the clocks that run",
        )
    clocks = [Clock(each.what, each.name, each.batch) for each in chosen]
    authority.extend(open_log(ctx)[0], entry.id, clocks, days, by=who, document=number)
    extended = {(each.what, each.name) for each in chosen}
    return [each for each in Clocks(ctx).of(entry) if (each.what, each.name) in extended]


def _why_not(running: list[Unfollowed], days: int, most: int) -> str:
    if not running:
        return "no clock runs: the entry follows its source as far as is known"
    if all(each.late for each in running):
        return "every clock of this dataset has run out"
    return f"{days} working days more would be over {most} in all, or none"
