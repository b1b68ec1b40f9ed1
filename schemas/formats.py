"""The strptime forms that `formats:` may list, taken apart once so that whole columns can be read by them.

Forms are strict: `%Y` is four digits; `%m %d %H %I %M %S` are two, or one where a mark follows. A form names
a day (year, month, day), each directive once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2}
_PATTERNS = {
    "f": r"(?P<f>[0-9]{1,9})",
    "p": r"(?P<p>[AaPp][Mm])",
    "b": r"(?P<b>[A-Za-z]{3})",
    "z": r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
}
DIRECTIVES = ", ".join(f"%{kind}" for kind in (*WIDTHS, *_PATTERNS))

DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日")
TIMESTAMP_FORMATS = (
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S.%f"),
    *("%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M:%S.%f%z"),
    *(
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%Y/%m/%d %H:%M",
        "%Y%m%d%H%M%S",
        "%Y-%m-%d",
        "%Y%m%d",
        "%Y/%m/%d",
    ),
)
"""Tried where the catalogue lists none: all begin with the year, so that none can be taken for another."""


@dataclass(frozen=True)
class Format:
    """`pattern` reads a value anywhere, each directive a named group. `width`, `literals` (place, byte) and
    `columns` (directive, place) read values that are written in full, by bytes; width 0 where places are not
    fixed."""

    text: str
    pattern: str
    width: int
    literals: tuple[tuple[int, int], ...]
    columns: tuple[tuple[str, int], ...]

    @property
    def has_time(self) -> bool:
        return "(?P<H>" in self.pattern or "(?P<I>" in self.pattern

    @property
    def has_zone(self) -> bool:
        return "(?P<z>" in self.pattern


@lru_cache(maxsize=256)
def parse_format(text: str) -> Format:
    """Take a form apart. ValueError, with what is expected, for one that is not understood or names no
    day."""
    pieces = re.findall(r"%.|[^%]|%$", text)
    kinds = [piece[1:] if piece[0] == "%" and piece != "%%" else "" for piece in pieces]
    _check(text, pieces, [kind for kind in kinds if kind])
    following = [*kinds[1:], ""]
    pattern = "".join(map(_pattern, pieces, kinds, following))
    return Format(text, f"^{pattern}$", *_places(pieces, kinds))


def _check(text: str, pieces: list[str], used: list[str]) -> None:
    if "%" in pieces or not set(used) <= {*WIDTHS, *_PATTERNS} or len(set(used)) < len(used):
        raise ValueError(f"{text}: expected directives among {DIRECTIVES}, each once")
    named = [len({*used} & alternatives) for alternatives in ({"Y", "y"}, {"m", "b"}, {"d"})]
    if named != [1, 1, 1]:
        raise ValueError(f"{text}: expected one year, one month and one day")
    if {"H", "I"} <= {*used} or ("I" in used) != ("p" in used):
        raise ValueError(f"{text}: expected %H, or %I with %p")


def _pattern(piece: str, kind: str, following: str) -> str:
    if not kind:
        return re.escape("%" if piece == "%%" else piece)
    if kind in _PATTERNS:
        return _PATTERNS[kind]
    least = WIDTHS[kind] if kind in "Yy" or following in WIDTHS else 1
    return f"(?P<{kind}>[0-9]{{{least},{WIDTHS[kind]}}})"


def _places(
    pieces: list[str], kinds: list[str]
) -> tuple[int, tuple[tuple[int, int], ...], tuple[tuple[str, int], ...]]:
    at = 0
    literals: list[tuple[int, int]] = []
    columns: list[tuple[str, int]] = []
    for piece, kind in zip(pieces, kinds, strict=True):
        if kind in _PATTERNS:
            return 0, (), ()
        if kind:
            columns.append((kind, at))
            at += WIDTHS[kind]
            continue
        written = ("%" if piece == "%%" else piece).encode()
        literals += [(at + n, byte) for n, byte in enumerate(written)]
        at += len(written)
    return at, tuple(literals), tuple(columns)
