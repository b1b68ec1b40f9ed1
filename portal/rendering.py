"""Templates into pages. A page holds its own style and script and loads nothing: its policy names both by their digest
(CSP 3, section 2.3.1), so that no other script runs, whatever a value in the page may hold."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from schemas.workdays import HERE

TEMPLATES: Final = Path(__file__).with_name("templates")
TYPES: Final = {
    "string": "文本",
    "integer": "整数",
    "decimal": "小数",
    "number": "数值",
    "boolean": "是否",
    "date": "日期",
    "timestamp": "日期时间",
    "binary": "二进制",
}
"""The dictionary's words for types; what follows in brackets, such as a decimal's places, stays."""
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
"""Characters that XML 1.0 (section 2.2) does not know, and DEL."""
UNITS: Final = ("B", "KB", "MB", "GB", "TB")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _own("style.css"), _own("site.js")
    made.globals |= {"style": style, "script": script, "policy": _policy(style, script)}
    made.filters |= {"size": size, "day": day, "moment": moment, "kind": kind, "number": "{:,}".format}
    return made


def render(template: str, depth: int = 0, **facts: Any) -> str:
    """A page, or a feed. `depth` is how many folders below the site's root it lies: all links are relative."""
    return _FORBIDDEN.sub(
        "\ufffd", _environment().get_template(f"{template}.j2").render(root="../" * depth, **facts)
    )


def _own(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def size(count: int) -> str:
    """`950 B`, `1.4 MB`."""
    value, unit = float(count), UNITS[0]
    for unit in UNITS:
        if value < 1000 or unit == UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == UNITS[0] else f"{value:.1f} {unit}"


def kind(word: str) -> str:
    """`decimal(12,2)` in Chinese and as it is."""
    return " ".join(filter(None, (TYPES.get(word.partition("(")[0].strip(), ""), word)))


def day(at: datetime) -> str:
    """The city's day."""
    return at.astimezone(HERE).strftime("%Y-%m-%d")


def moment(at: datetime) -> str:
    return at.astimezone(HERE).isoformat(timespec="seconds")
