"""Direct identifiers in the columns of a publication, told from ordinary numbers by what stands around them.

The kernels are those of `masks.redact`, which would rather black out a number too many. A gate that stops a
publication for every tenth serial number (Luhn's sum has one digit) would soon be switched off, so here:

- **Serial numbers.** Where the whole value is a number of a form (or a few letters and a number: `NJ2026030200001`),
  it counts only if more than half of the column's values of that length prove to be identifiers. Of serial
  numbers one in ten has Luhn's sum, one in eleven the check digit of GB 11643; of identifiers all have. A resident id
  of 18 digits has a province and a day of birth besides: there a tenth is enough. A number in groups with points,
  slashes or low lines between them (6001.0001.0002.0003) is told by its digits, as one that is written whole.
- **Mobile numbers** have no check digit, but operators were given some beginnings and not others: where hardly any
  number that begins with 13 to 19 begins like nobody's, it is enough that they are more than half of what is no
  landline and no mere repetition of one digit; or more than a tenth, of eight beginnings or more, which neither years
  (1949 to 1999) nor provinces (13 to 15) nor hours are.
- **Cards** begin with a number that ISO/IEC 7812 gave to a payment scheme, and no Latin letter touches them; nor
  one of the 15-digit resident ids, which have no check digit.
- **UUIDs and digests**: of those drawn at random one to four in a thousand have a mobile number between two letters,
  and none another identifier. Such numbers count where more than two rows and two in a hundred have one.
- **Credit codes** (GB 32100) are looked for where the column is not itself one.

Inside longer text every identifier counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.masks.finders import AREA, is_scheme_card
from pipelines.masks.redact import find
from schemas.buffers import Flags, Places, flags
from schemas.identifiers import (
    is_mobile,
    is_old_resident_id,
    is_resident_id,
    is_uscc,
)

KINDS = ("resident_id", "phone", "email", "bank_card", "plate", "passport", "uscc")
"""Looked for inside longer text. Landlines are mostly those of offices, and a name beside a title proves nothing."""


@dataclass
class Tally:
    """What one column held so far. `serial` counts, by length, rows whose whole value is such a number; `proven`
    those of them that are identifiers, by length and kind; `inside` rows that hold one which is not the whole value.
    `opaque` counts rows whose whole value is a UUID or a digest, `dialled` those of them with a mobile number inside.
    `mobiles` counts mobile numbers by their first three digits, `others` numbers as long that cannot be any."""

    serial: Counter[int] = field(default_factory=Counter)
    proven: Counter[tuple[int, str]] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    opaque: int = 0
    dialled: int = 0
    mobiles: Places = field(default_factory=lambda: np.zeros(_BEGINNINGS, np.int64))
    others: int = 0

    def look(self, texts: pa.Array, rows: pa.Array) -> None:
        """Take in distinct texts and how many rows have each."""
        times = rows.to_numpy(zero_copy_only=False)
        parts = pc.extract_regex(texts, r"^(?P<letters>[A-Z]{0,6})(?P<number>[0-9]{10,40}[0-9X])$")
        number = pc.struct_field(parts, "number")
        serial = flags(number.is_valid())
        if serial.any():
            lettered = flags(pc.fill_null(pc.not_equal(pc.struct_field(parts, "letters"), ""), False))
            self._serials(number.filter(pa.array(serial)), lettered[serial], times[serial])
            texts, times = texts.filter(pa.array(~serial)), times[~serial]
        apart = flags(pc.fill_null(pc.match_substring_regex(texts, _IN_GROUPS), False))
        if apart.any():
            number = pc.replace_substring_regex(texts.filter(pa.array(apart)), "[./_]", "")
            self._serials(number, np.zeros(len(number), np.bool_), times[apart])
            texts, times = texts.filter(pa.array(~apart)), times[~apart]
        opaque = flags(pc.fill_null(pc.match_substring_regex(texts, _OPAQUE), False))
        if opaque.any():
            self.opaque += int(times[opaque].sum())
            found = _inside(texts.filter(pa.array(opaque)), times[opaque])
            self.dialled += found.pop("phone", 0)
            self.inside += found
            texts, times = texts.filter(pa.array(~opaque)), times[~opaque]
        self.inside += _inside(texts, times)

    def _serials(self, numbers: pa.Array, lettered: Flags, times: Places) -> None:
        lengths = pc.utf8_length(numbers).to_numpy(zero_copy_only=False)
        for length in np.unique(lengths).tolist():
            of_length = lengths == length
            self.serial[length] += int(times[of_length].sum())
            these = numbers.filter(pa.array(of_length))
            for kind, proven in _proven(these, length, lettered[of_length]):
                self.proven[length, kind] += int(times[of_length][proven].sum())
            if length == _MOBILE:
                self._telephones(these, times[of_length])

    def _telephones(self, numbers: pa.Array, times: Places) -> None:
        mobile = is_mobile(numbers)
        first = pc.utf8_slice_codeunits(numbers.filter(pa.array(mobile)), 0, 3).cast(pa.int64())
        self.mobiles += np.bincount(first, times[mobile], _BEGINNINGS).astype(np.int64)
        rest = numbers.filter(pa.array(~mobile))
        self.others += int(times[~mobile][flags(pc.match_substring_regex(rest, _NO_MOBILE))].sum())

    @property
    def counts(self) -> Counter[str]:
        """Rows that hold an identifier, by kind."""
        total = Counter(self.inside)
        if self.dialled > max(_FEW, _DIALLED * self.opaque):
            total["phone"] += self.dialled
        for (length, kind), rows in self.proven.items():
            by_chance = rows <= _BY_CHANCE.get((length, kind), 0.5) * self.serial[length]
            if not by_chance or ((length, kind) == (_MOBILE, "phone") and self._are_telephones(rows)):
                total[kind] += rows
        return +total

    def _are_telephones(self, mobiles: int) -> bool:
        """Whether numbers that may be mobile ones are, though they are not most of the column's."""
        if self.mobiles[_NOBODYS].sum() > 0.05 * mobiles:
            return False
        numbers = self.serial[_MOBILE]
        several = np.count_nonzero(self.mobiles) >= 8 and mobiles > 0.1 * numbers
        return several or mobiles > 0.5 * (numbers - self.others)


