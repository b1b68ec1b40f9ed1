"""How tables change from day to day: rows that are new, changed, committed late, or gone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sample.people import Numbers
from sample.plan import DAYS, Flags, Times

LATE = 2
"""Rows a day that were written the afternoon before but committed after that day's collection."""
EDGE = 2
"""Rows a day that have the very last time of that day, all the same one."""
_DAY = np.array(DAYS, dtype="datetime64[s]")
_HOUR = np.timedelta64(3600, "s")


def growth(first: int) -> int:
    """Rows that come new each day to a table that began with `first`."""
    return max(10, first // 100)


def size_on(first: int, day: int) -> int:
    return first + growth(first) * (day - 1)


class Updates(NamedTuple):
    """`stamp` is the time of the last update; `arrives` marks what a batch of the day reads again or anew."""

    stamp: Times
    changed_on: Numbers
    arrives: Flags
    changes: dict[str, Flags]


def born(number: Numbers, first: int) -> Numbers:
    """The day on which each row first stands in the table."""
    return np.where(number < first, 1, 2 + (number - first) // growth(first))


def changed(number: Numbers, first: int, day: int, clean: Flags) -> Numbers:
    """The last day until `day` on which each row changed, 0 for none. Only rows without a fault change."""
    on = np.zeros(len(number), dtype=np.int64)
    for later in range(2, day + 1):
        on[clean & (born(number, first) < later) & (number % 37 == 20 + later)] = later
    return on


def gone(number: Numbers, first: int, day: int, clean: Flags) -> Numbers:
    """The day from which each row stands in the table no more, 0 for those that stay."""
    on = np.zeros(len(number), dtype=np.int64)
    for later in range(2, day + 1):
        on[clean & (on == 0) & (born(number, first) < later) & (number % 41 == 30 + later)] = later
    return on


def updates(number: Numbers, first: int, day: int, clean: Flags, ago: Numbers) -> Updates:
    """Times of update for a table that is read by cursor, overlapping by two hours.

    What began with the table was last written by 15:00 of day 1, `ago` seconds before; new and changed rows
    between 8:00 and 15:00 of their day; late ones at 17:00 of the day before; the last ones of a day at
    18:00.
    """
    came = born(number, first)
    nth = (number - first) % growth(first)
    opening = _DAY[came - 1] + 8 * _HOUR + (ago % 25_200).astype("timedelta64[s]")
    stamp = np.where(came == 1, _DAY[0] + 15 * _HOUR - ago.astype("timedelta64[s]"), opening)
    late = (came > 1) & (nth < LATE)
    stamp = np.where(late, _DAY[came - 2] + 17 * _HOUR, stamp)
    edge = np.where(came == 1, number >= first - EDGE, nth >= growth(first) - EDGE)
    stamp = np.where(edge, _DAY[came - 1] + 18 * _HOUR, stamp)
    on = np.where(late | edge, 0, changed(number, first, day, clean))
    moved = _DAY[np.maximum(on, 1) - 1] + 9 * _HOUR + (number % 3600).astype("timedelta64[s]")
    stamp = np.where(on > 0, moved, stamp)
    arrives = np.ones(len(number), dtype=bool) if day == 1 else stamp >= _DAY[day - 2] + 16 * _HOUR
    changes = {
        "new": (came == day) & (day > 1),
        "changed": (on == day) & (day > 1),
        "late": late & (came == day),
        "read_again": arrives & (came < day) & (on != day),
    }
    return Updates(stamp, on, arrives, changes)
