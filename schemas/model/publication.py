"""Who may read a dataset, and under which masks. Share types are those of Decree 809, Articles 14-15."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field as Key
from pydantic import model_validator

from schemas.model.basics import Model, Name, PolicyName, Release, Text, Title
from schemas.model.masks import Mask


class Limits(Model):
    """How far a release about persons goes so that nobody is singled out (GB/T 42460). What is not said here is as
    policy.yaml says."""

    release: Release | None = Key(
        default=None, description="public 完全公开, controlled 受控公开 or enclave 领地公开 (GB/T 37964)"
    )
    k: int | None = Key(
        default=None, ge=2, description="rows of a class at least; never fewer than the kind's"
    )
    l: int | None = Key(  # noqa: E741  the standard's name
        default=None, ge=1, description="distinct values of each sensitive field in every class at least"
    )
    t: float | None = Key(
        default=None,
        gt=0,
        le=1,
        description="distance of a class from the whole at most, of each sensitive field",
    )
    suppress: Literal["rows", "cells"] = Key(
        default="rows",
        description="what is left out where a class is too small: rows, or single cells and then rows",
    )
    suppress_up_to: float | None = Key(
        default=None, ge=0, lt=1, description="share of the rows that may be left out or have cells emptied"
    )
    generalise: Literal["auto"] | tuple[Name, ...] = Key(
        default=(),
        description="fields that are made coarser, by their ladders and no more than is needed; auto: every "
        "quasi-identifier",
    )


class Policy(Model):
    """What one group of readers gets: which fields, and under which masks."""

    fields: tuple[Name, ...] | None = Key(default=None, description="only these; default all")
    drop: tuple[Name, ...] = ()
    mask: dict[Name, Mask] = Key(default={})
    disclosure: Limits | None = Key(
        default=None, description="of persons: hold the release to these limits; the open zone always is"
    )


class Territory(Model):
    """Rows of a territory: those whose field lies below a division code (GB/T 2260: province, city, district)."""

    field: Name
    division: str = Key(pattern=r"^[1-9][0-9]{5}$")

    @property
    def prefix(self) -> str:
        """What the codes of the territory begin with: `3201` for all of 320100."""
        return self.division.removesuffix("0000").removesuffix("00")


class Narrowed(Policy):
    """A policy as one grant narrows it, to columns or rows of its own: `of` whom it was narrowed, for which recipient.
    It stands in no file; `exchange.narrowing` makes it of the grant."""

    of: Name
    grant: int
    recipient: Name
    rows: Territory | None = None


class Share(Model):
    """Decree 809, Articles 14-15: conditional needs its conditions, none its legal basis."""

    type: Literal["unconditional", "conditional", "none"]
    conditions: Text | None = None
    basis: Text | None = None
    policies: dict[PolicyName, Policy] = Key(default={"default": Policy()})


ADDRESS: Final = r"^https?://[^\s<>\"{}|\\^`]+$"
"""An address that may stand in a page's link and be an identifier in RDF (RFC 3987, section 2.2)."""


class Licence(Title):
    """What everybody may do with what is opened: its name, and where it is read or what it says. The city's own is
    `open.licence` of policy.yaml."""

    url: str | None = Key(default=None, pattern=ADDRESS, description="where the licence is read")
    text: Text | None = Key(default=None, description="what the licence says, where it is read nowhere else")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.url is None and self.text is None:
            raise ValueError("where it is read, url: https://…, or what it says, text: {zh: …, en: …}")
        return self


class Open(Policy):
    """What the public gets. Fields are listed: what is not named is not opened."""

    type: Literal["unconditional", "conditional", "none"]
    conditions: Text | None = None
    basis: Text | None = None
    licence: Licence | None = Key(
        default=None,
        exclude_if=lambda licence: licence is None,
        description="of what is opened unconditionally; default the city's, `open.licence` of policy.yaml",
    )
    downloads: tuple[Literal["csv", "jsonl", "parquet", "xlsx"], ...] = ("csv", "jsonl", "parquet", "xlsx")
    counts: tuple[Name, ...] | None = Key(
        default=None,
        description="of aggregates: fields that say how many persons a row is made of; may be []",
    )
    budget: float | None = Key(
        default=None, gt=0, description="of masks of kind noise: epsilon that all releases may spend together"
    )
