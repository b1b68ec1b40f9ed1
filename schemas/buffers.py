"""String columns as NumPy sees them: offsets and bytes of Arrow's buffers, whatever their slice or layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Strings: TypeAlias = "pa.Array | pa.ChunkedArray"
Flags: TypeAlias = NDArray[np.bool_]
Bytes: TypeAlias = NDArray[np.uint8]
Places: TypeAlias = NDArray[np.int64]

_ROWS = 1 << 16
"""Rows looked at in one go, so that the working memory of a check stays at a few megabytes."""


def plain(values: Strings) -> Strings:
    """The same strings as `string` or `large_string`: dictionaries, views and null columns written out.

    Raises TypeError for a column that does not hold strings."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return values
    inner = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(is_kind(inner) for is_kind in known):
        raise TypeError(f"this takes a column of strings, not of {values.type}")
    return values.cast(pa.large_string())


def buffers(values: pa.Array) -> tuple[Places, Bytes]:
    """Offsets (rows + 1) and bytes of a `string` or `large_string` array; offsets count in all bytes."""
    width = np.int64 if pa.types.is_large_string(values.type) else np.int32
    _, offsets, data = values.buffers()
    if offsets is None or data is None or len(values) == 0:
        return np.zeros(len(values) + 1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    whole = np.frombuffer(offsets, dtype=width)
    own = whole[values.offset : values.offset + len(values) + 1].astype(np.int64, copy=False)
    return own, np.frombuffer(data, dtype=np.uint8)


def matrices(values: Strings, width: int) -> Iterator[tuple[Places, Bytes]]:
    """The values of exactly `width` bytes, some thousands at a time: row numbers, and bytes of (rows, width).

    A value in another alphabet may have that many bytes too, but above 127, so that none is a digit."""
    whole = plain(values)
    start = 0
    for chunk in whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]:
        for first in range(0, len(chunk), _ROWS):
            part = chunk.slice(first, _ROWS)
            offsets, data = buffers(part)
            fits = np.diff(offsets) == width
            if part.null_count:
                fits &= flags(part.is_valid())
            if fits.all():  # one behind the other, as they lie
                yield start + first + np.arange(len(part)), data[offsets[0] : offsets[-1]].reshape(-1, width)
                continue
            where = np.flatnonzero(fits)
            if len(where):
                windows = np.lib.stride_tricks.sliding_window_view(data, width)
                yield start + first + where, windows[offsets[where]]
        start += len(chunk)


def flags(values: pa.Array | pa.ChunkedArray) -> Flags:
    """A boolean column without nulls as NumPy's."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.bool_)
