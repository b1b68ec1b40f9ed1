"""Format-preserving encryption: a number becomes another number of the same form, back only with the key (FF1).

    digits         6 to 32 digits, in place; what sets them apart stays, and an X at the end
    alphanumeric   4 to 20 digits and capital letters, in place; what sets them apart stays, and of a plate the province
    resident_id    18 characters: a known province, a day from 1900 to 2099, a check character that is *not* right
    uscc           18 characters: authority, kind and division stay; the check character is *not* right
    mobile         11 digits: the leading 1 becomes a 2, which no number in use begins with

What has a check digit or a numbering plan is never turned into a number that someone may have: the check character
is the right one moved on by one (0 → 1 … 9 → X → 0), so that every enciphered number is known for one, the leak gate
would see a column that was not enciphered, and a right number never comes out (docs/adr/0016).

A value that is not of its form becomes null: as it is, it would be published whole. So does one with any other letter
or number in it: of `李四 13800138000` the name would be published. What sets digits apart are blanks, punctuation,
symbols and the words of a document's number (第, 号, 年, 月, 日).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.keys import Key
from pipelines.masks.ff1 import FF1, Bytes, block_cipher
from pipelines.masks.shadow import PROVINCES as PROVINCES_OF_PLATES
from pipelines.masks.shadow import SUFFIXES
from schemas.buffers import Flags, Places, buffers, flags, matrices
from schemas.identifiers import (
    PROVINCES,
    USCC_ALPHABET,
    is_mobile,
    is_resident_id,
    is_uscc,
    resident_id_check,
    uscc_check,
)
from schemas.model import Fpe

Cipher = Callable[[Bytes], Bytes]
_DIGITS = "0123456789"
_CAPITALS = _DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RESIDENT_CHECKS = _DIGITS + "X"
_FIRST_DAY, _DAYS = np.datetime64("1900-01-01"), 73_049
_PLACE = np.array(PROVINCES)
_PLACES_OF = np.searchsorted(_PLACE, np.arange(100))


def encipher(values: pa.Array, mask: Fpe, key: Key, domain: str) -> pa.Array:
    """The column enciphered, null where a value is null or not of the form. Distinct values are best given once.

    Each form of each domain has a key of its own, so that digits and a resident id tell nothing of one another."""
    chinese = mask.cipher == "sm4"
    secret = key.derive(
        f"fpe/{mask.form}/{domain}", "sm3" if chinese else "sha256", length=16 if chinese else 32
    )
    form = _FORMS[mask.form]
    fits = form.fits(values)
    return _placed(form.write(values.filter(pa.array(fits)), block_cipher(mask.cipher, secret)), fits)


def unfit(values: pa.Array, mask: Fpe) -> int:
    """How many values are not of the form, and become null; those that are null are none of them."""
    return int((flags(values.is_valid()) & ~_FORMS[mask.form].fits(values)).sum())


@dataclass(frozen=True)
class _Form:
    """Which values are of the form, and how those are written."""

    fits: Callable[[pa.Array], Flags]
    write: Callable[[pa.Array, Cipher], pa.Array]


# ── in place: digits, capital letters ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _InPlace:
    """Every character of an alphabet is enciphered together with the others of its value, where it stands.

    `whole` is what a value is made of, before and after: anything else would be published as it is."""

    alphabet: str
    lengths: range
    whole: str

    def fits(self, values: pa.Array) -> Flags:
        length = pc.binary_length(self._compact(values))
        whole = flags(pc.fill_null(pc.match_substring_regex(values, self.whole), False))
        return np.asarray(whole & np.isin(length.fill_null(0), list(self.lengths)))

    def write(self, values: pa.Array, cipher: Cipher) -> pa.Array:
        return _overwritten(values, self._enciphered(self._compact(values), cipher), self.alphabet)

    def _compact(self, values: pa.Array) -> pa.Array:
        return pc.replace_substring_regex(values, f"[^{self.alphabet}]", "")

    def _enciphered(self, compact: pa.Array, cipher: Cipher) -> Bytes:
        """The characters of all values one after another, enciphered."""
        offsets, _ = buffers(compact)
        out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
        for width in np.unique(np.diff(offsets)).tolist():
            ff1 = FF1(cipher, len(self.alphabet), width)
            for where, rows in matrices(compact, width):
                places = (offsets[where] - offsets[0])[:, np.newaxis] + np.arange(width)
                out[places] = _letters(self.alphabet)[ff1.encrypt(_numerals(self.alphabet)[rows])]
        return out


def _overwritten(values: pa.Array, characters: Bytes, alphabet: str) -> pa.Array:
    """The values with their characters of the alphabet replaced, in order, by others."""
    offsets, data = buffers(values)
    text = data[offsets[0] : offsets[-1]].copy()
    text[_numerals(alphabet)[text] < len(alphabet)] = characters
    start = (offsets - offsets[0]).astype(np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(start), pa.py_buffer(text))


# ── numbers with a check digit or a numbering plan ────────────────────────────────────────────────────────


def _is_resident_id(values: pa.Array) -> Flags:
    born = pc.fill_null(pc.match_substring_regex(values, "^.{6}(?:19|20)"), False)
    return is_resident_id(values) & flags(born)


def _resident_id(values: pa.Array, cipher: Cipher) -> pa.Array:
    """Province, division, day of birth and serial are one number below the count of all of them."""
    rows = _rows(values, 18)
    ordered = _walked(cipher, _resident_rank(rows[:, :17] - 48), len(_PLACE) * 10**4 * _DAYS * 10**3)
    body = _resident_digits(ordered)
    return _with_wrong_check(body, resident_id_check, _RESIDENT_CHECKS)


def _resident_rank(digits: Bytes) -> NDArray[np.uint64]:
    wide = digits.astype(np.int64)
    month = (_number(wide[:, 6:10]) - 1970) * 12 + _number(wide[:, 10:12]) - 1
    first = month.astype("M8[M]").astype("M8[D]").astype(np.int64) - _FIRST_DAY.astype(np.int64)
    day = first + _number(wide[:, 12:14]) - 1
    place = _PLACES_OF[_number(wide[:, :2])] * 10**4 + _number(wide[:, 2:6])
    rank = (place * _DAYS + day) * 10**3 + _number(wide[:, 14:17])
    return rank.astype(np.uint64)


def _resident_digits(rank: NDArray[np.uint64]) -> Bytes:
    rest, serial = np.divmod(rank.astype(np.int64), 10**3)
    place, day = np.divmod(rest, _DAYS)
    date = _FIRST_DAY + day.astype("m8[D]")
    year = date.astype("M8[Y]").astype(np.int64) + 1970
    month = date.astype("M8[M]").astype(np.int64) % 12 + 1
    of_month = (date - date.astype("M8[M]")).astype(np.int64) + 1
    parts = (
        (_PLACE[place // 10**4], 2),
        (place % 10**4, 4),
        (year, 4),
        (month, 2),
        (of_month, 2),
        (serial, 3),
    )
    return np.hstack([_digits(number, width) for number, width in parts])


def _walked(cipher: Cipher, numbers: NDArray[np.uint64], size: int) -> NDArray[np.uint64]:
    """Numbers below `size` as others below it: four numerals of the smallest radix that holds them, enciphered again
    until they are below it, too (cycle walking, Black and Rogaway 2002; hardly ever a second time)."""
    radix = math.isqrt(math.isqrt(size - 1)) + 1
    ff1, half = FF1(cipher, radix, 4), np.uint64(radix**2)
    walked = numbers.copy()
    wrong = np.arange(len(numbers))
    while len(wrong):
        a, b = ff1.encrypt_halves(walked[wrong] // half, walked[wrong] % half)
        walked[wrong] = a * half + b
        wrong = wrong[walked[wrong] >= size]
    return walked


def _uscc(values: pa.Array, cipher: Cipher) -> pa.Array:
    """The nine characters of the organisation; authority, kind and division are its class and stay."""
    rows = _rows(values, 18)[:, :17].copy()
    ff1 = FF1(cipher, len(USCC_ALPHABET), 9)
    rows[:, 8:] = _letters(USCC_ALPHABET)[ff1.encrypt(_numerals(USCC_ALPHABET)[rows[:, 8:]])]
    return _with_wrong_check(rows, uscc_check, USCC_ALPHABET)


def _mobile(values: pa.Array, cipher: Cipher) -> pa.Array:
    rows = _rows(values, 11).copy()
    rows[:, 0] = ord("2")
    rows[:, 1:] = FF1(cipher, 10, 10).encrypt(rows[:, 1:] - 48) + 48
    return _strings(rows)


def _with_wrong_check(body: Bytes, check: Callable[[pa.Array], pa.Array], letters: str) -> pa.Array:
    """17 characters and the check character after the right one."""
    right = np.frombuffer("".join(check(_strings(body)).to_pylist()).encode(), np.uint8)
    wrong = (_numerals(letters)[right].astype(np.int64) + 1) % len(letters)
    return _strings(np.hstack((body, _letters(letters)[wrong][:, np.newaxis])))


# ── columns and bytes ─────────────────────────────────────────────────────────────────────────────────────


def _rows(values: pa.Array, width: int) -> Bytes:
    """The bytes of the values, all of one width."""
    parts: Iterator[tuple[Places, Bytes]] = matrices(values, width)
    return np.vstack([np.empty((0, width), np.uint8), *(rows for _, rows in parts)])


def _strings(rows: Bytes) -> pa.Array:
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    text = np.ascontiguousarray(rows).astype(np.uint8, copy=False)
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))


def _placed(written: pa.Array, fits: Flags) -> pa.Array:
    """The written values where they belong, null elsewhere."""
    nth = np.cumsum(fits) - 1
    return written.take(pa.array(nth, mask=~fits))


def _number(digits: NDArray[Any]) -> NDArray[np.int64]:
    return digits.astype(np.int64) @ 10 ** np.arange(digits.shape[1] - 1, -1, -1)


def _digits(number: NDArray[np.int64], width: int) -> Bytes:
    powers = 10 ** np.arange(width - 1, -1, -1)
    return (number[:, np.newaxis] // powers % 10 + 48).astype(np.uint8)


def _letters(alphabet: str) -> Bytes:
    return np.frombuffer(alphabet.encode(), np.uint8)


def _numerals(alphabet: str) -> Bytes:
    """The numeral of each byte, 255 for those outside of the alphabet."""
    table = np.full(256, 255, np.uint8)
    table[_letters(alphabet)] = np.arange(len(alphabet))
    return table


_APART = r"\p{Z}\p{P}\p{S}\p{Cc}\p{Cf}第号年月日"
_PLATE = rf"(?:[{PROVINCES_OF_PLATES}][A-Z]|使[0-9])?"
WHOLE = {
    "digits": rf"^[0-9{_APART}]*(?:[0-9]X)?$",
    "alphanumeric": rf"^{_PLATE}[0-9A-Z{_APART}]*[{SUFFIXES}]?$",
}
"""For RE2: what a value may hold that is enciphered in place, and what it holds then."""
_FORMS: dict[str, _Form | _InPlace] = {
    "digits": _InPlace(_DIGITS, range(6, 33), WHOLE["digits"]),
    "alphanumeric": _InPlace(_CAPITALS, range(4, 21), WHOLE["alphanumeric"]),
    "resident_id": _Form(_is_resident_id, _resident_id),
    "uscc": _Form(is_uscc, _uscc),
    "mobile": _Form(is_mobile, _mobile),
}
