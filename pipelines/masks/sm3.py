"""HMAC-SM3 of thousands of short messages at once: SM3's compression function on NumPy words, a message a lane.

SM3 is GB/T 32905-2016 (the letters are its own: 5.3.2 message expansion, 5.3.3 compression), HMAC is RFC 2104 and
GB/T 15852.2. The keyed inner and outer states are computed once, so that a message of up to 55 bytes costs two
compressions: some 3,000 operations on 32-bit words each, for all lanes together. OpenSSL computes one message
faster, and twenty thousand of them more slowly, since every call of Python's costs more than the hash.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from cryptography.hazmat.primitives.hashes import SM3, Hash
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint32]
Lanes: TypeAlias = tuple[Words, Words, Words]
Bytes: TypeAlias = NDArray[np.uint8]

BLOCK, DIGEST = 64, 32
LANES = 1 << 14
"""Messages hashed together: their words, some 2 MB, stay within a core's own cache."""

IV = np.array(
    [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E],
    np.uint32,
)
_T = (0x79CC4519, 0x7A879D8A)
_CONSTANTS = [
    np.uint32((t << j % 32 | t >> (32 - j % 32)) & 0xFFFFFFFF) for j in range(64) for t in (_T[j >= 16],)
]
_SHIFT = [np.uint32(bits) for bits in range(33)]
_add, _xor, _and, _or = np.add, np.bitwise_xor, np.bitwise_and, np.bitwise_or


