"""What a release about persons is held to: the limits of the policy file, or those that the entry says instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from schemas.arrow import masked_type
from schemas.model import DisclosureNumbers, Entry, Hmac, Mask, Release, Risk, Zone
from schemas.model import Limits as Said

RULES = 2
"""Raised whenever this gate lets less through, so that what was released is released anew."""
HIDDEN = ("hmac", "constant")
"""A token is no identifier without the key; a constant tells nothing."""


@dataclass(frozen=True)
class Limits:
    """`quasi` and `sensitive` are published fields, `ordered` those of the sensitive that are numbers as published,
    `tokens` those by which a row is known again in another release. `k`, `l`, `t` hold for every class; `of` and
    `context` say how the release's risk is made of the records', which must be below `below`."""

    release: Release
    of: str
    context: float
    below: float
    k: int
    l: int  # noqa: E741  the standard's name
    t: float
    suppress: str
    suppress_up_to: float
    generalise: tuple[str, ...]
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    ordered: tuple[str, ...]
    tokens: tuple[str, ...]

    @property
    def hashed(self) -> dict[str, Any]:
        """All that decides what the gate lets through, for the digest of a publication's masks."""
        return {"rules": RULES, **asdict(self)}

    @property
    def identity(self) -> list[str] | None:
        """Columns by which rows of two releases are the same row: where there is a token, it and what tells of a
        person, so that a new value of a field that tells nothing is no new row. None: all columns."""
        return [*self.tokens, *self.quasi, *self.sensitive] if self.tokens else None

    def risk(self, k: int | None, mean: float) -> float:
        """The release's, of its smallest class and the mean of its records. 0 where there is no row."""
        if k is None:
            return 0.0
        return 1.0 if k < self.k else (1 / k if self.of == "greatest" else mean) * self.context


def said_of(entry: Entry, zone: Zone, policy: str) -> Said | None:
    """What the entry asks of this release; None where it is not judged."""
    if entry.subject != "person":
        return None
    if zone == "open":
        return entry.open.disclosure or Said()
    return entry.share.policies[policy].disclosure if policy in entry.share.policies else None


def counts_of(entry: Entry, zone: Zone) -> tuple[str, ...] | None:
    """Of aggregates that are opened: the fields that count persons. None where the rows are no aggregates of any."""
    return entry.open.counts if zone == "open" and entry.subject != "person" else None


def limits_of(
    entry: Entry, zone: Zone, policy: str, plan: Mapping[str, Mask], numbers: DisclosureNumbers
) -> Limits | None:
    """The limits of one release; None where the gate has nothing to judge: not of persons, or shared under a grant."""
    said = said_of(entry, zone, policy)
    if said is None:
        return None
    kind = said.release or _kind(entry, zone, numbers)
    rule = numbers.releases[kind]
    quasi = quasi_identifiers(entry, plan)
    sensitive = [n for n, mask in plan.items() if mask.kind not in HIDDEN and _risk(entry, n) == "sensitive"]
    types = {name: masked_type(entry.fields[name], plan[name]) for name in sensitive}
    return Limits(
        release=kind,
        of=rule.of,
        context=rule.context,
        below=numbers.below,
        k=max(said.k or 0, rule.smallest(numbers.below)),
        l=numbers.l if said.l is None else said.l,
        t=numbers.t if said.t is None else said.t,
        suppress=said.suppress,
        suppress_up_to=numbers.suppress_up_to if said.suppress_up_to is None else said.suppress_up_to,
        generalise=_telling(entry, plan, quasi) if said.generalise == "auto" else said.generalise,
        quasi=tuple(quasi),
        sensitive=tuple(sensitive),
        ordered=tuple(name for name in sensitive if _is_number(types[name])),
        tokens=tuple(n for n, m in plan.items() if isinstance(m, Hmac) and _risk(entry, n) == "direct"),
    )


def quasi_identifiers(entry: Entry, plan: Mapping[str, Mask]) -> list[str]:
    """Published fields by which a row can be compared with what is known of a person: quasi-identifiers, those of
    which nobody said anything, and what masking left of direct identifiers."""

    def tells(risk: Risk | None, kind: str) -> bool:
        return kind not in HIDDEN if risk == "direct" else kind != "constant" and risk in {None, "quasi"}

    return [name for name, mask in plan.items() if tells(_risk(entry, name), mask.kind)]


def _telling(entry: Entry, plan: Mapping[str, Mask], quasi: list[str]) -> tuple[str, ...]:
    """Published fields that are quasi-identifiers, or would be were they not hidden."""
    return tuple(name for name in plan if name in quasi or _risk(entry, name) in {None, "quasi"})


def _risk(entry: Entry, name: str) -> Risk | None:
    return entry.fields[name].risk


def _kind(entry: Entry, zone: Zone, numbers: DisclosureNumbers) -> Release:
    if zone == "share" or entry.open.type == "none":
        return "controlled"
    return numbers.open[entry.open.type]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
