"""Partial masking: a few characters at the ends stay, each one between becomes the mask's character."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.model import Field, Partial

ENOUGH: Final = 4
"""Hidden characters that are enough of the longest value: one of ten thousand, where they are digits."""


def partial(values: pa.Array, mask: Partial, field: Field) -> pa.Array:
    """`138****5678`: first and last characters kept, the length too. Characters are code points, so that 𠮷
    is one.

    A value of which too little would be hidden is masked whole: fewer than four characters, and less than a third of
    it. Of a telephone number of eight digits `138****5678` would leave one to guess.
    """
    length = pc.utf8_length(values)
    hidden = pc.subtract(length, mask.first + mask.last)
    short = pc.and_(pc.less(hidden, ENOUGH), pc.less(pc.multiply(hidden, 3), length))
    middle = pc.binary_repeat(mask.char, pc.if_else(short, length, hidden))
    head = pc.if_else(short, "", pc.utf8_slice_codeunits(values, 0, mask.first))
    tail = pc.if_else(short, "", pc.utf8_slice_codeunits(values, -mask.last)) if mask.last else ""
    return pc.binary_join_element_wise(head, middle, tail, "")
