"""What the curated tables must hold: the sources read by other means and merged again in plain Python, cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sample.city import DAYS, SOURCES
from schemas.load import Catalogue
from schemas.model import Entry, Field
from tests.sample.recount import BAD, Row, arrived, day_of, number, plain, rows_of

HERE = ZoneInfo("Asia/Shanghai")
TIMES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M")
FORM = {
    "机构/代码": "code",
    "机构/名称": "name",
    "机构/统一社会信用代码": "uscc",
    "级别": "level",
    "性质": "owner",
    "床位/编制": "planned",
    "床位/实有": "beds",
    "所在区": "district",
    "地址": "address",
}
"""The names that `recount.form` gives the workbook's columns."""

Key = tuple[Any, ...]
Table = dict[Key, Row]


@dataclass(frozen=True)
class Counts:
    """What a batch does to the curated table."""

    inserted: int
    updated: int
    unchanged: int
    superseded: int
    quarantined: int
    deleted: int
    total: int


@dataclass
class Expected:
    """The curated tables after the days merged so far."""

    catalogue: Catalogue
    tables: dict[str, Table] = field(default_factory=dict)

    def merge_day(self, folder: Path, day: int) -> dict[str, Counts]:
        """Merge a day's batches of the datasets that have a source, each after those it obtains columns from."""
        sources = {source.dataset for source in SOURCES}
        return {
            name: self._merge(self.catalogue.entry(name), folder, day)
            for name in self.catalogue.order()
            if name in sources
        }

    def _merge(self, entry: Entry, folder: Path, day: int) -> Counts:
        rows = arrived(rows_of(folder, entry.id, DAYS[day - 1].isoformat()), entry.id, day)
        good = [self._row(entry, row) for row in rows if not BAD[entry.id](row)]
        before = self.tables.get(entry.id, {})
        chosen = chosen_rows(entry, good)
        after = {} if entry.merge.kind == "snapshot" else dict(before)
        for key, row in chosen.items():
            if key not in after or (entry.merge.kind == "upsert" and not _older(entry, row, after[key])):
                after[key] = row
        self.tables[entry.id] = after
        known = [key for key in chosen if key in before]
        unchanged = sum(chosen[key] == before[key] for key in known)
        updated = sum(chosen[key] != before[key] and after[key] is chosen[key] for key in known)
        refused = len(known) - unchanged - updated if entry.merge.kind == "append" else 0
        inserted = len(chosen) - len(known)
        return Counts(
            inserted,
            updated,
            unchanged,
            len(good) - inserted - updated - unchanged - refused,
            refused,
            len(before.keys() - after.keys()),
            len(after),
        )

    def _row(self, entry: Entry, raw: Row) -> Row:
        """A source's row in the entry's types; fields obtained by sharing come from their origin as it stands now."""
        named = FORM if entry.id == "health.institution" else {}
        row = {}
        for name, item in entry.collected.items():
            column = item.source or name
            row[name] = cell(item, raw[named.get(column, column)], self.catalogue)
        for name, item in entry.fields.items():
            if item.shared_from is not None:
                origin = self.tables[item.shared_from.dataset].get((row[item.shared_from.on],), {})
                row[name] = origin.get(item.shared_from.field)
        return row


def chosen_rows(entry: Entry, good: list[Row]) -> Table:
    """Of rows with one key in one batch: the first of an append, the last of a snapshot, the newest of an upsert."""
    chosen: Table = {}
    for row in good:
        key = tuple(row[name] for name in entry.key)
        keeps = entry.merge.kind == "append" or (
            entry.merge.kind == "upsert" and _older(entry, row, chosen.get(key))
        )
        if key not in chosen or not keeps:
            chosen[key] = row
    return chosen


def _older(entry: Entry, row: Row, than: Row | None) -> bool:
    time = str(entry.merge.order_by)
    return than is not None and bool(row[time] < than[time])


def cell(item: Field, raw: Any, catalogue: Catalogue) -> Any:
    """A value of a source in the field's type; blank text is nothing."""
    if raw is None or (isinstance(raw, str) and not plain(raw)):
        return None
    if item.type in READ:
        return READ[item.type](raw, item)
    text = plain(raw) if "half_width" in item.normalise else str(raw).strip()
    text = " ".join(text.split()) if "squeeze" in item.normalise else text
    text = "".join(filter(str.isdigit, text)) if "digits" in item.normalise else text
    text = text.upper() if "upper" in item.normalise else text
    if item.codes:
        known = catalogue.codes[item.codes]
        return next(code.code for code in known if text in (code.code, code.zh, *code.aliases))
    return text


def _day(raw: Any, _: Field) -> date | None:
    if isinstance(raw, date):
        return raw
    found = day_of(raw)
    return found.date() if found else None


def _time(raw: str, _: Field) -> datetime | None:
    for form in TIMES:
        try:
            return datetime.strptime(plain(raw), form).replace(tzinfo=HERE).astimezone(UTC)
        except ValueError:
            continue
    return None


READ: dict[str, Callable[[Any, Field], Any]] = {
    "integer": lambda raw, _: int(number(raw)),
    "number": lambda raw, _: float(number(raw)),
    "decimal": lambda raw, item: Decimal(plain(raw).replace(",", "")).quantize(Decimal(10) ** -item.scale),
    "date": _day,
    "timestamp": _time,
}
