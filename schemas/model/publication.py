"""Who may read a dataset, and under which masks. Share types are those of Decree 809, Articles 14-15."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key

from schemas.model.basics import Model, Name, Text
from schemas.model.masks import Mask


class Policy(Model):
    """What one group of readers gets: which fields, and under which masks."""

    fields: tuple[Name, ...] | None = Key(default=None, description="only these; default all")
    drop: tuple[Name, ...] = ()
    mask: dict[Name, Mask] = Key(default={})


class Share(Model):
    """Decree 809, Articles 14-15: conditional needs its conditions, none its legal basis."""

    type: Literal["unconditional", "conditional", "none"]
    conditions: Text | None = None
    basis: Text | None = None
    policies: dict[Name, Policy] = Key(default={"default": Policy()})


class Open(Policy):
    """What the public gets. Fields are listed: what is not named is not opened."""

    type: Literal["unconditional", "conditional", "none"]
    conditions: Text | None = None
    basis: Text | None = None
    downloads: tuple[Literal["csv", "jsonl", "parquet", "xlsx"], ...] = ("csv", "jsonl", "parquet", "xlsx")
    suppress_up_to: float = Key(
        default=0.05,
        ge=0,
        lt=1,
        description="of persons: share of the rows that may be left out because they single somebody out",
    )
