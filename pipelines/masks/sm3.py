"""HMAC-SM3 of many short messages at once: SM3's compression function, compiled, many messages side by side.

SM3 is GB/T 32905-2016 (the letters are its own: 5.3.2 message expansion, 5.3.3 compression), HMAC is RFC 2104 and
GB/T 15852.2. Numba makes of the loops over the lanes the processor's vector instructions: a message of up to 55 bytes
takes a tenth of what OpenSSL takes with a call of Python's for each. Whoever imports this waits half a second, the
first time on a machine some more: what is compiled is kept beside this file, or in the user's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from cryptography.hazmat.primitives.hashes import SM3, Hash
from numba import njit, types
from numpy.typing import NDArray

from schemas.buffers import Bytes, Places

Words = NDArray[np.uint32]

BLOCK, DIGEST = 64, 32
LANES = 128
"""Messages side by side: their words, some 35 KB, stay in the fastest cache."""

IV = np.array(
    [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E],
    np.uint32,
)
_T = (0x79CC4519, 0x7A879D8A)
_CONSTANTS = np.array(
    [(t << j % 32 | t >> (32 - j % 32)) & 0xFFFFFFFF for j in range(64) for t in (_T[j >= 16],)], np.uint32
)


def tags(key: bytes, offsets: Places, data: Bytes) -> Bytes:
    """The tags of the messages `data[offsets[i]:offsets[i + 1]]`, as a matrix of (messages, 32) bytes."""
    if len(key) > BLOCK:
        state = Hash(SM3())
        state.update(key)
        key = state.finalize()
    found = np.empty((len(offsets) - 1, DIGEST), np.uint8)
    _hmac(np.frombuffer(key.ljust(BLOCK, b"\0"), np.uint8), offsets, data, found)
    return found


def _compiled(*arguments: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """For arguments of these types, at once, to code that runs without Python's lock, and kept where that can be."""

    def compiled(function: Callable[..., None]) -> Callable[..., None]:
        try:
            made = njit(types.void(*arguments), nogil=True, cache=True)(function)
        except (RuntimeError, OSError):  # no folder to keep it in, or a full disk
            made = njit(types.void(*arguments), nogil=True)(function)
        return cast(Callable[..., None], made)

    return compiled


def _given(kind: Any) -> Any:
    return types.Array(kind, 1, "C", readonly=True)


_word = np.uint32


@njit(inline="always")
def _rotated(x: np.uint32, bits: int) -> np.uint32:
    return _word((x << _word(bits)) | (x >> _word(32 - bits)))


@njit
def _compress(states: Words, words: Words, now: Words) -> None:
    """CF of 5.3.3 on states (8, lanes). Of `words` (68, lanes) the first sixteen rows are the block's, the others are
    made here. The registers A to D, and E to H, stay in their rows of `now`: it is their names that move on."""
    for j in range(16, 68):
        for i in range(LANES):
            x = words[j - 16, i] ^ words[j - 9, i] ^ _rotated(words[j - 3, i], 15)
            x = x ^ _rotated(x, 15) ^ _rotated(x, 23)
            words[j, i] = x ^ _rotated(words[j - 13, i], 7) ^ words[j - 6, i]
    for k in range(8):
        for i in range(LANES):
            now[k, i] = states[k, i]
    for j in range(64):
        a, b, c, d = now[-j & 3], now[1 - j & 3], now[2 - j & 3], now[3 - j & 3]
        e, f, g, h = now[4 + (-j & 3)], now[4 + (1 - j & 3)], now[4 + (2 - j & 3)], now[4 + (3 - j & 3)]
        w, v, t = words[j], words[j + 4], _CONSTANTS[j]
        for i in range(LANES):
            if j < 16:
                ff, gg = a[i] ^ b[i] ^ c[i], e[i] ^ f[i] ^ g[i]
            else:
                ff, gg = (a[i] & b[i]) | ((a[i] | b[i]) & c[i]), ((f[i] ^ g[i]) & e[i]) ^ g[i]
            ss1 = _rotated(_word(_rotated(a[i], 12) + e[i] + t), 7)
            ss2 = ss1 ^ _rotated(a[i], 12)
            tt1 = _word(ff + d[i] + ss2 + (w[i] ^ v[i]))
            tt2 = _word(gg + h[i] + ss1 + w[i])
            b[i], f[i] = _rotated(b[i], 9), _rotated(f[i], 19)
            d[i], h[i] = tt1, tt2 ^ _rotated(tt2, 9) ^ _rotated(tt2, 17)
    for k in range(8):
        for i in range(LANES):
            states[k, i] ^= now[k, i]


