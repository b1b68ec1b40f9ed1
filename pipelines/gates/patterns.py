"""Direct identifiers in the columns of a publication, told from ordinary numbers by what stands around them.

The kernels are those of `masks.redact`, which would rather black out a number too many. A gate that stops a
publication for every tenth serial number (Luhn's sum has one digit) would soon be switched off, so here:

- **Serial numbers.** Where the whole value is a number of a form (or a few letters and a number: `NJ2026030200001`),
  it counts only if more than half of the column's values of that length prove to be identifiers. Of serial
  numbers one in ten has Luhn's sum, one in eleven the check digit of GB 11643; of identifiers all have.
- **Cards** begin with a number that ISO/IEC 7812 gave to a payment scheme, and no Latin letter touches them; nor
  one of the 15-digit resident ids, which have no check digit.
- **Credit codes** (GB 32100) are looked for where the column is not itself one.

Inside longer text every identifier counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.masks.redact import Found, find
from schemas.identifiers import USCC_ALPHABET, is_uscc

_SERIAL = re.compile(rb"[A-Z]{0,6}([0-9]{10,40}[0-9X])")
_SCHEMES = re.compile(
    rb"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3(?:[4789]|0[0-5]|095|6|5(?:2[89]|[3-8]))|6[0245]|81|9[45]"
)
"""Visa; Mastercard; Amex, Diners, JCB; UnionPay, Discover, Maestro; and the old domestic numbers of Chinese banks."""
_CODE = rf"[1-9ANY][1-9][0-9]{{6}}[{USCC_ALPHABET}]{{10}}"
_CODES = re.compile(rf"(?<![0-9A-Za-z]){_CODE}(?![0-9A-Za-z])", re.ASCII)


@dataclass
class Tally:
    """What one column held so far. `serial` counts, by length, rows whose whole value is such a number; `proven`
    those of them that are identifiers, by length and kind; `inside` identifiers that are not the whole value."""

    serial: Counter[int] = field(default_factory=Counter)
    proven: Counter[tuple[int, str]] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)

    def look(self, texts: pa.Array, rows: pa.Array) -> None:
        """Take in distinct texts and how many rows have each."""
        times = rows.to_numpy(zero_copy_only=False)
        self._serials(texts, times)
        for found in find(texts):
            if _plausible(found):
                self._place(found.kind, texts[found.row].as_py(), int(times[found.row]))
        for place in _codes(texts):
            self._place("uscc", texts[place].as_py(), int(times[place]))

    def _serials(self, texts: pa.Array, times: np.ndarray) -> None:
        whole = pc.extract_regex(texts, r"^[A-Z]{0,6}(?P<number>[0-9]{10,40}[0-9X])$")
        lengths = pc.fill_null(pc.utf8_length(pc.struct_field(whole, [0])), 0).to_numpy(zero_copy_only=False)
        counts = np.bincount(lengths, weights=times)
        for length in np.flatnonzero(counts[1:]) + 1:
            self.serial[int(length)] += int(counts[length])

    def _place(self, kind: str, text: str, times: int) -> None:
        whole = _SERIAL.fullmatch(text.encode())
        if whole is None:
            self.inside[kind] += times
        else:
            self.proven[len(whole[1]), kind] += times

    @property
    def counts(self) -> Counter[str]:
        """Rows that hold an identifier, by kind."""
        total = Counter(self.inside)
        for (length, kind), rows in self.proven.items():
            if 2 * rows > self.serial[length]:
                total[kind] += rows
        return +total


def _plausible(found: Found) -> bool:
    if found.kind == "bank_card":
        return not found.glued and _SCHEMES.match(found.number) is not None
    return not (found.kind == "resident_id" and len(found.number) == 15 and found.glued)


def _codes(texts: pa.Array) -> Iterator[int]:
    """Places of the texts that hold a unified social credit code."""
    likely = pc.fill_null(pc.match_substring_regex(texts, _CODE), False)
    for place in np.flatnonzero(likely.to_numpy(zero_copy_only=False)):
        found = _CODES.findall(texts[int(place)].as_py())
        if found and is_uscc(pa.array(found, pa.string())).any():
            yield int(place)
