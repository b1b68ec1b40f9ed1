"""The layouts and text forms of Arrow columns that masks and downloads share."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc


def plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of a plain layout: chunks joined, dictionaries written out, large and view strings made
    ordinary."""
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        return values.cast(pa.string())
    if pa.types.is_large_binary(values.type) or pa.types.is_binary_view(values.type):
        return values.cast(pa.binary())
    return values


def text_of(values: pa.Array) -> pa.Array:
    """Values as people and programs write them; null stays null, text and binary stay as they are.

    `12.50` for decimals (never 1E-7), `2026-03-04` for dates, `2026-03-04T05:06:07Z` for timestamps (UTC,
    with a fraction of a second only where there is one), `true`, and the shortest form of a float that reads
    back exactly.
    """
    kind = values.type
    if pa.types.is_binary(kind) or pa.types.is_string(kind):
        return values
    text = values.cast(pa.string())
    if pa.types.is_decimal(kind):
        return _without_exponent(text, kind.scale)
    if pa.types.is_timestamp(kind):
        return pc.replace_substring_regex(pc.replace_substring(text, " ", "T"), r"\.?0*Z$", "Z")
    return text


def _without_exponent(text: pa.Array, scale: int) -> pa.Array:
    """Arrow writes a decimal below 1e-6 as 1E-7: only scales above 6 can hold one, and few distinct values
    are."""
    short = pc.match_substring(text, "E")
    if scale <= 6 or not pc.any(short).as_py():
        return text
    found = pc.dictionary_encode(text.filter(short))
    written = pa.array([f"{Decimal(value):.{scale}f}" for value in found.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(text, pc.fill_null(short, False), written.take(found.indices))
