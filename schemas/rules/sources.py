"""Sources: a schedule where one is needed, and options that make sense together."""

from __future__ import annotations

import codecs
import string
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias

from schemas.draft import Draft
from schemas.findings import Finding, listed, near
from schemas.forks import spread
from schemas.house import House
from schemas.model import DatabaseSource, EntryFile, ExchangeSource, FileSource, LakeSource
from schemas.rules.fields import is_zone
from schemas.rules.names import known_field
from schemas.rules.regexes import EXPECTED, misread
from schemas.rules.selected import Names

PLACEHOLDERS = ("date", "year", "month", "day", "hour")
_CRON_FIELDS = 5
_MANY = 100
"""Queries that are worth processes of their own."""
Derived: TypeAlias = tuple[LakeSource, Draft]
Found: TypeAlias = list[tuple[Names | None, list[Finding]]]
_GROWS = ("string", "integer", "decimal", "number", "date", "timestamp")
_TOLD_UP_TO = 2
"""The highest grade of which a value may stand in a record (law 3; GB/T 43697)."""
_TEXT = ("csv", "tsv")
_FORMATS: dict[str, tuple[str, ...]] = {
    "encoding": ("csv", "tsv", "json", "jsonl"),
    "delimiter": _TEXT,
    "quote": _TEXT,
    "header": (*_TEXT, "excel"),
    "header_rows": (*_TEXT, "excel"),
    "skip": (*_TEXT, "excel"),
    "footer": (*_TEXT, "excel"),
    "footer_pattern": (*_TEXT, "excel"),
    "columns": (*_TEXT, "excel"),
    "sheet": ("excel",),
    "records": ("json",),
}


