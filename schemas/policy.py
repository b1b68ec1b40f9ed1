"""From an entry to what a reader of a zone gets: each published field with its mask, in the entry's order."""

from __future__ import annotations

from schemas.model import Drop, Entry, Field, Keep, Mask, Policy, Zone

ZONES: tuple[Zone, ...] = ("share", "open")
OPEN_GRADE = 1
SHARE_GRADE = 2
"""Highest grade that is published unmasked without the entry saying so."""


def policies(entry: Entry, zone: Zone) -> dict[str, Policy]:
    """The policies under which an entry is published in a zone; none where its type is `none`."""
    if zone == "open":
        return {} if entry.open.type == "none" else {"open": entry.open}
    return {} if entry.share.type == "none" else dict(entry.share.policies)


def mask_of(field: Field, zone: Zone, policy: Policy) -> Mask | None:
    """The mask that holds: the policy's own, else the field's for the zone; None where nobody decided."""
    if field.name in policy.mask:
        return policy.mask[field.name]
    decided = field.masks.share if zone == "share" else field.masks.open
    if decided is not None:
        return decided
    permitted = SHARE_GRADE if zone == "share" else OPEN_GRADE
    return Keep() if field.grade <= permitted else None


def mask_plan(entry: Entry, zone: Zone, policy: Policy) -> dict[str, Mask]:
    """Field name to mask for every published field. A field whose mask nobody decided is never published (law 3);
    `schemas.rules` reports it as an error before it comes to that. Open fields are listed, or not there."""
    named = set(policy.fields or (entry.fields if zone == "share" else ()))
    plan = {
        name: mask_of(field, zone, policy)
        for name, field in entry.fields.items()
        if name in named and name not in policy.drop
    }
    return {name: mask for name, mask in plan.items() if mask is not None and not isinstance(mask, Drop)}


def domain_of(zone: Zone, policy: str) -> str:
    """The domain within which tokens join and enciphered values agree, where the mask names none: a recipient's own.

    Recipients are told apart by policy: who reads `share/statistics` joins the datasets shared under that policy, and
    nothing that others are given. A grant that names its recipient gets a domain below its policy's in the same way.
    """
    return zone if zone == "open" else f"{zone}/{policy}"
