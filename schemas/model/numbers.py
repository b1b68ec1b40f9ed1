"""The rules that are numbers: `policy.yaml`. Defaults stand in that file alone, the one beside this package."""

from __future__ import annotations

from pydantic import Field as Key

from schemas.model.basics import Model


class Brake(Model):
    """When a batch is held for a decision before the curated table. Shares are of 1."""

    delete: float = Key(ge=0, le=1)
    change: float = Key(ge=0, le=1)
    arrive: float = Key(ge=0, le=1)
    from_rows: int = Key(ge=0)
    history: int = Key(ge=1)
    least: int = Key(ge=1)
    answer_within: int = Key(ge=1)


class Quarantine(Model):
    """Working days within which rows that were set aside are worked on."""

    assign_within: int = Key(ge=0)
    correct_within: int = Key(ge=0)


class Numbers(Model):
    """All sections of the policy file."""

    brake: Brake
    quarantine: Quarantine
