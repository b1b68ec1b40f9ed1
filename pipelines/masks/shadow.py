"""Text as bytes that patterns can be held against: one byte for each character, so that positions agree.

Full-width and all other decimal digits and Latin letters become ASCII, every kind of space a space (zero-width ones,
control characters and ends of lines but the line feed too), every kind of hyphen a hyphen, the dots of plates one dot,
the provinces of plates one byte; the rest is one byte that nothing matches.

Read *loosely* (`loosened`) a text has more numbers: ①③⑧, 一三八 and 幺叁捌 are digits there, and a dot, a slash, a low
line or the dot of a plate may stand between digits. They have bytes of their own in the shadow, so that the patterns
see them there and nowhere else.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.buffers import Bytes, Flags, Places

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
SUFFIXES = "挂学警港澳领使"
PROVINCE, SUFFIX, EMBASSY, DOT, OTHER = 0x80, 0x81, 0x82, 0x83, 0xFF
"""使 stands before the number of an embassy's plate and after that of a consulate's."""
FIRST_ODD = 0x90
"""The byte of an odd digit that is 0; those of the others follow it."""
WORDS = ("零〇○", "一壹幺弌", "二贰弍", "三叁弎", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
"""Characters that are a digit when they are read one by one, from 0 to 9."""
_SETS_APART = (b".", b"/\\", b"_", bytes([DOT]))
"""What may stand between the digits of one number, read loosely: of one sort in one number."""

SEPARATOR = "\x1e"
"""Stands between two rows that are looked at together; no pattern crosses it."""

_CONTROL = "".join(chr(point) for point in (*range(0x20), 0x7F) if chr(point) not in "\n" + SEPARATOR)
_AROUND = "\ufe0f\u20dd\u20e3"
"""What makes a key or a circle of the digit before it."""
_CODE_POINTS = 0x110000
_NUMBERED = 0x20000
"""Digits, spaces and hyphens all lie below this code point."""


class Loosely(NamedTuple):
    """Where a text that is read loosely is searched, and its shadow as it is read else."""

    where: Places
    plain: Bytes


class Shadowed(NamedTuple):
    """A text, its code points, and its shadow, which may be written in: `dark` holds a byte for each character. `lines`
    are the places of line feeds."""

    text: str
    points: NDArray[np.uint32]
    dark: Bytes
    lines: Places
    loosely: Loosely | None = None


def shadowed(text: str) -> Shadowed:
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return Shadowed(text, points, _table()[points], np.flatnonzero(points == ord("\n")))


def loosened(text: Shadowed) -> Shadowed | None:
    """The text read loosely, searched only where that makes a difference: in runs of letters, digits and what stands
    between them that have seven digits or more. None where there is no such run."""
    at = np.flatnonzero(_TOLD_LOOSELY[text.dark])
    if not len(at):
        return None
    dark = LOOSER[text.dark]
    starts, ends = runs(_OF_RUNS[dark])
    held = np.searchsorted(starts, at, "right") - 1  # every one is in a run
    starts, ends = starts[np.unique(held)], ends[np.unique(held)]
    within, first = inside(starts, ends), np.cumsum(ends - starts) - (ends - starts)
    chosen = np.add.reduceat(_DIGITS[dark[within]], first, dtype=np.int32) >= _LEAST
    if not chosen.any():
        return None
    where = inside(
        starts[chosen], np.minimum(ends[chosen] + 1, len(dark))
    )  # what ends a run keeps runs apart
    return text._replace(dark=dark, loosely=Loosely(where, text.dark.copy()))


def runs(which: Flags) -> tuple[Places, Places]:
    """Where runs of characters that are so begin and end."""
    edges = np.flatnonzero(np.diff(which, prepend=False, append=False))
    return edges[::2], edges[1::2]


def inside(starts: Places, ends: Places) -> Places:
    """The places of all characters between, span after span."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def _which(characters: bytes) -> Flags:
    return np.isin(np.arange(256), list(characters))


def _looser() -> Bytes:
    """The byte that each byte of a shadow is where it is read loosely."""
    table = np.arange(256, dtype=np.uint8)
    table[FIRST_ODD : FIRST_ODD + 10] = np.arange(ord("0"), ord("9") + 1)
    table[list(b"".join(_SETS_APART))] = ord("-")
    return table


def _sorts() -> Bytes:
    table = np.zeros(256, np.uint8)
    for number, characters in enumerate(_SETS_APART, 1):
        table[list(characters)] = number
    return table


LOOSER, SORT = _looser(), _sorts()
"""By byte: what it is read as loosely; and of which sort it is of what sets digits apart, 0 of none."""
DOTS = 1
"""The sort of `.`"""
ODD_DIGIT = _which(bytes(range(FIRST_ODD, FIRST_ODD + 10)))
_TOLD_LOOSELY = ODD_DIGIT | (SORT > 0)
_DIGITS = _which(b"0123456789")
_OF_RUNS = _which(bytes(byte for byte in range(0x80) if chr(byte).isalnum()) + b" -\n()+")
_LEAST = 7
"""Digits of the shortest number, a landline without its area."""


@lru_cache(maxsize=1)
def _table() -> Bytes:
    table = np.full(_CODE_POINTS, OTHER, np.uint8)
    table[:0x80] = np.arange(0x80)
    table[0xFF01:0xFF5F] = np.arange(0x21, 0x7F)
    for point in range(0x80, _NUMBERED):
        kind = unicodedata.category(chr(point))
        if kind == "Nd":
            table[point] = ord("0") + unicodedata.decimal(chr(point))
        elif kind in {"Zs", "Zl", "Zp", "Cf", "Cc"}:
            table[point] = ord(" ")
        elif kind == "Pd":
            table[point] = ord("-")
        elif kind == "No" and (digit := _enclosed(chr(point))) is not None:
            table[point] = FIRST_ODD + digit
    for characters, byte in (
        (_CONTROL, ord(" ")),
        ("−", ord("-")),
        ("·•・‧", DOT),
        (PROVINCES, PROVINCE),
        (SUFFIXES, SUFFIX),
        ("使", EMBASSY),
        (_AROUND, ord(" ")),
        *((words, FIRST_ODD + digit) for digit, words in enumerate(WORDS)),
    ):
        table[[ord(character) for character in characters]] = byte
    return table


def _enclosed(character: str) -> int | None:
    """The digit in a circle or in brackets; None of ⑩, ½ and ²."""
    number = unicodedata.numeric(character, -1.0)
    raised = unicodedata.decomposition(character).startswith(("<super>", "<sub>"))
    return int(number) if number in range(10) and not raised else None