def schedule(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A derived dataset runs when its inputs change; every other one by its cron."""
    if not draft.has("schedule"):
        return
    if written.source.kind == "lake":
        if written.schedule is not None:
            yield Finding(("schedule",), "a derived dataset runs when its inputs change", "no `schedule`")
    elif written.schedule is None:
        yield Finding(("schedule",), "is missing", '{cron: "0 2 * * *", late_after: 6h}')
    else:
        if not _is_cron(written.schedule.cron):
            expected = '"minute hour day month weekday": "0 2 * * *"'
            yield Finding(("schedule", "cron"), f"`{written.schedule.cron}` is no cron", expected)
        if not is_zone(written.schedule.timezone):
            unknown = f"no time zone `{written.schedule.timezone}`"
            yield Finding(("schedule", "timezone"), unknown, "such as Asia/Shanghai or UTC")


@lru_cache(maxsize=1000)
def _is_cron(text: str) -> bool:
    """Whether croniter, which Airflow's timetables use, knows it. Seconds and years are not for us."""
    from croniter import croniter  # 0.1 s, and only where an entry has a schedule

    return len(text.split()) == _CRON_FIELDS and bool(croniter.is_valid(text))


def database_cursor(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """A cursor is a field that grows, and reads only what is new: that cannot feed a snapshot. It is graded 1 or 2: its
    highest value is written down, plain, in the batch's record (law 3)."""
    source, path = written.source, ("source", "cursor")
    if not isinstance(source, DatabaseSource):
        return
    if source.cursor is None:
        if source.overlap:
            yield Finding(
                ("source", "overlap"), "says nothing without `cursor`", "`cursor` too, or no `overlap`"
            )
        return
    yield from known_field(source.cursor, path, draft)
    if written.merge.kind == "snapshot":
        why = "an incremental read cannot feed a snapshot: rows not read again would count as deleted"
        yield Finding(path, why, "`merge: {kind: append}` or upsert, or no `cursor`")
    field = draft.fields.get(source.cursor)
    if field is not None and field.shared_from is not None:
        yield Finding(
            path, f"`{field.name}` is obtained by sharing, not from this source", "a collected field"
        )
    elif field is not None and field.type not in _GROWS:
        yield Finding(
            path,
            f"`{field.name}` is of type {field.type}, which does not grow",
            "a number, date or timestamp",
        )
    elif field is not None and field.grade > _TOLD_UP_TO:
        why = f"`{field.name}` is graded {field.grade}, and a cursor's highest value is kept plain in each record"
        yield Finding(path, why, "a field graded 1 or 2, such as the row's time of change, or no `cursor`")
    elif field is not None and source.overlap and field.type not in ("date", "timestamp"):
        why = f"is a time, and the cursor `{field.name}` is of type {field.type}"
        yield Finding(("source", "overlap"), why, "a cursor of type date or timestamp, or no `overlap`")


def exchange_whole(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """What another platform shares comes whole with each of its snapshots: it is merged as a snapshot or an upsert."""
    if isinstance(written.source, ExchangeSource) and written.merge.kind == "append":
        why = "another platform's table comes whole each time: appended, every row would be there again"
        yield Finding(("merge", "kind"), why, "`merge: {kind: snapshot}`")


def file_options(written: EntryFile, draft: Draft, house: House) -> Iterator[Finding]:
    """Options that the file's format has, an encoding that Python knows, one-character delimiters."""
    source = written.source
    if not isinstance(source, FileSource):
        return
    for option, formats in _FORMATS.items():
        if option in source.model_fields_set and source.format not in formats:
            expected = f"`format` {' or '.join(formats)}, or no `{option}`"
            yield Finding(("source", option), f"says nothing to {source.format}", expected)
    if source.encoding is not None and not _is_encoding(source.encoding):
        yield Finding(
            ("source", "encoding"), f"no encoding `{source.encoding}`", "such as utf-8, gb18030 or big5"
        )
    for option in ("delimiter", "quote"):
        text = getattr(source, option)
        if text is not None and len(text) != 1:
            yield Finding(("source", option), "is not one character", '"," or ";" or "\\t" (one character)')
    if source.header is None and source.format in (*_TEXT, "excel") and not source.columns:
        yield Finding(
            ("source", "columns"), "is missing: the file has no header", "[its column names, in order]"
        )
    yield from _patterns(source)


def _patterns(source: FileSource) -> Iterator[Finding]:
    why = None if source.footer_pattern is None else misread(source.footer_pattern)
    if why:
        yield Finding(("source", "footer_pattern"), why, f"{EXPECTED}, such as ^合计")
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(source.path) if name is not None]
    except ValueError:
        yield Finding(
            ("source", "path"), "has a brace that is not closed", "{date}, {year}, {month}, {day} or {hour}"
        )
        return
    for name in names:
        if name not in PLACEHOLDERS:
            unknown = f"`{{{name}}}` is not the batch's" + near(name, PLACEHOLDERS)
            yield Finding(("source", "path"), unknown, f"one of {listed(PLACEHOLDERS)} in braces")


@lru_cache(maxsize=100)
def _is_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False


def lake_queries(house: House) -> Iterator[tuple[Draft, Finding]]:
    """A derived dataset's inputs are datasets, its SQL reads just those, and it gives the fields."""
    with queries_begun(house, 1) as found:
        yield from found


@contextmanager
def queries_begun(house: House, processes: int) -> Iterator[Iterator[tuple[Draft, Finding]]]:
    """What `lake_queries` finds. Of many queries so many forks find it while the block does other things first."""
    derived = [
        (written.source, draft)
        for draft in house.drafts.values()
        if (written := draft.written)
        and draft.has("source", "fields")
        and isinstance(written.source, LakeSource)
    ]
    engines = processes if len(derived) >= _MANY else 1
    shards = [derived[first::engines] for first in range(engines)] if derived else []
    with spread(lambda shard: _queries(shard, house), shards, engines) as found:
        yield _noted(shards, found)


def _noted(shards: list[list[Derived]], found: Iterator[Found]) -> Iterator[tuple[Draft, Finding]]:
    for shard, told in zip(shards, found, strict=True):
        for (_, draft), (columns, findings) in zip(shard, told, strict=True):
            draft.columns = columns
            yield from ((draft, finding) for finding in findings)


def _queries(derived: list[Derived], house: House) -> Found:
    """Of each query which columns those that it gives may be, and what is wrong; by an engine of these queries' own."""
    import duckdb

    from schemas.rules.queries import query_findings

    found: dict[str, list[Finding]] = {draft.place: [] for _, draft in derived}
    with duckdb.connect(config={"enable_external_access": False, "threads": 1}) as connection:
        connection.execute("PRAGMA disable_optimizer")  # nothing is run that would be worth it
        for draft, finding in query_findings(connection, derived, house):
            found[draft.place].append(finding)
    return [(draft.columns, found[draft.place]) for _, draft in derived]