def _inside(texts: pa.Array, times: Places) -> Counter[str]:
    """Rows that hold an identifier which is not the whole value, by kind."""
    held = {
        (found.kind, found.row)
        for found in find(texts, KINDS)
        if not (found.glued and _weak(found.kind, len(found.number)))
    }
    rows: Counter[str] = Counter()
    for kind, row in held:
        rows[kind] += int(times[row])
    return rows


def _weak(kind: str, length: int) -> bool:
    """Whether little proves such a number, so that it counts only where no letter touches it."""
    return kind == "bank_card" or (kind == "resident_id" and length == 15)


def _proven(numbers: pa.Array, length: int, lettered: Flags) -> Iterator[tuple[str, Flags]]:
    """What numbers of one length may be, and which of them are. Of no identifier's length: what they have inside."""
    for kind, lengths, proves in _WHOLE:
        if length in lengths:
            proven = proves(numbers)
            yield kind, proven & ~lettered if _weak(kind, length) else proven
    if length > 19:
        places: dict[str, set[int]] = {}
        for found in find(numbers, KINDS):
            places.setdefault(found.kind, set()).add(found.row)
        for kind, rows in places.items():
            yield kind, np.isin(np.arange(len(numbers)), list(rows))


_IN_GROUPS = r"^[0-9]{3,6}[./_][0-9]{4,8}(?:[./_][0-9]{1,8})+X?$"
"""Three groups or more, as telephones, ids and cards are written."""
_OPAQUE = (
    r"^(?i:[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    r"|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$"
)
"""UUIDs (RFC 9562: version 1 to 8, variant 10) and digests of 128, 160 and 256 bits, such as MD5, SHA-1 and SM3."""
_FEW, _DIALLED = 2, 0.02
"""Mobile numbers that UUIDs and digests hold by chance: so many rows, and of many rows this part."""
_MOBILE = 11
_NO_MOBILE = f"^(?:0{AREA}[2-8][0-9]{{6,7}}|{'|'.join(f'{digit}{{11}}' for digit in range(10))})$"
_BEGINNINGS = 200
_NOBODYS = [*range(140, 145), 146, 148, 154, 160, 161, 163, 164, 168, 169, 179, 194]
"""Beginnings of no mobile number of eleven digits: given to no operator (电信网编号计划), or to things, whose numbers
have thirteen."""
_BY_CHANCE = {(18, "resident_id"): 0.1}
"""The share of a column's numbers of that length, up to which they may be such by chance; of all others half."""


def _is_dialled(numbers: pa.Array) -> Flags:
    """A mobile number behind the 0 of a call from another city."""
    return is_mobile(pc.utf8_slice_codeunits(numbers, 1)) & flags(pc.starts_with(numbers, "0"))


def _is_called(numbers: pa.Array) -> Flags:
    """A mobile number behind its country's prefix."""
    return is_mobile(pc.utf8_slice_codeunits(numbers, 2)) & flags(pc.starts_with(numbers, "86"))


_WHOLE: tuple[tuple[str, range, Callable[[pa.Array], Flags]], ...] = (
    ("phone", range(11, 12), is_mobile),
    ("phone", range(12, 13), _is_dialled),
    ("phone", range(13, 14), _is_called),
    ("resident_id", range(15, 16), is_old_resident_id),
    ("resident_id", range(18, 19), is_resident_id),
    ("uscc", range(18, 19), is_uscc),
    ("bank_card", range(13, 20), is_scheme_card),
)