class Keyed:
    """An HMAC key, as the states of SM3 after the key's inner and outer block."""

    def __init__(self, key: bytes) -> None:
        if len(key) > BLOCK:
            state = Hash(SM3())
            state.update(key)
            key = state.finalize()
        padded = np.frombuffer(key.ljust(BLOCK, b"\0"), np.uint8)[np.newaxis]
        self._inner = _compress(IV[:, np.newaxis], _words(padded ^ np.uint8(0x36)))
        self._outer = _compress(IV[:, np.newaxis], _words(padded ^ np.uint8(0x5C)))

    def tags(self, data: Bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Bytes:
        """The tags of messages that take equally many blocks (see `blocks`), as a matrix of (messages, 32) bytes.

        Message i is `data[starts[i]:starts[i] + lengths[i]]`."""
        tags = np.empty((len(starts), DIGEST), np.uint8)
        for first in range(0, len(starts), LANES):
            lanes = slice(first, first + LANES)
            tags[lanes] = self._tags(_padded(data, starts[lanes], lengths[lanes]))
        return tags

    def _tags(self, rows: Bytes) -> Bytes:
        state = self._inner
        for at in range(0, rows.shape[1], BLOCK):
            state = _compress(state, _words(rows[:, at : at + BLOCK]))
        last = np.zeros((16, len(rows)), np.uint32)
        last[:8], last[8], last[15] = state, 0x80000000, 8 * (BLOCK + DIGEST)
        digest = _compress(self._outer, last)
        return np.ascontiguousarray(digest.T).astype(">u4").view(np.uint8)


@lru_cache(maxsize=16)
def keyed(key: bytes) -> Keyed:
    """A key's states, which take as long to make as the tags of a thousand messages: they are made once."""
    return Keyed(key)


def blocks(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many blocks a message of so many bytes takes with its padding: one up to 55 bytes."""
    return (lengths + 8) // BLOCK + 1


def _padded(data: Bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Bytes:
    """Messages as rows of whole blocks: a one bit, zeros, and the length in bits, the key's block included."""
    width = BLOCK * int(blocks(lengths[:1])[0])
    begin, end = int(starts.min()), int((starts + lengths).max())
    roomy = np.concatenate((data[begin:end], np.zeros(width, np.uint8)))
    rows = np.lib.stride_tricks.sliding_window_view(roomy, width)[starts - begin]
    rows *= np.arange(width) < lengths[:, np.newaxis]
    rows[np.arange(len(rows)), lengths] = 0x80
    rows[:, -8:] = (8 * (BLOCK + lengths)).astype(">u8").view(np.uint8).reshape(-1, 8)
    return rows


def _words(rows: Bytes) -> Words:
    """Rows of 64 bytes as 16 arrays of big-endian words, a message a lane."""
    words = np.ascontiguousarray(rows).view(np.uint32)
    return np.ascontiguousarray((words.byteswap() if sys.byteorder == "little" else words).T)


def _compress(state: Words, words: Words) -> Words:
    """CF of 5.3.3: the state of (8, lanes), or of (8, 1) for all lanes, after a block of (16, lanes) words.

    `words` is used up: round j puts the expanded word W[j + 4] in the place of W[j - 12]. The registers of round
    j + 1 are those of round j under other names, so that nothing is copied."""
    w = list(words)
    a, b, c, d, e, f, g, h = np.repeat(state, words.shape[1] // state.shape[1], axis=1)
    p, q, r, s = np.empty((4, words.shape[1]), np.uint32)
    for j in range(64):
        _rotate(a, 12, r, s)
        _add(r, e, p)
        _add(p, _CONSTANTS[j], p)
        _rotate(p, 7, q, s)  # SS1
        _xor(q, r, r)  # SS2
        _add(d, r, d)
        _add(h, q, h)
        if j >= 12:
            _expand(w, j + 4, p, q, s)
        _add(h, w[j % 16], h)
        _xor(w[j % 16], w[(j + 4) % 16], p)  # W'
        _add(d, p, d)
        _booleans(j, (a, b, c), (e, f, g), (p, q, s))
        _add(d, p, d)  # TT1
        _add(h, q, h)  # TT2
        _mix(h, (9, 17), (p, q, s))  # P0
        b, q = _rotate(b, 9, q, s), b
        f, q = _rotate(f, 19, q, s), f
        a, b, c, d, e, f, g, h = d, a, b, c, h, e, f, g
    return _xor((a, b, c, d, e, f, g, h), state)


def _expand(w: list[Words], j: int, p: Words, q: Words, s: Words) -> None:
    """5.3.2 b: W[j] = P1(W[j-16] ^ W[j-9] ^ W[j-3] <<< 15) ^ W[j-13] <<< 7 ^ W[j-6], in the place of W[j-16]."""
    new = w[j % 16]
    _xor(new, w[(j - 9) % 16], new)
    _xor(new, _rotate(w[(j - 3) % 16], 15, p, s), new)
    _mix(new, (15, 23), (p, q, s))
    _xor(new, _rotate(w[(j - 13) % 16], 7, p, s), new)
    _xor(new, w[(j - 6) % 16], new)


def _booleans(j: int, abc: Lanes, efg: Lanes, spare: Lanes) -> None:
    """FF_j(A, B, C) into the first and GG_j(E, F, G) into the second of three spare arrays, by 4.4."""
    (a, b, c), (e, f, g), (p, q, s) = abc, efg, spare
    if j < 16:
        _xor(_xor(a, b, p), c, p)
        _xor(_xor(e, f, q), g, q)
        return
    _and(_or(a, b, p), c, p)
    _or(p, _and(a, b, s), p)
    _xor(_and(_xor(f, g, q), e, q), g, q)


def _mix(x: Words, bits: tuple[int, int], spare: Lanes) -> None:
    """x ^ x <<< one ^ x <<< other, in place: the permutations P0 and P1 of 4.5."""
    p, q, s = spare
    _rotate(x, bits[0], p, s)
    _rotate(x, bits[1], q, s)
    _xor(x, p, x)
    _xor(x, q, x)


def _rotate(x: Words, bits: int, into: Words, s: Words) -> Words:
    np.left_shift(x, _SHIFT[bits], into)
    np.right_shift(x, _SHIFT[32 - bits], s)
    return _or(into, s, into)
