"""Columns of text read by a date form: microseconds since 1970 as written, and which rows the form fits.

Values written in full are read by their bytes, a column of digits at a time; shorter ones and month names by
a regular expression. A day that the calendar does not have fits no form (Arrow's own strptime makes 2 March
of 30 February)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.buffers import Bytes, Flags, matrices
from schemas.formats import WIDTHS, Format

Numbers = NDArray[np.int64]
Parts = dict[str, Numbers]
DAY = 86_400_000_000
"""Microseconds."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PIVOT = 69
"""POSIX: two digits from 69 are of the 20th century."""


def read(text: pa.Array, form: Format) -> tuple[Numbers, Flags]:
    """Microseconds (UTC if the form has a zone, else as the clock showed) and whether the form fits, for
    each row."""
    micros, fits = np.zeros(len(text), dtype=np.int64), np.zeros(len(text), dtype=np.bool_)
    if form.width:
        for where, rows in matrices(text, form.width):
            micros[where], fits[where] = _by_place(rows, form)
    loose = pc.less(pc.binary_length(text), form.width) if form.width else text.is_valid()
    where = np.flatnonzero(pc.fill_null(loose, False).to_numpy(zero_copy_only=False))
    if len(where):
        micros[where], fits[where] = _by_pattern(text.take(pa.array(where)), form)
    return micros, fits


def _by_place(rows: Bytes, form: Format) -> tuple[Numbers, Flags]:
    good = np.ones(len(rows), dtype=np.bool_)
    for at, byte in form.literals:
        good &= rows[:, at] == byte
    parts: Parts = {}
    for kind, at in form.columns:
        digits = rows[:, at : at + WIDTHS[kind]] - 48
        number = np.zeros(len(rows), dtype=np.int64)
        for column in range(WIDTHS[kind]):
            good &= digits[:, column] <= 9
            number = number * 10 + digits[:, column]
        parts[kind] = number
    micros, real = _micros(parts)
    return micros, good & real


def _by_pattern(text: pa.Array, form: Format) -> tuple[Numbers, Flags]:
    found = pc.extract_regex(text, form.pattern)
    good = found.is_valid().to_numpy(zero_copy_only=False)
    groups = [found.type.field(n).name for n in range(found.type.num_fields)]
    parts = {name: _number(name, pc.struct_field(found, name)) for name in groups}
    micros, real = _micros(parts)
    return micros, good & real


def _number(kind: str, text: pa.Array) -> Numbers:
    """The matched text of one directive as a number: minutes for a zone, nanoseconds for a fraction."""
    if kind == "b":
        text = pc.add(pc.index_in(pc.ascii_lower(text), value_set=pa.array(_MONTHS)), 1)
    elif kind == "p":
        text = pc.equal(pc.ascii_lower(text), "pm")
    elif kind == "f":
        text = pc.ascii_rpad(text, 9, padding="0")
    elif kind == "z":
        return _minutes(text)
    return np.asarray(pc.fill_null(pc.cast(text, pa.int64()), 0).to_numpy(), dtype=np.int64)


def _minutes(text: pa.Array) -> Numbers:
    plain = pc.replace_substring(pc.if_else(pc.equal(text, "Z"), "+0000", text), ":", "")
    hours, minutes = (
        pc.cast(
            pc.utf8_slice_codeunits(pc.fill_null(plain, "+0000"), start, start + 2), pa.int64()
        ).to_numpy()
        for start in (1, 3)
    )
    negative = pc.fill_null(pc.starts_with(plain, "-"), False).to_numpy(zero_copy_only=False)
    return np.where(negative, -1, 1) * (hours * 60 + minutes)


def _micros(parts: Parts) -> tuple[Numbers, Flags]:
    """Microseconds of the parts, and whether they name a day of the calendar and a time of the clock."""
    days, real = _days(parts)
    hour = parts["H"] if "H" in parts else parts.get("I", np.zeros_like(days))
    if "p" in parts:
        real &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + 12 * parts["p"]
    minute, second, nanos = (parts.get(kind, np.zeros_like(days)) for kind in "MSf")
    zone = parts.get("z", np.zeros_like(days))
    real &= (hour < 24) & (minute < 60) & (second < 60) & (nanos % 1000 == 0) & (np.abs(zone) < 24 * 60)
    minutes = hour * 60 + minute - zone
    return days * DAY + minutes * 60_000_000 + second * 1_000_000 + nanos // 1000, real


def _days(parts: Parts) -> tuple[Numbers, Flags]:
    year = parts["Y"] if "Y" in parts else _century(parts["y"])
    month, day = parts["m"] if "m" in parts else parts["b"], parts["d"]
    real = (year >= 1) & (month >= 1) & (month <= 12)
    months = np.where(real, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + day - 1, real & (day >= 1) & (day <= following - first)


def _century(year: Numbers) -> Numbers:
    return year + np.where(year >= _PIVOT, 1900, 2000)
