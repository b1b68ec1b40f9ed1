"""What people write in cases, as those read it who decide on it: there is something to read, and it reads as it was
written. Pure."""

from __future__ import annotations

from typing import Any
from unicodedata import category

from schemas.errors import one_line


def absent(value: Any) -> bool:
    """Whether nothing was said: no value, or a text without one sign that is seen. A reason of blanks is none."""
    if isinstance(value, str):
        return all(category(sign)[0] in "ZC" for sign in value)
    return value is None or value == ()


def reads_as_written(text: str) -> bool:
    """Whether it has no sign that commands a terminal or turns the reading direction (Unicode TR 36), by which an
    applicant could be shown under another's name. Lines and tabs are taken."""
    flat = text.translate({ord(sign): " " for sign in "\n\r\t"})
    return one_line(flat) == flat
