"""The words that every part of an entry is made of: names, grades, durations, texts.

Grades follow GB/T 43697 in four steps.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic import Field as Key

Grade = Annotated[
    int,
    Key(ge=1, le=4, description="GB/T 43697: 1 public, 2 internal, 3 personal or commercial, 4 sensitive"),
]
Name = Annotated[str, Key(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
PolicyName = Annotated[str, Key(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=40)]
DatasetId = Annotated[
    str, Key(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=83)
]
"""Underscores stand alone: `__` separates department, dataset and policy in a table's name, and `a__b.c` and `a.b__c`
would be one table."""
Engine = Literal["local", "spark"]
TypeName = Literal["string", "integer", "decimal", "number", "boolean", "date", "timestamp", "binary"]
OnFail = Literal["stop", "quarantine", "warn"]
Dimension = Literal["conformity", "completeness", "accuracy", "consistency", "timeliness", "accessibility"]
Zone = Literal["share", "open"]
Risk = Literal["none", "sensitive", "quasi", "direct"]
"""What a field tells of the person that a row is about (GB/T 42460, GB/T 37964), the least telling first."""
Subject = Literal["person", "organisation", "thing"]
Release = Literal["public", "controlled", "enclave"]
"""How a release reaches its readers (GB/T 37964): 完全公开, 受控公开, 领地公开."""
Step = Literal["district", "city", "province", "day", "month", "quarter", "year", "decade"]
"""How coarse a place or a time is made."""
Ladder = tuple[Step | tuple[float, ...], ...]
"""Coarser forms of a field, the finest first: words for places and times, lower bounds of bins for numbers."""
Normaliser = Literal["trim", "half_width", "upper", "lower", "digits", "squeeze"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def as_duration(value: Any) -> Any:
    """A timedelta of `30s`, `15m`, `6h` or `2d`. ValueError for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}[smhd]", value):
        return timedelta(**{_UNITS[value[-1]]: int(value[:-1])})
    if isinstance(value, timedelta):
        return value
    raise ValueError("a number and a unit: 30s, 15m, 6h or 2d")


Duration = Annotated[
    timedelta,
    BeforeValidator(as_duration, json_schema_input_type=Annotated[str, Key(pattern=r"^[0-9]{1,6}[smhd]$")]),
    PlainSerializer(lambda d: f"{int(d.total_seconds())}s", return_type=str),
]


class Model(BaseModel):
    """Unknown keys are errors; what is read is never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Model):
    """A text for people, Chinese first."""

    zh: str = Key(min_length=1)
    en: str = ""


class Title(Model):
    """A name for people, in both languages."""

    zh: str = Key(min_length=1)
    en: str = Key(min_length=1)
