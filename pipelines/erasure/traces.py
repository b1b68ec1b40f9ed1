"""The tokens under which a person may stand in published tables."""

from __future__ import annotations

import pyarrow as pa

from pipelines.context import Context
from pipelines.erasure.subject import Subject
from pipelines.masks import apply
from pipelines.masks.plan import planned
from schemas.model import Fpe, Hmac
from schemas.policy import ZONES, policies


def tokens_of(ctx: Context, subject: Subject) -> set[str]:
    """The subject's identifiers as every publication of the catalogue that has their element masks them now."""
    found: set[str] = set()
    for entry in ctx.catalogue.entries.values():
        for zone in ZONES:
            for policy in policies(entry, zone):
                work = planned(ctx, entry, zone, policy)
                tokens = work.tokens()
                for name, mask in work.plan.items():
                    values = [v for e, v in subject.values if e == entry.fields[name].element]
                    if values and isinstance(mask, Hmac | Fpe) and entry.fields[name].type == "string":
                        column = apply(pa.array(values, pa.string()), mask, entry.fields[name], tokens)
                        found |= set(column.drop_null().to_pylist())
    return found
