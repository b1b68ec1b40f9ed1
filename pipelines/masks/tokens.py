"""Keyed tokens: equal values give equal tokens within one domain, and nothing can be told across domains.

A domain is what one recipient reads in the share zone (`share/statistics`, whatever the dataset), one dataset of the
open zone (`open/transport.bus_ride`), or what the entry names in `domain:`. See `schemas.policy.domain_of`.

    token = first 32 hexadecimal digits (128 bits) of HMAC-SM3 or HMAC-SHA-256 (RFC 2104, GB/T 15852.2)
            of the value's text form in UTF-8, under the key derived for `token/<domain>` (see `pipelines.keys`)

At 128 bits a billion distinct values collide with a chance below 1e-20. What is hashed is a canonical text,
so that one quantity joins however its column is typed: `5`, `5.00` and 5.0 are all `5`; see `canonical`.
"""

from __future__ import annotations

import binascii
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.hmac import HMAC

from pipelines.keys import HashName, Key, algorithm
from pipelines.masks.arrays import text_of
from pipelines.masks.fpe import encipher
from schemas.buffers import Bytes, buffers
from schemas.model import Fpe, Hmac

TOKEN_BYTES = 16
CACHED = 1 << 17
"""Distinct values whose results are remembered from batch to batch, per mask: some 10 MB of identifiers."""
CACHED_BYTES = 32 << 20
"""Bytes of them at most: of long texts fewer are remembered."""
SELDOM, RESTING = 8, 7
"""Where fewer than one value in eight was known, the next seven batches are not looked up."""
TOGETHER = "pipelines.masks.sm3"
MANY = 1 << 18
"""So many values are hashed one after the other in the time that it takes to load what hashes all at once."""
UNIQUE = 0.9
"""New values in a second batch, of its rows, from which on all rows to come are taken to bring new ones."""
_NO_VALUES = pa.array([], pa.binary())
_NO_TOKENS = pa.array([], pa.string())


class _Known(NamedTuple):
    """What was hashed or enciphered lately in one domain. Looking values up costs a tenth of hashing them, so a column
    that hardly ever repeats itself from batch to batch is not looked up for the next `RESTING` batches."""

    values: pa.Array = _NO_VALUES
    results: pa.Array = _NO_TOKENS
    resting: int = 0


class Tokens:
    """The tokens and enciphered values of one publication: one key, one reader's domain, and what was made lately.
    `expected` is how many rows there will be, where that is known."""

    def __init__(self, key: Key, domain: str, expected: int = 0) -> None:
        self.key = key
        self.domain = domain
        self._known: dict[Hmac | Fpe, _Known] = {}
        self._expected = expected
        self._hashed = 0

    def of(self, values: pa.Array, mask: Hmac | Fpe) -> pa.Array:
        """A string column of tokens or enciphered values, null where the value is null. Every distinct value is hashed
        or enciphered once."""
        encoded = pc.dictionary_encode(canonical(values))
        known = self._known.get(mask, _Known())
        made = partial(self._made, mask, len(values))
        if known.resting:
            self._known[mask] = known._replace(resting=known.resting - 1)
            return made(encoded.dictionary).take(encoded.indices)
        return self._remembered(encoded.dictionary, mask, known, made).take(encoded.indices)

    def _remembered(
        self, values: pa.Array, mask: Hmac | Fpe, lately: _Known, made: Callable[[pa.Array], pa.Array]
    ) -> pa.Array:
        """Results for distinct values without null: those known are looked up, the rest made and remembered."""
        found = pc.index_in(values, value_set=lately.values)
        missing = found.is_null()
        new = values.filter(missing)
        results = pa.concat_arrays([lately.results, made(new)])
        nth_new = pc.add(pc.cumulative_sum(missing.cast(pa.int64())), len(lately.values) - 1)
        wanted = results.take(pc.if_else(missing, nth_new, found))
        seldom = len(lately.values) > 0 and SELDOM * (len(values) - len(new)) < len(values)
        if len(results) <= CACHED and lately.values.nbytes + new.nbytes <= CACHED_BYTES:
            known = pa.concat_arrays([lately.values, new])
        else:
            known, results = _first(values, wanted)
        self._known[mask] = _Known(known, results, RESTING if seldom else 0)
        return wanted

    def _made(self, mask: Hmac | Fpe, rows: int, values: pa.Array) -> pa.Array:
        """Of distinct values, those of so many rows that are not known."""
        domain = mask.domain or self.domain
        if isinstance(mask, Fpe):
            return encipher(values.cast(pa.string()), mask, self.key, domain)
        expected = self._expected if self._hashed and len(values) >= UNIQUE * rows else 0
        many = max(self._hashed, expected) >= MANY or TOGETHER in sys.modules
        self._hashed += len(values)
        return hash_values(values, self.key.derive(f"token/{domain}", mask.hash), mask.hash, many=many)


def _first(values: pa.Array, results: pa.Array) -> tuple[pa.Array, pa.Array]:
    """As many of these as may be remembered, copied: a slice would keep all of its batch in memory."""
    offsets, _ = buffers(values)
    fit = min(CACHED, int(np.searchsorted(offsets - offsets[0], CACHED_BYTES, "right")) - 1)
    chosen = pa.array(np.arange(fit))
    return values.take(chosen), results.take(chosen)


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


def hash_values(values: pa.Array, key: bytes, name: HashName, *, many: bool = False) -> pa.Array:
    """HMAC of each value (binary, no nulls), cut to 128 bits, as 32 lower-case hexadecimal digits.

    By OpenSSL, one by one; SM3 where there are `many` by `masks.sm3`, ten times as fast once it is loaded."""
    if many and name == "sm3":
        from pipelines.masks import sm3

        tags = sm3.tags(key, *buffers(values))
    else:
        tags = _one_by_one(values, key, name)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * (2 * TOKEN_BYTES)
    digits = binascii.hexlify(tags[:, :TOKEN_BYTES].tobytes())
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(digits))


def _one_by_one(values: pa.Array, key: bytes, name: HashName) -> Bytes:
    """The keyed state is set up once and copied for every value, which takes half as long as a fresh HMAC."""
    copy = HMAC(key, algorithm(name)).copy
    digests = bytearray()
    for value in values.to_pylist():
        state = copy()
        state.update(value)
        digests += state.finalize()
    return np.frombuffer(digests, np.uint8).reshape(-1, algorithm(name).digest_size)
