"""What the disclosure gate is told: limits, ladders, the counts of aggregates, and noise with its budget."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.draft import Draft
from schemas.findings import Finding, KeyPath, listed
from schemas.house import House
from schemas.model import EntryFile, Field, Generalise, LakeSource, Limits, Noise, Policy, Step, Zone
from schemas.policy import mask_of
from schemas.rules.masks import PLACES, TIMES, misfit
from schemas.rules.names import known_fields

NOISED_DIGITS = 18
"""Of which every number fits into 64 bits."""
_STRICT = ("public", "controlled", "enclave")
Bins = tuple[float, ...]


def limits_fit(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Limits of disclosure are of persons or their aggregates, no looser than the kind of release asks, and
    generalise quasi-identifiers."""
    for name, policy in written.share.policies.items():
        yield from _limits(
            policy.disclosure, ("share", "policies", name, "disclosure"), written, draft, house
        )
    yield from _limits(written.open.disclosure, ("open", "disclosure"), written, draft, house)


def _limits(
    said: Limits | None, path: KeyPath, written: EntryFile, draft: Draft, house: House
) -> Iterator[Finding]:
    if said is None:
        return
    aggregates = path[0] == "open" and written.open.counts is not None
    if written.subject != "person" and not (aggregates and said.model_fields_set <= {"suppress"}):
        expected = "`subject: person`, or no more than `suppress` beside `counts`"
        yield Finding(path, "is said, and the rows are not persons'", expected)
    numbers, kind = house.numbers.disclosure, said.release or "controlled"
    if path[0] == "open" and written.open.type != "none":
        least = numbers.open[written.open.type]
        kind = said.release or least
        if _STRICT.index(kind) > _STRICT.index(least):
            why = f"is {kind}, and no door stands before the open zone: policy.yaml asks {least}"
            yield Finding((*path, "release"), why, f"`{least}`")
    fewest = numbers.releases[kind].smallest(numbers.below)
    if said.k is not None and said.k < fewest:
        yield Finding(
            (*path, "k"), f"is {said.k}: a {kind} release has classes of more rows", f"{fewest} or more"
        )
    for name in () if said.generalise == "auto" else said.generalise:
        yield from known_fields([name], (*path, "generalise"), draft)
        if name in draft.fields and draft.fields[name].risk not in ("quasi", None):
            why = f"names `{name}`, which is no quasi-identifier (risk {draft.fields[name].risk})"
            yield Finding((*path, "generalise"), why, "fields with `risk: quasi`")


def ladders_fit(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A ladder's steps fit the field's type and become coarser from one to the next."""
    for name, field in draft.fields.items():
        path, before = ("fields", name, "ladder"), None
        for step in field.ladder:
            mask = Generalise(to=step) if isinstance(step, str) else Generalise(bins=step)
            if found := misfit(mask, field.type):
                yield Finding(path, *found)
            elif before is not None and not _coarser(before, step):
                yield Finding(path, "does not become coarser from step to step", "the finest first")
            before = step


def _coarser(before: Step | Bins, step: Step | Bins) -> bool:
    """Whether the step is coarser than the one before: further on in the list, or some of its bounds."""
    if isinstance(before, str) and isinstance(step, str):
        return any(
            before in words and step in words and words.index(before) < words.index(step)
            for words in (PLACES, TIMES)
        )
    return not isinstance(before, str) and not isinstance(step, str) and set(step) < set(before)


def aggregates_counted(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """What is opened of aggregates of persons says which fields count them, so that small cells are left out."""
    counts, path = written.open.counts, ("open", "counts")
    if counts is None:
        if _of_persons(written, house) and written.subject != "person" and written.open.type != "none":
            why = (
                "is missing, and the rows are aggregates of persons: a row that counts few would tell of each"
            )
            yield Finding(path, why, "the fields that say how many persons a row is made of, or []")
        return
    if written.subject == "person":
        yield Finding(path, "is said, and a row is a person's", "no `counts`, or another `subject`")
    yield from known_fields(counts, path, draft)
    wrong = [name for name in counts if name in draft.fields and draft.fields[name].type != "integer"]
    if wrong:
        yield Finding(path, f"names {listed(wrong)}, which counts nothing", "fields of type integer")


def _of_persons(written: EntryFile, house: House) -> bool:
    if not isinstance(written.source, LakeSource):
        return False
    inputs = [house.by_id[name].written for name in written.source.inputs if name in house.by_id]
    return any(each is not None and each.subject == "person" for each in inputs)


def noise_budgeted(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Noise is for what is opened of aggregates, and is spent from a budget that is enough for one release."""
    for name, policy in written.share.policies.items():
        for field in _noised(policy, draft, "share"):
            path = ("share", "policies", name, "mask", field)
            yield Finding(path, "is noise, and its budget is the public's", "another mask where it is shared")
    spent = _noised(written.open, draft, "open") if written.open.type != "none" else {}
    if spent and written.subject == "person":
        why = f"has noise on {listed(spent)}, and a row is a person's"
        yield Finding(("open", "mask"), why, "another mask, or aggregates (another `subject`)")
    if spent and written.open.counts is None:
        why = "is missing, and noise is drawn on what counts or sums persons"
        yield Finding(("open", "counts"), why, "the fields that say how many persons a row is made of, or []")
    budget = written.open.budget
    if spent and budget is None:
        yield Finding(
            ("open", "budget"), "is missing, and noise is drawn", "epsilon of all releases together"
        )
    elif budget is not None and (needed := sum(mask.epsilon for mask in spent.values())) > budget:
        why = f"is {budget:g}, and one release spends {needed:g}"
        yield Finding(("open", "budget"), why, "more, or masks with a smaller epsilon")


def noise_fits(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Noise on decimals is drawn in units of their last place, which are whole numbers of 64 bits; and the least that
    is shown is a number of the field's type."""
    for name, mask in _noised(written.open, draft, "open").items():
        field = draft.fields[name]
        if field.type == "decimal" and field.precision > NOISED_DIGITS:
            why = f"is {field.precision}, and the field has noise, which is drawn in 64 bits"
            yield Finding(("fields", name, "precision"), why, f"{NOISED_DIGITS} digits or fewer")
        if mask.min is not None and not _holds(field, mask.min):
            why = f"noise has min {mask.min:g}, which is no number of the field's type"
            yield Finding(("fields", name), why, "a `min` that the field could hold")


def _holds(field: Field, number: float) -> bool:
    if field.type == "decimal":
        return round(abs(number), field.scale) < 10 ** (field.precision - field.scale)
    return field.type != "integer" or (number.is_integer() and abs(number) < 2**63)


def _noised(policy: Policy, draft: Draft, zone: Zone) -> dict[str, Noise]:
    """Published fields with noise, and their masks."""
    named = policy.fields or (() if zone == "open" else tuple(draft.fields))
    fields = [draft.fields[name] for name in named if name in draft.fields and name not in policy.drop]
    masks = {field.name: mask_of(field, zone, policy) for field in fields}
    return {name: mask for name, mask in masks.items() if isinstance(mask, Noise)}
