"""FF1 of NIST SP 800-38G, a column at a time: numerals are enciphered to as many numerals of the same radix.

The letters are the standard's (Algorithm 7, FF1.Encrypt). Its ten rounds work on the two halves of a numeral string
as numbers, so a column of n strings is two arrays of n numbers, and a round is one call of the block cipher for the
whole column. Halves below 2**55 are 64-bit integers (up to 32 decimal digits); longer ones are Python's integers,
correct and slow.

A domain is of a million values at least, as Revision 1 of the standard demands: a smaller one can be enciphered
whole by whoever sees enough of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

CipherName = Literal["sm4", "aes"]
Bytes = NDArray[np.uint8]
Numbers = NDArray[Any]
"""uint64, or object where the halves are longer."""

SMALLEST_DOMAIN = 1_000_000
ROUNDS = 10
BLOCK = 16
KEY_BYTES = {"sm4": (16,), "aes": (16, 24, 32)}
_NARROW = 1 << 55
"""Below this a number times 256 plus a byte is below 2**64."""


def block_cipher(name: CipherName, key: bytes) -> Callable[[Bytes], Bytes]:
    """CIPH_K on any number of blocks of (n, 16) bytes: AES of FIPS 197, or SM4 of GB/T 32907-2016.

    ValueError where the key is of another length than the cipher's. UnsupportedAlgorithm where OpenSSL was built
    without SM4."""
    if len(key) not in KEY_BYTES[name]:
        raise ValueError(f"{name} takes a key of {' or '.join(map(str, KEY_BYTES[name]))} bytes")
    algorithm = algorithms.SM4(key) if name == "sm4" else algorithms.AES(key)

    def encipher(blocks: Bytes) -> Bytes:
        work = Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305 (FF1 is built on the bare block cipher)
        return np.frombuffer(work.update(blocks.tobytes()), np.uint8).reshape(-1, BLOCK)

    return encipher


@dataclass(frozen=True)
class FF1:
    """One domain under one key: numeral strings of `length` numerals below `radix`, with a tweak.

    ValueError where the radix is not 2 to 65,536 or the domain has fewer than a million values."""

    cipher: Callable[[Bytes], Bytes]
    radix: int
    length: int
    tweak: bytes = b""

    def __post_init__(self) -> None:
        if not 2 <= self.radix <= 1 << 16:
            raise ValueError("the radix is from 2 to 65,536")
        if self.radix**self.length < SMALLEST_DOMAIN:
            raise ValueError(f"a domain of FF1 has {SMALLEST_DOMAIN:,} values or more (SP 800-38G Rev. 1)")

    @property
    def halves(self) -> tuple[int, int]:
        """u and v: how many numerals the left half has, and the right."""
        return self.length // 2, self.length - self.length // 2

    def encrypt(self, numerals: NDArray[Any]) -> NDArray[np.uint16]:
        """Rows of `length` numerals, enciphered. ValueError where one is not below the radix."""
        return self._numerals(*self.encrypt_halves(*self._numbers(numerals)))

    def decrypt(self, numerals: NDArray[Any]) -> NDArray[np.uint16]:
        """The inverse of `encrypt` (Algorithm 8)."""
        return self._numerals(*self.decrypt_halves(*self._numbers(numerals)))

    def encrypt_halves(self, a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
        """The same on NUM_radix of the two halves."""
        first, work = self._first_block(), self._work(len(a))
        for i in range(ROUNDS):
            modulus = self._modulus(i)
            c = (a + self._residue(b, i, modulus, first, work)) % modulus
            a, b = b, c
        return a, b

    def decrypt_halves(self, a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
        first, work = self._first_block(), self._work(len(a))
        for i in reversed(range(ROUNDS)):
            modulus = self._modulus(i)
            c = (b + (modulus - self._residue(a, i, modulus, first, work))) % modulus
            a, b = c, a
        return a, b

    # ── the round function: steps 6.i to 6.v ──────────────────────────────────────────────────────────────

    @property
    def _b(self) -> int:
        """Bytes that hold the right half: step 3, exactly."""
        return ((self.radix ** self.halves[1] - 1).bit_length() + 7) // 8

    @property
    def _narrow(self) -> bool:
        return self.radix ** self.halves[1] < _NARROW

    def _modulus(self, i: int) -> Any:
        modulus = self.radix ** self.halves[i % 2]
        return np.uint64(modulus) if self._narrow else modulus

    def _first_block(self) -> Bytes:
        """CIPH_K(P) of step 5: the first step of the CBC-MAC, the same for all."""
        u, t = self.halves[0], len(self.tweak)
        p = bytes([1, 2, 1]) + self.radix.to_bytes(3, "big") + bytes([10, u % 256])
        p += self.length.to_bytes(4, "big") + t.to_bytes(4, "big")
        return self.cipher(np.frombuffer(p, np.uint8).reshape(1, BLOCK))

    def _work(self, rows: int) -> Bytes:
        """Q of step 6.i for every row, without the round's number and half."""
        width = -(-(len(self.tweak) + 1 + self._b) // BLOCK) * BLOCK
        q = np.zeros((rows, width), np.uint8)
        q[:, : len(self.tweak)] = np.frombuffer(self.tweak, np.uint8)
        return q

    def _residue(self, half: Numbers, i: int, modulus: Any, first: Bytes, q: Bytes) -> Numbers:
        """y mod radix**m: what a round adds to the other half."""
        b = self._b
        q[:, -b - 1] = i
        q[:, -b:] = _to_bytes(half, b)
        r = np.broadcast_to(first, (len(q), BLOCK))
        for at in range(0, q.shape[1], BLOCK):
            r = self.cipher(r ^ q[:, at : at + BLOCK])
        d = 4 * -(-b // 4) + 4
        more = [self.cipher(r ^ _counter(j)) for j in range(1, -(-d // BLOCK))]
        return self._reduced(np.hstack((r, *more))[:, :d], modulus)

    def _reduced(self, rows: Bytes, modulus: Any) -> Numbers:
        if not self._narrow:
            return np.array([int.from_bytes(row.tobytes(), "big") % modulus for row in rows], object)
        step, word = (2, ">u2") if modulus < 1 << 47 else (1, ">u1")
        words = np.ascontiguousarray(rows).view(word).astype(np.uint64)
        y = np.zeros(len(rows), np.uint64)
        for column in words.T:
            y = ((y << np.uint64(8 * step)) | column) % modulus
        return y

    # ── numerals and numbers ──────────────────────────────────────────────────────────────────────────────

    def _numbers(self, numerals: NDArray[Any]) -> tuple[Numbers, Numbers]:
        if numerals.shape[1:] != (self.length,) or ((numerals < 0) | (numerals >= self.radix)).any():
            raise ValueError(f"a value is not {self.length} numerals below {self.radix}")
        wide = numerals.astype(np.uint64 if self._narrow else object)
        u = self.halves[0]
        return self._number(wide[:, :u]), self._number(wide[:, u:])

    def _number(self, numerals: NDArray[Any]) -> Numbers:
        number = np.zeros(len(numerals), numerals.dtype)
        radix = np.uint64(self.radix) if self._narrow else self.radix
        for column in numerals.T:
            number = number * radix + column
        return number

    def _numerals(self, a: Numbers, b: Numbers) -> NDArray[np.uint16]:
        out = np.empty((len(a), self.length), np.uint16)
        radix = np.uint64(self.radix) if self._narrow else self.radix
        u = self.halves[0]
        for number, first, last in ((a, 0, u), (b, u, self.length)):
            for place in reversed(range(first, last)):
                out[:, place] = (number % radix).astype(np.uint16)
                number = number // radix  # noqa: PLW2901
        return out


def _to_bytes(numbers: Numbers, width: int) -> Bytes:
    """Each number as `width` big-endian bytes."""
    if numbers.dtype == object:
        text = b"".join(number.to_bytes(width, "big") for number in numbers)
        return np.frombuffer(text, np.uint8).reshape(-1, width)
    return numbers.astype(">u8").view(np.uint8).reshape(-1, 8)[:, -width:]


def _counter(j: int) -> Bytes:
    return np.frombuffer(j.to_bytes(BLOCK, "big"), np.uint8)
