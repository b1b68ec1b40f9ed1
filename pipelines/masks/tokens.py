"""Keyed tokens: equal values give equal tokens within one domain, and nothing can be told across domains.

    token = first 32 hexadecimal digits (128 bits) of HMAC-SM3 or HMAC-SHA-256 (RFC 2104, GB/T 15852.2)
            of the value's text form in UTF-8, under the key derived for `token/<domain>` (see `masks.keys`)

At 128 bits a billion distinct values collide with a chance below 1e-20. What is hashed is a canonical text,
so that one quantity joins however its column is typed: `5`, `5.00` and 5.0 are all `5`; see `canonical`.
"""

from __future__ import annotations

import binascii

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.hmac import HMAC

from pipelines.masks.arrays import text_of
from pipelines.masks.keys import HashName, Key, algorithm
from schemas.model import Hmac, Zone

TOKEN_BYTES = 16
CACHED = 1 << 17
"""Distinct values whose tokens are remembered from batch to batch, per domain: some 10 MB of identifiers."""
_NO_VALUES = pa.array([], pa.binary())
_NO_TOKENS = pa.array([], pa.string())


class Tokens:
    """The tokens of one publication: one key, one zone, and what was hashed lately."""

    def __init__(self, key: Key, zone: Zone) -> None:
        self._key = key
        self._zone = zone
        self._known: dict[tuple[HashName, str], tuple[pa.Array, pa.Array]] = {}

    def of(self, values: pa.Array, mask: Hmac) -> pa.Array:
        """A string column of tokens, null where the value is null. Every distinct value is hashed once."""
        encoded = pc.dictionary_encode(canonical(values))
        tokens = self._tokens(encoded.dictionary, mask.hash, mask.domain or self._zone)
        return tokens.take(encoded.indices)

    def _tokens(self, values: pa.Array, name: HashName, domain: str) -> pa.Array:
        """Tokens of distinct values without null: those known are looked up, the rest hashed and
        remembered."""
        known, tokens = self._known.get((name, domain), (_NO_VALUES, _NO_TOKENS))
        found = pc.index_in(values, value_set=known)
        new = values.filter(found.is_null())
        hashed = hash_values(new, self._key.derive(f"token/{domain}", name), name)
        known, tokens = pa.concat_arrays([known, new]), pa.concat_arrays([tokens, hashed])
        nth_new = pc.add(pc.cumulative_sum(found.is_null().cast(pa.int64())), len(known) - len(new) - 1)
        result = tokens.take(pc.if_else(found.is_null(), nth_new, found))
        if len(known) > CACHED:
            known, tokens = values.slice(0, CACHED), result.slice(0, CACHED)
        self._known[name, domain] = known, tokens
        return result


def canonical(values: pa.Array) -> pa.Array:
    """The bytes that are hashed: a string's UTF-8 and a binary's bytes as they are, else the text of
    `text_of` with numbers in their shortest form (no zeros after the last decimal place, no sign on zero)."""
    text = text_of(values)
    if pa.types.is_decimal(values.type) and values.type.scale > 0:
        text = pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), ".")
    elif pa.types.is_floating(values.type):
        whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**53))
        text = pc.if_else(whole, pc.if_else(whole, values, 0.0).cast(pa.int64()).cast(pa.string()), text)
    return text.cast(pa.binary())


def hash_values(values: pa.Array, key: bytes, name: HashName) -> pa.Array:
    """HMAC of each value (binary, no nulls), cut to 128 bits, as 32 lower-case hexadecimal digits.

    The keyed state is set up once and copied for every value, which is three times as fast as a fresh HMAC.
    """
    if len(values) == 0:
        return _NO_TOKENS
    copy = HMAC(key, algorithm(name)).copy
    digests = bytearray()
    for value in values.to_pylist():
        state = copy()
        state.update(value)
        digests += state.finalize()
    cut = np.frombuffer(digests, np.uint8).reshape(len(values), -1)[:, :TOKEN_BYTES]
    digits = binascii.hexlify(cut.tobytes())
    offsets = np.arange(len(values) + 1, dtype=np.int32) * (2 * TOKEN_BYTES)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(digits))
