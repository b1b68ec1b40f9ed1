"""Dates and timestamps from text by the catalogue's formats, from Excel's serial days, and from typed values.

Null is what does not convert: no form fits, the calendar has no such day, or a part of the value would be
lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.casting.formats import DAY, Numbers, read
from pipelines.casting.text import convert, has_only, keep, to_text
from pipelines.casting.zones import local_time, to_utc
from schemas.buffers import Flags, flags
from schemas.formats import DATE_FORMATS, TIMESTAMP_FORMATS, Format, parse_format

MICROS = pa.timestamp("us")
UTC_MICROS = pa.timestamp("us", "UTC")
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31: the years that Iceberg, Python and databases agree on."""
_SERIAL = r"^[1-9][0-9]{4}(\.[0-9]+)?$"
"""Serial days that are believed, 1927 to 2173: a bare 2026 in a date column is a year, not 18 July 1905."""
_SERIAL_ZERO = 25_569
"""Days from Excel's day 0, 1899-12-30, to 1970."""
_EXCEL_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
"""How a date cell is written where its column also holds text."""


def to_date(values: pa.Array, formats: Sequence[str], zone: str, *, excel: bool = False) -> pa.Array:
    """date32. A time of day other than midnight is lost only if a listed format says that there is one."""
    kind = values.type
    if pa.types.is_date(kind):
        return _within(convert(values, pa.date32()))
    forms = _forms(formats or DATE_FORMATS, excel)
    drop_time = any(form.has_time for form in map(parse_format, formats))
    if pa.types.is_timestamp(kind):
        clock = convert(values, pa.timestamp("us", kind.tz))
        return _day_of(local_time(clock, zone) if kind.tz else clock, drop_time)
    text = to_text(values)
    if forms[0].text == "%Y-%m-%d" and has_only(text, b"0123456789-"):
        try:
            return _within(pc.cast(text, pa.date32()))
        except pa.ArrowInvalid:
            pass
    local, fits, aware = _read(text, forms, excel=excel)
    clock = _timestamps(local, fits, MICROS)
    if aware.any():
        shown = local_time(_timestamps(local, fits, UTC_MICROS), zone)
        clock = pc.if_else(pa.array(aware), shown, clock)
    return _day_of(clock, drop_time)


def to_timestamp(values: pa.Array, formats: Sequence[str], zone: str, *, excel: bool = False) -> pa.Array:
    """timestamp[us, UTC]. What carries no zone is read by the clock of `zone`; nanoseconds are refused, not
    cut."""
    kind = values.type
    if pa.types.is_timestamp(kind) and kind.tz:
        return _within(pc.cast(convert(values, pa.timestamp("us", kind.tz)), UTC_MICROS))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        clock = convert(values, MICROS)
        fits, aware = flags(clock.is_valid()), np.zeros(len(values), dtype=np.bool_)
        local = np.asarray(pc.fill_null(clock.cast(pa.int64()), 0).to_numpy(), dtype=np.int64)
    else:
        local, fits, aware = _read(to_text(values), _forms(formats or TIMESTAMP_FORMATS, excel), excel=excel)
    utc, good = to_utc(local, fits & ~aware, zone)
    return _within(_timestamps(np.where(aware, local, utc), good | (fits & aware), UTC_MICROS))


def _forms(formats: Sequence[str], excel: bool) -> list[Format]:
    return [parse_format(text) for text in dict.fromkeys((*formats, *(_EXCEL_FORMATS if excel else ())))]


def _read(text: pa.Array, forms: list[Format], *, excel: bool) -> tuple[Numbers, Flags, Flags]:
    """Microseconds, whether a form fits, and whether it had a zone: each form is tried on what is still
    unread."""
    micros = np.zeros(len(text), dtype=np.int64)
    fits, aware = np.zeros(len(text), dtype=np.bool_), np.zeros(len(text), dtype=np.bool_)
    unread = np.flatnonzero(flags(text.is_valid()))
    for form in forms:
        if not len(unread):
            break
        whole = len(unread) == len(text)
        found, good = read(text if whole else text.take(pa.array(unread)), form)
        rows = unread[good]
        micros[rows], fits[rows], aware[rows] = found[good], True, form.has_zone
        unread = unread[~good]
    if excel and len(unread):
        found, good = _serial_days(text.take(pa.array(unread)))
        micros[unread[good]], fits[unread[good]] = found[good], True
    return micros, fits, aware


def _serial_days(text: pa.Array) -> tuple[Numbers, Flags]:
    """Days since 1899-12-30 as Excel keeps them, to the millisecond that its fractions are good for."""
    serial = convert(keep(text, pc.match_substring_regex(text, _SERIAL)), pa.float64())
    days = np.asarray(pc.fill_null(serial, 0).to_numpy(), dtype=np.float64)
    millis: Numbers = np.rint((days - _SERIAL_ZERO) * (DAY // 1000)).astype(np.int64)
    return millis * 1000, flags(serial.is_valid())


def _timestamps(micros: Numbers, good: Flags, kind: pa.DataType) -> pa.Array:
    return pa.array(micros, mask=~good).cast(kind)


def _day_of(clock: pa.Array, drop_time: bool) -> pa.Array:
    days = pc.cast(clock, pa.date32(), safe=False)
    if not drop_time:
        days = keep(days, pc.equal(pc.cast(days, MICROS), clock))
    return _within(days)


def _within(values: pa.Array) -> pa.Array:
    """Without years before 1 and after 9999."""
    unit = 1 if pa.types.is_date(values.type) else DAY
    number = values.view(pa.int32() if unit == 1 else pa.int64())
    low, high = _FIRST_DAY * unit, (_LAST_DAY + 1) * unit - 1
    span = pc.min_max(number)
    if span["min"].as_py() is None or (span["min"].as_py() >= low and span["max"].as_py() <= high):
        return values
    return keep(values, pc.and_(pc.greater_equal(number, low), pc.less_equal(number, high)))
