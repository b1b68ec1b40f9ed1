"""What a department judged before it catalogued a dataset (Decree 809, Art. 13)."""

from __future__ import annotations

from datetime import date
from typing import Final

from pydantic import Field as Key

from schemas.model.basics import Model

PERSONAL: Final = 3
"""The lowest grade of what is personal or commercial (GB/T 43697)."""


class Document(Model):
    """An official document, by its day and number: no person's name, which an audit log would keep for ever."""

    day: date
    number: str = Key(
        pattern=r"^.{0,59}[0-9].{0,59}$", description="as it is registered; a number, and no name"
    )


class Assessed(Model):
    """The secrecy review (保密审查), the personal-information impact assessment (个人信息保护影响评估) and the
    approval of both by the department's head."""

    secrecy: Document
    impact: Document | None = Key(
        default=None, description="required where a field is graded 3 or more (PIPL, Art. 55)"
    )
    approved: Document
