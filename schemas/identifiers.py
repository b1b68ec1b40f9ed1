"""Identifiers of people, organisations and places, checked a column at a time.

Every check takes an Arrow array (or chunked array) of strings and gives one bool for each row; null is False.
A value counts only in its standard form: ASCII digits, upper-case letters, nothing around it; `normalise:` in
the catalogue brings it there.

    is_resident_id    GB 11643-1999   18 characters, MOD 11-2, a province of GB/T 2260, a real date of birth
    is_old_resident_id                15 digits as issued until 1999, of people born in 19yy; no check digit
    is_uscc           GB 32100-2015   18 of 31 characters, weights 3^i mod 31
    is_mobile         YD/T 1-series   11 digits from 13 to 19
    is_bank_card      ISO/IEC 7812-1  13 to 19 digits, Luhn
    is_division_code  GB/T 2260       6 digits of a known province, or of a given list
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.buffers import Bytes, Flags, Strings, flags, matrices, plain

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100, 4.2: no I, O, S, V or Z."""
PROVINCES = (
    *(11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46),
    *(50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83),
)
"""GB/T 2260, and 83 as on the residence permits of Taiwan residents."""
EARLIEST_BIRTH_YEAR = 1800
"""Numbers have been issued since 1984: an earlier year of birth is a mistake in writing."""

_CHINA = timezone(timedelta(hours=8))
_RESIDENT_WEIGHTS = np.array([2 ** (17 - i) % 11 for i in range(17)], dtype=np.int32)
_RESIDENT_LETTERS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_USCC_WEIGHTS = np.array([3**i % 31 for i in range(17)], dtype=np.int32)
_USCC_LETTERS = np.frombuffer(USCC_ALPHABET.encode(), dtype=np.uint8)
_USCC_VALUES = np.full(256, 255, dtype=np.uint8)
_USCC_VALUES[_USCC_LETTERS] = np.arange(31, dtype=np.uint8)
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int32)
_IS_PROVINCE = np.zeros(100, dtype=np.bool_)
_IS_PROVINCE[list(PROVINCES)] = True


# ── the checks ────────────────────────────────────────────────────────────────────────────────────────────


def is_resident_id(values: Strings, today: date | None = None) -> Flags:
    """Citizen identification numbers of GB 11643-1999. `today` is the last possible date of birth, by default
    China's date now. The lower-case x is not the standard's letter. Districts are not looked up: numbers
    outlive them."""
    latest = _number(today or datetime.now(_CHINA).date())

    def check(rows: Bytes) -> Flags:
        digits = rows[:, :17] - 48
        real = _real_date(digits[:, 6:14], EARLIEST_BIRTH_YEAR, latest)
        return _all_digits(digits) & _in_province(digits) & real & (rows[:, 17] == _resident_letter(digits))

    return _by_width(values, 18, check)


def is_old_resident_id(values: Strings) -> Flags:
    """The 15-digit numbers in use until 1999: division, yymmdd of 19yy, serial. There is no check digit, so
    this finds what may be an old number inside a text; it proves nothing."""

    def check(rows: Bytes) -> Flags:
        digits = rows - 48
        century = np.broadcast_to(np.array([1, 9], dtype=np.uint8), (len(rows), 2))
        real = _real_date(np.hstack((century, digits[:, 6:12])), 1900, 19991231)
        return _all_digits(digits) & _in_province(digits) & real

    return _by_width(values, 15, check)


def is_uscc(values: Strings) -> Flags:
    """Unified social credit codes of GB 32100-2015: registering authority and kind (a letter or digit each),
    the division's six digits, nine characters of organisation code, the check character."""

    def check(rows: Bytes) -> Flags:
        parts = _USCC_VALUES[rows]
        known = (parts < 31).all(axis=1)
        return known & _all_digits(parts[:, 2:8]) & (rows[:, 17] == _uscc_letter(parts[:, :17]))

    return _by_width(values, 18, check)


def is_mobile(values: Strings) -> Flags:
    """Mobile numbers of mainland China: 11 digits beginning 13 to 19, without the country's prefix."""

    def check(rows: Bytes) -> Flags:
        digits = rows - 48
        return _all_digits(digits) & (digits[:, 0] == 1) & (digits[:, 1] >= 3)

    return _by_width(values, 11, check)


def is_bank_card(values: Strings) -> Flags:
    """Cards of ISO/IEC 7812-1 as banks issue them: 13 to 19 digits, the first not 0, with Luhn's sum."""
    result = np.zeros(len(values), dtype=np.bool_)
    for width in range(13, 20):
        result |= _by_width(values, width, _luhn)
    return result


