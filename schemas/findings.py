"""What the checks of the catalogue say before a line number is known: a key's path, the matter, the form
expected."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

KeyPath = tuple[str | int, ...]


class Finding(NamedTuple):
    """One thing wrong at `path` of one file. `line` is set only where the path cannot tell it (a syntax
    error)."""

    path: KeyPath
    message: str
    expected: str = ""
    line: int | None = None


def dotted(path: KeyPath) -> str:
    """The path as a person writes it: `checks[0].column`; `(file)` for the whole file."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out or "(file)"


def near(name: str, names: Iterable[str]) -> str:
    """` Did you mean …?` with up to three near misses, or nothing."""
    found = get_close_matches(name, list(names), n=3, cutoff=0.6)
    return f"; did you mean {listed(found)}?" if found else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names for a message: `a`, `b`, `c`; a long list is cut."""
    every = list(names)
    shown = ", ".join(f"`{name}`" for name in every[:most])
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")
