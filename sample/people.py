"""Identities by arithmetic: person number i always has the same id, name and district, at any size of the
city.

Numbers are spread over the space of ids by a multiplication modulo its size, which is one to one: no two
persons share an id, and no list of ids given out has to be kept. Of twenty persons in a row fourteen are
adults.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sample.words import DIVISIONS, GIVEN, MOBILE_PREFIX, SURNAMES, WEIGHTS
from schemas.identifiers import USCC_ALPHABET, resident_id_check, uscc_check

Numbers = NDArray[np.int64]

_SERIALS = 200
_MULTIPLIER = 61_643_299  # a prime that divides none of the spaces
_CODES = np.array(list(DIVISIONS))
_SLOT_DIVISION = np.repeat(np.arange(len(WEIGHTS)), WEIGHTS)
_SLOT_REPEAT = np.concatenate([np.arange(weight) for weight in WEIGHTS])
_ADULTS = np.arange(np.datetime64("1936-01-01"), np.datetime64("2004-01-01"))
_MINORS = np.arange(np.datetime64("2004-01-01"), np.datetime64("2026-01-01"))
_ORG_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2])
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class People(NamedTuple):
    """Columns about some persons, row by row: id, date of birth, gender (GB/T 2261.1) and district (its
    place)."""

    id_no: pa.Array
    birth: NDArray[np.datetime64]
    gender: NDArray[np.int64]
    division: Numbers


def adult(rank: Numbers) -> Numbers:
    """The number of the adult of this rank: ranks 2k and 2k+1 are a man and a woman."""
    return rank // 14 * 20 + rank % 14


def minor(rank: Numbers) -> Numbers:
    """The number of the person under age of this rank."""
    return rank // 6 * 20 + 14 + rank % 6


def people(number: Numbers, seed: int) -> People:
    """The persons of these numbers. Ids are those of GB 11643, with a right check character."""
    grown = number % 20 < 14
    rank = np.where(grown, number // 20 * 14 + number % 20, number // 20 * 6 + number % 20 - 14)
    space = len(_SLOT_DIVISION) * _SERIALS * np.where(grown, len(_ADULTS), len(_MINORS))
    spread = (rank * _MULTIPLIER + seed * 7_919) % space
    serial, rest = spread % _SERIALS, spread // _SERIALS
    slot, day = rest % len(_SLOT_DIVISION), rest // len(_SLOT_DIVISION)
    birth = np.where(grown, _ADULTS[np.minimum(day, len(_ADULTS) - 1)], _MINORS[day % len(_MINORS)])
    order = 1 + _SLOT_REPEAT[slot] * _SERIALS + serial
    division = _SLOT_DIVISION[slot]
    body = join(take(_CODES, division), compact(birth), digits(order, 3))
    return People(join(body, resident_id_check(body)), birth, np.where(order % 2 == 1, 1, 2), division)


def credit_codes(number: Numbers, kind: str, division: Numbers) -> pa.Array:
    """Unified social credit codes (GB 32100): two characters of `kind`, the district, nine of the
    organisation code with its own check character (GB 11714), the check character. Different numbers give
    different codes."""
    base = len(USCC_ALPHABET)
    spread = (number * _MULTIPLIER) % base**5
    letters = np.array(list(USCC_ALPHABET))
    places = [spread // base**power % base for power in range(4, -1, -1)]
    body = join("MA", "9", *(take(letters, place) for place in places))
    values = [np.full(len(number), _ALPHANUMERIC.index(c)) for c in "MA9"]
    values += [np.array([_ALPHANUMERIC.index(c) for c in USCC_ALPHABET])[place] for place in places]
    sums = 11 - (np.stack(values, axis=1) @ _ORG_WEIGHTS) % 11
    check = take(np.array(list("0123456789X0")), sums)
    code = join(kind, take(_CODES, division), body, check)
    return join(code, uscc_check(code))


def names(rng: np.random.Generator, size: int) -> pa.Array:
    """Names of two or three characters."""
    given = np.array([*GIVEN])
    second = np.array(["", *GIVEN])
    return join(
        take(np.array(SURNAMES), rng.integers(0, len(SURNAMES), size)),
        take(given, rng.integers(0, len(given), size)),
        take(second, rng.integers(0, len(second), size)),
    )


def phones(rng: np.random.Generator, size: int) -> pa.Array:
    """Mobile numbers of the prefix that nobody has."""
    return join(MOBILE_PREFIX, digits(rng.integers(0, 10**8, size), 8))


# ── strings, a column at a time ───────────────────────────────────────────────────────────────────────────


def take(values: NDArray[np.str_], place: Numbers) -> pa.Array:
    """`values[place]` as Arrow strings."""
    return pa.array(values.tolist(), pa.string()).take(pa.array(place))


def join(*parts: pa.Array | str) -> pa.Array:
    """Parts one after the other; a plain text stands in every row."""
    return pc.binary_join_element_wise(*(pa.scalar(p) if isinstance(p, str) else p for p in parts), "")


def digits(number: Numbers, width: int = 0) -> pa.Array:
    """Numbers as text, filled up with zeros."""
    text = pa.array(number).cast(pa.string())
    return pc.utf8_lpad(text, width, padding="0") if width else text


def compact(day: NDArray[np.datetime64]) -> pa.Array:
    """Dates as 20260302."""
    return pc.replace_substring(iso(day), "-", "")


def iso(day: NDArray[np.datetime64]) -> pa.Array:
    """Dates as 2026-03-02, times as 2026-03-02 18:00:00."""
    text = pa.array(np.datetime_as_string(day).astype(object), pa.string())
    return pc.replace_substring(text, "T", " ")
