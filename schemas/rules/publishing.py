"""What is shared and opened: stated reasons (Decree 809, Articles 14-15), and a mask wherever a grade asks
for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.draft import Draft
from schemas.findings import Finding, KeyPath
from schemas.house import House
from schemas.model import Drop, EntryFile, Field, Keep, Mask, Open, Policy, Share, Zone
from schemas.policy import OPEN_GRADE, SHARE_GRADE, mask_of
from schemas.rules.masks import weaker

NEVER_KEPT = 4
"""Sensitive data (GB/T 43697) leaves the curated zone only masked."""


def share_reasons(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A conditional share says its conditions, a refused one its legal basis; a share has a policy."""
    yield from _reasons(written.share, "share")
    if written.share.type != "none" and not written.share.policies:
        yield Finding(("share", "policies"), "is empty, so that nothing is shared", "{default: {}}")


def open_reasons(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A conditional opening says its conditions, a refused one its legal basis, and only an unconditional one a
    licence; what is opened is listed."""
    yield from _reasons(written.open, "open")
    if written.open.licence and written.open.type != "unconditional":
        why = f"is for what is opened unconditionally, and this is `type: {written.open.type}`"
        yield Finding(
            ("open", "licence"), why, "left out: the terms of a conditional opening are its conditions"
        )
    if written.open.type != "none" and not written.open.fields:
        yield Finding(
            ("open", "fields"), "is missing: what is not named is not opened", "[the fields to open]"
        )


def _reasons(said: Share | Open, zone: Zone) -> Iterator[Finding]:
    if said.type == "conditional" and said.conditions is None:
        why = "is missing: `type: conditional` states its scope and use (Decree 809, Art. 14)"
        yield Finding((zone, "conditions"), why, "{zh: …, en: …}")
    if said.type == "none" and said.basis is None:
        why = "is missing: `type: none` states its reason and legal basis (Decree 809, Art. 15)"
        yield Finding((zone, "basis"), why, "{zh: …, en: …}")


def share_masks(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Every shared field above grade 2 is masked; a conditional share may keep grade 3 where it says so."""
    if written.share.type == "none":
        return
    for name, policy in written.share.policies.items():
        path = ("share", "policies", name)
        for field in _published(policy, draft, policy.fields or draft.fields):
            mask = mask_of(field, "share", policy)
            if policy.fields:
                yield from _dropped(field, mask, path)
            kept = NEVER_KEPT if written.share.type == "conditional" else SHARE_GRADE + 1
            yield from _unmasked(field, mask, policy, path, kept)


def open_masks(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Every opened field above grade 1 is masked, and not more weakly than its element asks."""
    if written.open.type == "none":
        return
    for field in _published(written.open, draft, written.open.fields or ()):
        mask = mask_of(field, "open", written.open)
        yield from _dropped(field, mask, ("open",))
        yield from _unmasked(field, mask, written.open, ("open",), OPEN_GRADE + 1)
        base = field.masks.open
        if mask is not None and base is not None and not isinstance(mask, Keep) and weaker(mask, base):
            why = f"{mask.kind} hides less than the {base.kind} that the field or its element asks for"
            yield Finding(("open", "mask", field.name), why, f"`{base.kind}` or stronger")


def _published(policy: Policy, draft: Draft, names: Iterable[str]) -> list[Field]:
    return [draft.fields[name] for name in names if name in draft.fields and name not in policy.drop]


def _dropped(field: Field, mask: Mask | None, path: KeyPath) -> Iterator[Finding]:
    """A field that is listed for publication while its mask drops it: one of the two is a mistake."""
    if isinstance(mask, Drop):
        why = f"lists `{field.name}`, whose mask here is drop"
        yield Finding((*path, "fields"), why, f"`{field.name}` left out, or another mask for it")


def _unmasked(
    field: Field, mask: Mask | None, policy: Policy, path: KeyPath, limit: int
) -> Iterator[Finding]:
    """A field of grade `limit` or more that is kept as it is, or for which nobody decided."""
    zone: Zone = "open" if path == ("open",) else "share"
    if mask is None:
        why = f"`{field.name}` (grade {field.grade}) is published, and its mask is not decided"
        expected = f"`fields.{field.name}.mask.{zone}`, a mask here, or the field left out"
        yield Finding((*path, "mask", field.name), why, expected)
    elif isinstance(mask, Keep) and field.grade >= limit:
        where = (
            (*path, "mask", field.name) if field.name in policy.mask else ("fields", field.name, "mask", zone)
        )
        limit_text = "grade 4 is never published unmasked" if field.grade >= NEVER_KEPT else _only(zone)
        why = f"keeps `{field.name}` (grade {field.grade}): {limit_text}"
        yield Finding(where, why, "a mask other than keep, or the field left out")


def _only(zone: Zone) -> str:
    if zone == "open":
        return f"the public gets grade {OPEN_GRADE} unmasked, no more"
    return f"an unconditional share gives grade {SHARE_GRADE} unmasked, no more"