def is_division_code(values: Strings, known: Sequence[str] | None = None) -> Flags:
    """Division codes of GB/T 2260: one of `known`, or where there is no list, six digits beginning with a
    province (which codes exist changes every year, so only a list can tell)."""
    if known is not None:
        text = plain(values)
        return flags(pc.is_in(text, value_set=pa.array(known, text.type)))

    def check(rows: Bytes) -> Flags:
        digits = rows - 48
        return _all_digits(digits) & _in_province(digits)

    return _by_width(values, 6, check)


def resident_id_check(values: Strings) -> pa.Array:
    """The check letters of GB 11643 for the first 17 digits; null where those are not 17 digits."""
    return _letters(values, lambda rows: (_all_digits(rows - 48), _resident_letter(rows - 48)))


def uscc_check(values: Strings) -> pa.Array:
    """The check letters of GB 32100 for the first 17 characters; null where they are not of its alphabet."""

    def letter(rows: Bytes) -> tuple[Flags, Bytes]:
        parts = _USCC_VALUES[rows]
        return np.asarray((parts < 31).all(axis=1)), _uscc_letter(parts)

    return _letters(values, letter)


# ── sums and dates, on (rows, width) matrices of bytes ────────────────────────────────────────────────────


def _resident_letter(digits: Bytes) -> Bytes:
    return _RESIDENT_LETTERS[_weighed(digits, _RESIDENT_WEIGHTS) % 11]


def _uscc_letter(parts: Bytes) -> Bytes:
    return _USCC_LETTERS[(31 - _weighed(parts, _USCC_WEIGHTS) % 31) % 31]


def _weighed(parts: Bytes, weights: NDArray[np.int32]) -> NDArray[np.int32]:
    """The sums by row. Not by a product of matrices: BLAS would make one of floats, and its threads stay awake after
    it, which takes more of the processors than all the sums."""
    return np.einsum("ij,j->i", parts, weights)


def _luhn(rows: Bytes) -> Flags:
    digits = rows - 48
    doubled = digits.astype(np.int32)
    doubled[:, -2::-2] *= 2
    doubled -= 9 * (doubled > 9)
    return _all_digits(digits) & (digits[:, 0] != 0) & (doubled.sum(axis=1) % 10 == 0)


def _all_digits(digits: Bytes) -> Flags:
    return np.asarray((digits <= 9).all(axis=1))


def _in_province(digits: Bytes) -> Flags:
    code = digits[:, 0].astype(np.int32) * 10 + digits[:, 1]
    return _IS_PROVINCE[np.minimum(code, 99)] & (code < 100)


def _number(day: date) -> int:
    return day.year * 10000 + day.month * 100 + day.day


def _real_date(digits: Bytes, first_year: int, latest: int) -> Flags:
    """Whether eight digits yyyymmdd name a day of the calendar, from `first_year` to `latest` (yyyymmdd)."""
    wide = digits.astype(np.int32)
    year = wide[:, :4] @ np.array([1000, 100, 10, 1], dtype=np.int32)
    month, day = wide[:, 4] * 10 + wide[:, 5], wide[:, 6] * 10 + wide[:, 7]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    known_month = (month >= 1) & (month <= 12)
    length = _DAYS[np.where(known_month, month, 0)] + (leap & (month == 2))
    within = (year >= first_year) & (year * 10000 + month * 100 + day <= latest)
    return np.asarray(known_month & (day >= 1) & (day <= length) & within)


# ── one column at a time ──────────────────────────────────────────────────────────────────────────────────


def _by_width(values: Strings, width: int, check: Callable[[Bytes], Flags]) -> Flags:
    """Run `check` on the rows of exactly `width` bytes; all others are False."""
    result = np.zeros(len(values), dtype=np.bool_)
    for where, rows in matrices(values, width):
        result[where] = check(rows)
    return result


def _letters(values: Strings, letter: Callable[[Bytes], tuple[Flags, Bytes]]) -> pa.Array:
    valid = np.zeros(len(values), dtype=np.bool_)
    letters = np.full(len(values), ord("0"), dtype=np.uint8)
    for where, rows in matrices(values, 17):
        good, found = letter(rows)
        valid[where], letters[where] = good, np.where(good, found, ord("0"))
    offsets = np.arange(len(values) + 1, dtype=np.int32)
    text = pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(letters))
    return pc.if_else(pa.array(valid), text, pa.scalar(None, pa.string()))
