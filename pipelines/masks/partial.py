"""Partial masking: a few characters at the ends stay, each one between becomes the mask's character."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from schemas.model import Field, Partial


def partial(values: pa.Array, mask: Partial, field: Field) -> pa.Array:
    """`138****5678`: first and last characters kept, the length too. Characters are code points, so that 𠮷
    is one.

    A value no longer than `first + last` is masked whole: nothing would be hidden of it otherwise.
    """
    length = pc.utf8_length(values)
    hidden = pc.subtract(length, mask.first + mask.last)
    short = pc.less_equal(hidden, 0)
    middle = pc.binary_repeat(mask.char, pc.if_else(short, length, hidden))
    head = pc.if_else(short, "", pc.utf8_slice_codeunits(values, 0, mask.first))
    tail = pc.if_else(short, "", pc.utf8_slice_codeunits(values, -mask.last)) if mask.last else ""
    return pc.binary_join_element_wise(head, middle, tail, "")
