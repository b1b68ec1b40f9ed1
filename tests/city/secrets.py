"""The values of the sample city that nobody may read where they are masked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from schemas.model import Clip, Drop, Entry, Field, Keep, Mask, Policy, Redact, Round, Zone
from tests.leaks import SHORTEST
from tests.sample.recount import Row

GRADE = 3
PHONE = re.compile(r"154[\s-]?\d{4}[\s-]?\d{4}")
ID = re.compile(r"\d{17}[\dX]")
OLD = date(2024, 1, 1)
"""Dates of birth from here on are also days on which something was written."""


def masked(entry: Entry, zone: Zone, policy: Policy) -> dict[str, Mask]:
    """Fields of grade 3 and more whose values a reader may not see as they are, and those redacted whatever their
    grade; said again without `schemas.policy`."""
    named = policy.fields or tuple(entry.fields)
    found: dict[str, Mask] = {}
    for name, field in entry.fields.items():
        own = field.masks.share if zone == "share" else field.masks.open
        mask = policy.mask.get(name, own) or Drop()
        if name not in named or name in policy.drop:
            mask = Drop()
        if (field.grade >= GRADE and not isinstance(mask, Keep)) or isinstance(mask, Redact):
            found[name] = mask
    return found


def secrets(field: Field, mask: Mask, values: Iterable[Any]) -> set[str]:
    """Texts by which a value of the field would be known again. Codes and other values too short to be told from
    chance give none: their columns are held to their masked type instead."""
    texts: set[str] = set()
    for value in {value for value in values if value is not None}:
        if field.codes is None and not _shows(mask, value):
            texts |= set(_texts(value, mask))
    return {text for text in texts if len(text.encode()) >= SHORTEST}


def _shows(mask: Mask, value: Any) -> bool:
    """Whether the mask leaves this very number as it is."""
    if isinstance(mask, Round):
        return bool(value % Decimal(str(mask.to)) == 0)
    if isinstance(mask, Clip):
        return (mask.min is None or value >= mask.min) and (mask.max is None or value <= mask.max)
    return False


def _texts(value: Any, mask: Mask) -> Iterable[str]:
    if isinstance(value, date):
        return (value.isoformat(), f"{value:%Y%m%d}", repr(value)) if value < OLD else ()
    if isinstance(mask, Redact):
        return (*PHONE.findall(value), *ID.findall(value))
    if isinstance(value, Decimal):
        return (f"'{value}'", f'"{value}"')  # its digits alone may be part of another number
    return (str(value),)


def at_sources(entry: Entry, rows: Iterable[Row]) -> set[str]:
    """The values of grade 3 and more as the source wrote them."""
    fields = [field for field in entry.collected.values() if field.grade >= GRADE and field.codes is None]
    values = {
        row.get(field.source or field.name) for row in rows for field in fields if field.type == "string"
    }
    return {value for value in values if isinstance(value, str) and len(value.encode()) >= SHORTEST}
