"""From an entry to what a reader of a zone gets: each published field with its mask, in the entry's order."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.model import Drop, Entry, Field, Fpe, Hmac, Keep, Mask, Narrowed, Policy, Zone

ZONES: tuple[Zone, ...] = ("share", "open")
OPEN_GRADE = 1
SHARE_GRADE = 2
"""Highest grade that is published unmasked without the entry saying so."""
_KEEP = Keep()


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
    return _KEEP if field.grade <= permitted else None


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


def open_fields(entry: Entry) -> list[str]:
    """The fields that everybody may have; none of an entry that is not open."""
    return [name for policy in policies(entry, "open").values() for name in mask_plan(entry, "open", policy)]


def needs_key(plan: Mapping[str, Mask]) -> bool:
    """Whether some mask of the plan is made with the masking key."""
    return any(isinstance(mask, Hmac | Fpe) for mask in plan.values())


def keyed(entry: Entry) -> list[str]:
    """The publications that the masking key is needed for: `share/default`."""
    return [
        f"{zone}/{name}"
        for zone in ZONES
        for name, policy in policies(entry, zone).items()
        if needs_key(mask_plan(entry, zone, policy))
    ]


def domain_of(zone: Zone, dataset: str, name: str, policy: Policy | None = None) -> str:
    """The domain within which tokens join and enciphered values agree, where the mask names none (decisions 17, 34).

    In share it is a recipient's own. Recipients are told apart by policy: who reads `share/statistics` joins the
    datasets shared under that policy, and nothing that others are given. A grant that narrows a policy has one
    recipient, whose domain lies below the policy's: `share/statistics/education`. In open, where everyone reads
    everything, it is the dataset's own: `open/transport.bus_ride`.
    """
    if isinstance(policy, Narrowed):
        return f"{zone}/{policy.of}/{policy.recipient}"
    return f"{zone}/{dataset if zone == 'open' else name}"


def written(entry: Entry) -> Entry:
    """The entry as its file says it, without what grants have narrowed."""
    return narrowed(entry, {})


def narrowed(entry: Entry, grants: Mapping[str, Narrowed]) -> Entry:
    """The entry with these tables of grants among its share policies, and no other grant's."""
    own = {name: each for name, each in entry.share.policies.items() if not isinstance(each, Narrowed)}
    if not grants and len(own) == len(entry.share.policies):
        return entry
    share = entry.share.model_copy(update={"policies": own | dict(grants)})
    return entry.model_copy(update={"share": share})
