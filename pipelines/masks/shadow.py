"""Text as bytes that patterns can be held against: one byte for each character, so that positions agree.

Full-width and all other decimal digits and Latin letters become ASCII, every kind of space a space (zero-width ones,
control characters and ends of lines but the line feed too), every kind of hyphen a hyphen, the dots of plates one dot,
the provinces of plates one byte; the rest is one byte that nothing matches.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.buffers import Bytes

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
SUFFIXES = "挂学警港澳领使"
PROVINCE, SUFFIX, EMBASSY, DOT, OTHER = 0x80, 0x81, 0x82, 0x83, 0xFF
"""使 stands before the number of an embassy's plate and after that of a consulate's."""

SEPARATOR = "\x1e"
"""Stands between two rows that are looked at together; no pattern crosses it."""

_CONTROL = "".join(chr(point) for point in (*range(0x20), 0x7F) if chr(point) not in "\n" + SEPARATOR)
_CODE_POINTS = 0x110000
_NUMBERED = 0x20000
"""Digits, spaces and hyphens all lie below this code point."""


class Shadowed(NamedTuple):
    """A text, its code points, and its shadow, which may be written in: `dark` holds a byte for each character."""

    text: str
    points: NDArray[np.uint32]
    dark: Bytes


def shadowed(text: str) -> Shadowed:
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return Shadowed(text, points, _table()[points])


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
    for characters, byte in (
        (_CONTROL, ord(" ")),
        ("−", ord("-")),
        ("·•・‧", DOT),
        (PROVINCES, PROVINCE),
        (SUFFIXES, SUFFIX),
        ("使", EMBASSY),
    ):
        table[[ord(character) for character in characters]] = byte
    return table
