"""Fields for the masks' tests."""

from __future__ import annotations

from typing import Any

from schemas.model import Field, Title, TypeName


def field(kind: TypeName = "string", **rest: Any) -> Field:
    return Field(name="subject", title=Title(zh="项", en="Item"), type=kind, grade=3, **rest)
