"""Coarser forms of published columns in SQL, letter for letter as the mask `generalise` writes them.

They serve twice: to try what a coarser mask would do (`lattice`), and to hold a release against an earlier one under
finer or coarser masks (`common`): whoever has both can make the finer one coarser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from pipelines.masks.generalise import PLACES as DIGITS
from pipelines.masks.generalise import bin_labels
from schemas.arrow import masked_type
from schemas.model import Field, Fpe, Generalise, Hmac, Mask
from schemas.rules.masks import NUMBERS, PLACES, TIMES
from schemas.sql import quote

_DIVISION = "[0-9]{6}|[0-9]{9}|[0-9]{12}|[0-9]{15}|[0-9]{17}[0-9Xx]"
_MASK: TypeAdapter[Mask] = TypeAdapter(Mask)
Json = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """How one column is published: of which field, under which mask. `key` is the check value of the key of tokens and
    of enciphered values, `quasi` whether it is a quasi-identifier there."""

    field: Field
    mask: Mask
    key: str = ""
    quasi: bool = False

    @property
    def sql_type(self) -> pa.DataType:
        return masked_type(self.field, self.mask)

    @property
    def said(self) -> Json:
        """As JSON, to be kept with a release: see `read`."""
        kept = {"name", "type", "precision", "scale", "timezone", "element"}
        return {
            "field": self.field.model_dump(mode="json", include=kept),
            "mask": self.mask.model_dump(mode="json"),
            "key": self.key,
            "quasi": self.quasi,
        }


def read(said: Json) -> Shape:
    """A shape that was written down."""
    field = Field.model_validate({"title": {"zh": "-", "en": "-"}, "grade": 1, **said["field"]})
    return Shape(field, _MASK.validate_python(said["mask"]), said["key"], said["quasi"])


@dataclass(frozen=True)
class Pair:
    """One column that two releases have in common: how each gets at the common form."""

    name: str
    old: str
    new: str
    quasi: bool


def common(old: Mapping[str, Shape], new: Mapping[str, Shape]) -> list[Pair]:
    """The columns of two releases that can be compared, in the new one's order."""
    pairs = []
    for name, shape in new.items():
        if name in old and (found := _pair(old[name], shape)):
            pairs.append(Pair(name, *found, quasi=shape.quasi or old[name].quasi))
    return pairs


def _pair(old: Shape, new: Shape) -> tuple[str, str] | None:
    column = quote(new.field.name)
    if _alike(old, new):
        return None if new.mask.kind == "constant" else (column, column)
    if old.field.type != new.field.type:
        return None
    for to in (_meeting(old, new), _meeting(new, old)):
        ways = (coarser(old, to), coarser(new, to)) if to else (None, None)
        if ways[0] is not None and ways[1] is not None:
            return ways[0], ways[1]
    return None


def _alike(old: Shape, new: Shape) -> bool:
    key = not isinstance(new.mask, Hmac | Fpe) or old.key == new.key
    return key and (old.mask, old.sql_type) == (new.mask, new.sql_type)


def _meeting(one: Shape, other: Shape) -> Generalise | None:
    """The form in which two meet: that of the one, or the bounds that the bins of both have."""
    if not isinstance(one.mask, Generalise):
        return None
    mine, theirs = one.mask.bins, other.mask.bins if isinstance(other.mask, Generalise) else None
    if mine is None or theirs is None:
        return one.mask
    bounds = tuple(bound for bound in mine if bound in theirs)
    return Generalise(bins=bounds) if bounds else None


def coarser(shape: Shape, to: Generalise) -> str | None:
    """The column in that form; None where it cannot be had from how it is published."""
    if shape.mask.kind not in ("keep", "generalise"):
        return None
    if to == shape.mask:
        return quote(shape.field.name)
    now = shape.mask.to if isinstance(shape.mask, Generalise) else None
    if to.bins is not None:
        return _binned(shape, to.bins)
    if to.to in PLACES and shape.field.type == "string":
        return _place(shape, now, str(to.to))
    if to.to in TIMES and shape.field.type in ("date", "timestamp"):
        return _time(shape, now, str(to.to))
    return None


def _place(shape: Shape, now: str | None, to: str) -> str | None:
    column, digits = quote(shape.field.name), DIGITS[to]
    short = f"left({column}, {digits}) || '{'0' * (6 - digits)}'"
    if now is None:
        return f"CASE WHEN regexp_full_match({column}, '{_DIVISION}') THEN {short} END"
    return short if now in PLACES and PLACES.index(now) < PLACES.index(to) else None


def _time(shape: Shape, now: str | None, to: str) -> str | None:
    text = column = quote(shape.field.name)
    if now is None:
        local = f"timezone('{shape.field.timezone}', {column})" if shape.field.type == "timestamp" else column
        text = f"strftime({local}, '%Y-%m-%d')"
    elif now not in TIMES or TIMES.index(now) > TIMES.index(to):
        return None
    quarter = f"left({text}, 4) || '-Q' || ((substr({text}, 6, 2)::INT + 2) // 3)"
    forms = {
        "day": text,
        "month": f"left({text}, 7)",
        "quarter": quarter,
        "year": f"left({text}, 4)",
        "decade": f"left({text}, 3) || '0s'",
    }
    return forms[to]


def _binned(shape: Shape, bins: tuple[float, ...]) -> str | None:
    column, whole = quote(shape.field.name), shape.field.type == "integer"
    labels = bin_labels(bins, whole=whole)
    if isinstance(shape.mask, Generalise):
        finer = shape.mask.bins or ()
        if not set(bins) <= set(finer):
            return None
        whens = [
            f"WHEN '{label}' THEN '{labels[sum(bound <= low for bound in bins)]}'"
            for low, label in zip((float("-inf"), *finer), bin_labels(finer, whole=whole), strict=True)
        ]
        return f"CASE {column} {' '.join(whens)} END"
    if shape.field.type not in NUMBERS:
        return None
    bounds = zip(bins, labels, strict=False)
    whens = [f"WHEN {column} < {Decimal(repr(bound)):f} THEN '{label}'" for bound, label in bounds]
    empty = f"{column} IS NULL" + (f" OR isnan({column})" if shape.field.type == "number" else "")
    return f"CASE WHEN {empty} THEN NULL {' '.join(whens)} ELSE '{labels[-1]}' END"
