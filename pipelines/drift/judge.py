"""Drift: what changed at a source since the batch before, by the name of the column, with what to do.

    new        not collected (law 1); goes on, and is told
    gone       of columns that the entry does not collect; goes on, and is told
    wider      int → bigint, varchar(20) → varchar(40): goes on, if the entry's field has room for it
    other      any other change of a collected column's type: held until somebody approves it
    missing    a collected column is not there: stops, with the column that it may have become

Types are those that the source declares. Text files and JSON declare none: what no longer fits there is set aside, row
by row, when it is standardised.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from lake import landing
from lake.batch import Batch
from lake.decisions import Hold
from lake.records import Landed
from pipelines.context import Context
from pipelines.deciding import require
from pipelines.drift.kinds import holds, step
from pipelines.drift.renames import Candidate, candidates
from pipelines.telling import identifying
from schemas.errors import ColumnsMissing
from schemas.impact import impact
from schemas.load import load_catalogue
from schemas.model import Entry, Field

What = Literal["new", "gone", "wider", "other"]


@dataclass(frozen=True)
class Change:
    """What became of one column of the source. `fields` are those of the entry that it gives."""

    what: What
    column: str
    before: str
    after: str
    fields: tuple[str, ...]

    @property
    def sentence(self) -> str:
        if self.what == "new":
            kind = f" ({self.after})" if self.after else ""
            return (
                f"new column `{self.column}`{kind}: not collected; name it in a field of the entry if the city "
                "needs it, and leave it if it does not"
            )
        if self.what == "gone":
            return f"column `{self.column}` is gone: it was not collected, so nothing else changes"
        told = f"column `{self.column}` ({', '.join(self.fields)}) was {self.before} and is {self.after}"
        return f"{told}: wider, accepted" if self.what == "wider" else told


def judged(ctx: Context, entry: Entry, landed: Landed) -> Landed:
    """What is about to land, with notes on what changed since the batch before. DecisionNeeded or Refused where a
    collected column's type changed into one that is not known to be safe."""
    before = baseline(ctx, landed.batch)
    if before is None or not landed.columns:
        return landed
    found = changes(entry, before, landed)
    if unsafe := [change for change in found if change.what == "other"]:
        reasons = tuple(_unsafe(ctx, entry, change) for change in unsafe)
        saw: dict[str, int | str] = {each.column: f"{each.before} → {each.after}" for each in unsafe}
        require(ctx, Hold(batch=landed.batch, stage="collect", reasons=reasons, saw=saw, at=ctx.clock()))
    return landed.model_copy(update={"notes": (*landed.notes, *(change.sentence for change in found))})


def baseline(ctx: Context, batch: Batch) -> Landed | None:
    """The landed batch of the newest interval before this one whose columns are known."""
    end = (batch.end, batch.start)
    earlier = (each for each in landing.history(ctx.settings, batch.dataset) if each.columns)
    return next((each for each in earlier if (each.batch.end, each.batch.start) < end), None)


def changes(entry: Entry, before: Landed, after: Landed) -> list[Change]:
    """Every column that differs between two landed batches, in the source's order; those gone last."""
    old, new = ({column.name: column.type for column in each.columns} for each in (before, after))
    fields = _by_column(entry)
    found: list[Change] = []
    for name, kind in new.items():
        own = fields(name)
        if name not in old and not own:
            found.append(Change("new", name, "", kind, ()))
        elif (what := _became(old.get(name, kind), kind, own)) is not None:
            found.append(Change(what, name, old[name], kind, tuple(field.name for field in own)))
    gone = (name for name in old if name not in new and not fields(name))
    return found + [Change("gone", name, old[name], "", ()) for name in gone]


def _by_column(entry: Entry) -> Callable[[str], tuple[Field, ...]]:
    """The fields that a column of the source gives; a database may spell it in another case than the entry."""
    exact = given(entry)
    folded = {name.casefold(): fields for name, fields in exact.items()}
    if entry.source.kind != "database":
        return lambda name: exact.get(name, ())
    return lambda name: exact.get(name) or folded.get(name.casefold(), ())


def _became(before: str, after: str, fields: Collection[Field]) -> What | None:
    """How a collected column changed; None where it did not, or where nobody collects it."""
    changed = step(before, after)
    if not fields or changed == "same":
        return None
    return "wider" if changed == "wider" and all(holds(field, after) for field in fields) else "other"


def given(entry: Entry) -> dict[str, tuple[Field, ...]]:
    """The fields that each collected column of the source gives."""
    found: dict[str, tuple[Field, ...]] = {}
    for name, field in entry.collected.items():
        column = field.source or name
        found[column] = (*found.get(column, ()), field)
    return found


def _unsafe(ctx: Context, entry: Entry, change: Change) -> str:
    """The change, why it is not simply taken, what to do, and who would feel it."""
    tight = step(change.before, change.after) == "wider"
    advice = (
        "widen the entry's field (length, precision, scale) first"
        if tight
        else "ask the department what it means, change `type` or `formats` of the field if need be"
    )
    return f"{change.sentence}: {advice}; felt by {felt(ctx, entry, change.fields)}"


def felt(ctx: Context, entry: Entry, fields: Iterable[str]) -> str:
    """Who would feel a change of these fields, in one line."""
    whole = (
        load_catalogue(ctx.settings.catalogue, stamps=ctx.settings.stamps) if _is_part(ctx) else ctx.catalogue
    )
    told = dict.fromkeys(impact(whole, entry.id, field).summary for field in fields)
    return " | ".join(told) or "nothing else in the catalogue"


def _is_part(ctx: Context) -> bool:
    """Whether a task was given only the entries that its dataset speaks of: who would feel a change may be another."""
    return ctx.catalogue.root == ctx.settings.catalogue


@contextmanager
def explained(ctx: Context, entry: Entry, batch: Batch) -> Iterator[None]:
    """A missing column's error leaves this block with what the column may have become, and who would feel it."""
    try:
        yield
    except ColumnsMissing as error:
        before = baseline(ctx, batch)
        fields = given(entry)
        told = [_became_of(entry, name, error, before) for name in error.missing]
        names = [field.name for name in error.missing for field in fields.get(name, ())]
        hints = "; ".join(filter(None, told))
        message = error.message + (f"; {hints}" if hints else "")
        message += (
            f"; felt by {felt(ctx, entry, names)} (xuanwu impact {entry.id}.{names[0]})" if names else ""
        )
        raise ColumnsMissing(
            message,
            missing=error.missing,
            found=error.found,
            **_place(error),
            expected=error.expected,
            next_step=_next(told) or error.next_step,
        ) from None


def _place(error: ColumnsMissing) -> Mapping[str, str]:
    return {name: str(value) for name, value in error.place.items() if name in ("dataset", "file", "field")}


def _became_of(entry: Entry, column: str, error: ColumnsMissing, before: Landed | None) -> str:
    found: list[Candidate] = candidates(entry, column, error.found, before, error.landed)
    if not found or identifying([found[0].column]):
        return ""
    best = found[0]
    return f"`{column}` seems to be called `{best.column}` now ({best.why})"


def _next(told: list[str]) -> str:
    if not any(told):
        return ""
    return "if it is the same column, set `source` of the field to its new name and run again; else ask the department"
