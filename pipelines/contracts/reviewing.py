"""The authority's review of what came into use: until when, and by whom (Decree 809, Art. 17: two working days)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from lake import authority
from lake.authority import Review
from lake.contracts import Used, history
from pipelines.contracts.assessing import Outdated, outdated
from schemas.errors import XuanwuError
from schemas.workdays import day_of, deadline

if TYPE_CHECKING:
    from pipelines.context import Context


@dataclass(frozen=True)
class Form:
    """A form that was in use, with its review where there was one. `due` is the last day in time; None where nothing
    was told to have changed, so that there was nothing to review. `late`: it was reviewed later, or waits still."""

    used: Used
    review: Review | None
    due: date | None
    late: bool
    outdated: tuple[Outdated, ...] = ()
    """Assessments that do not cover it; of the newest form alone."""

    @property
    def waits(self) -> bool:
        return self.due is not None and self.review is None


def forms(lake: str, within: int, now: datetime, dataset: str | None = None) -> list[Form]:
    """Every form that was in use, of one dataset or of all, the newest first, with `within` working days to review it;
    from the log, without proving it."""
    used = history(lake, dataset)
    by_dataset: dict[str, list[Used]] = {}
    for each in used:
        by_dataset.setdefault(each.dataset, []).append(each)
    reviewed: dict[str, list[Review]] = {}
    for review in authority.reviews(lake, dataset):
        reviewed.setdefault(review.dataset, []).append(review)
    stale = {name: tuple(outdated(own)) for name, own in by_dataset.items()}
    return [
        _form(each, reviewed.get(each.dataset, ()), within, now, stale.pop(each.dataset, ())) for each in used
    ]


def _form(
    used: Used, reviews: Iterable[Review], within: int, now: datetime, stale: tuple[Outdated, ...]
) -> Form:
    review = next((each for each in reviews if each.number >= used.number), None)
    due = deadline(used.since, within) if used.number == 1 or used.changes else None
    late = due is not None and day_of(review.at if review else now) > due
    return Form(used, review, due, late, stale)


def waiting(found: Sequence[Form]) -> list[Form]:
    """Of each dataset the form that has waited the longest, the first due first."""
    oldest: Mapping[str, Form] = {each.used.dataset: each for each in found if each.waits}
    return sorted(oldest.values(), key=lambda each: (each.due or date.max, each.used.dataset))


def review(ctx: Context, dataset: str | None, *, by: str, document: str = "") -> list[Used]:
    """Log that the authority has reviewed the form in use, of one dataset or of all that wait; what was reviewed.

    XuanwuError where no form of the dataset was ever in use, or what is to be logged holds a number of a person."""
    from pipelines.deciding import official, registered
    from pipelines.proof.certifying import open_log

    who, number = official(by, "--by"), registered(document, "--document") if document else ""
    found = forms(ctx.settings.lake_root, ctx.catalogue.numbers.catalogue.review_within, ctx.clock(), dataset)
    if dataset and not found:
        raise XuanwuError(
            f"no contract of `{dataset}` was in use in this lake, so there is nothing to review",
            next_step="`xuanwu catalogue history` lists what was",
        )
    newest: dict[str, Form] = {}
    for each in found:
        newest.setdefault(each.used.dataset, each)
    wait = {each.used.dataset for each in found if each.waits}
    chosen = [each.used for name, each in newest.items() if name in wait or name == dataset]
    log, _ = open_log(ctx)
    for used in chosen:
        authority.review(log, used, by=who, document=number)
    return chosen
