"""What the demo runs, and how far it came: read from the ledger as `xuanwu status --all --json` tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sample.city import SOURCES
from schemas.load import Catalogue
from schemas.model import Entry

CITY = ZoneInfo("Asia/Shanghai")
ENDED = ("done", "nothing new")


def city_entries(catalogue: Catalogue) -> list[Entry]:
    """The entries that the sample city has sources for, and those derived from them alone, inputs first. Whatever else
    stands in the catalogue, such as a dataset of one's own, is not the demo's to run."""
    found: dict[str, Entry] = {}
    sources = {source.dataset for source in SOURCES}
    for name in catalogue.order():
        entry = catalogue.entries[name]
        if name in sources or (entry.schedule is None and set(entry.inputs) <= set(found)):
            found[name] = entry
    return list(found.values())


def unfinished(
    entries: Sequence[Entry], batches: Sequence[Mapping[str, Any]], days: Sequence[date]
) -> int | None:
    """The first day that still has something to do, counted from 1; None where every day has run its way.

    A dataset has a day when a batch of it ended well whose interval reaches into the day after.
    """
    for number, day in enumerate(days, 1):
        if not all(_has(entry, batches, day) for entry in entries):
            return number
    return None


def _has(entry: Entry, batches: Sequence[Mapping[str, Any]], day: date) -> bool:
    """Whether the dataset has the day. A derived one has it when it was made from that day or a later one, and no
    interval of it is left over: it may have been made of a day several times, as its inputs came."""
    own = [batch for batch in batches if batch["dataset"] == entry.id]
    ended = {_end(batch) for batch in own if batch["state"] in ENDED}
    if entry.schedule is None:
        return ended >= {_end(batch) for batch in own} and any(end > day for end in ended)
    return day + timedelta(days=1) in ended


def _end(batch: Mapping[str, Any]) -> date:
    return datetime.fromisoformat(batch["interval_end"]).astimezone(CITY).date()