@njit
def _blocks(length: int) -> int:
    """That a message of so many bytes takes with its padding: one up to 55 bytes."""
    return (length + 8) // BLOCK + 1


@njit
def _load(words: Words, offsets: Places, data: Bytes, block: int) -> None:
    """A block of each message into its lane: past its end a one bit, zeros, and its length with the key's block."""
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        for k in range(16):
            at, word = start + BLOCK * block + 4 * k, _word(0)
            for n in range(4):
                if at + n < end:
                    word |= _word(data[at + n]) << _word(24 - 8 * n)
                elif at + n == end:
                    word |= _word(0x80) << _word(24 - 8 * n)
            words[k, i] = word
        if block + 1 == _blocks(end - start):
            bits = 8 * (BLOCK + end - start)
            words[14, i], words[15, i] = bits >> 32, bits & 0xFFFFFFFF


@njit
def _keep(ended: Words, offsets: Places, states: Words, block: int) -> None:
    """The states of those messages of which this was the last block."""
    for i in range(len(offsets) - 1):
        if block + 1 == _blocks(offsets[i + 1] - offsets[i]):
            for k in range(8):
                ended[k, i] = states[k, i]


@njit
def _digests(words: Words, ended: Words) -> None:
    """The block of the outer hash: the inner one's digest, and its padding."""
    for i in range(LANES):
        for k in range(8):
            words[k, i], words[k + 8, i] = ended[k, i], 0
        words[8, i], words[15, i] = 0x80000000, 8 * (BLOCK + DIGEST)


@njit
def _keyed(states: Words, key: Bytes, pad: int, words: Words, now: Words) -> None:
    """The states after the key's block, xored with the byte of the inner or the outer pad."""
    for i in range(LANES):
        for k in range(16):
            word = _word(0)
            for n in range(4):
                word |= _word(key[4 * k + n] ^ pad) << _word(24 - 8 * n)
            words[k, i] = word
        for k in range(8):
            states[k, i] = IV[k]
    _compress(states, words, now)


@njit
def _begin(states: Words, keyed: Words) -> None:
    for k in range(8):
        for i in range(LANES):
            states[k, i] = keyed[k, i]


@_compiled(_given(types.uint8), _given(types.int64), _given(types.uint8), types.uint8[:, ::1])
def _hmac(key: Bytes, offsets: Places, data: Bytes, tags: Bytes) -> None:
    """HMAC of so many messages at a time as there are lanes."""
    inner, outer = np.empty((8, LANES), np.uint32), np.empty((8, LANES), np.uint32)
    states, now = np.empty((8, LANES), np.uint32), np.empty((8, LANES), np.uint32)
    ended, words = np.empty((8, LANES), np.uint32), np.zeros((68, LANES), np.uint32)
    _keyed(inner, key, 0x36, words, now)
    _keyed(outer, key, 0x5C, words, now)
    for first in range(0, len(tags), LANES):
        here, most = offsets[first : first + LANES + 1], 0
        for i in range(len(here) - 1):
            most = max(most, _blocks(here[i + 1] - here[i]))
        _begin(states, inner)
        for block in range(most):
            _load(words, here, data, block)
            _compress(states, words, now)
            _keep(ended, here, states, block)
        _digests(words, ended)
        _begin(states, outer)
        _compress(states, words, now)
        for i in range(len(here) - 1):
            for k in range(DIGEST):
                tags[first + i, k] = states[k >> 2, i] >> _word(24 - 8 * (k & 3))
