"""What is open, for the public site (`portal`): the catalogue's words on each open dataset, and its releases.

Shown are the releases that may be (`lake.releases`): certified, and of fields that the entry opens still. A dataset
without one is announced. What is opened on conditions is told with them, and not given here: who wants it applies for
it, and has it from the exchange (`exchange.applications`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from lake import store
from lake.releases import INDEX, POINTER, SUMS, Standing, fields_of, pointer, shown, sums
from lake.zones import identifier
from pipelines.context import Context
from pipelines.downloads.cells import as_text
from pipelines.downloads.dictionary import dictionary
from pipelines.listing.dcat import catalog
from pipelines.listing.tables import CLASSES, cycle
from portal import Original, Site
from portal.content import Dataset, Field, File, Provider, Release
from portal.pages import as_json
from schemas.errors import LakeError
from schemas.model import Code, Entry, Text, Title
from schemas.policy import mask_plan, policies

Json = dict[str, Any]
Releases = list[Standing]
ROWS: Final = 10
"""Of a sample."""
LONGEST: Final = 60
"""Characters of a value in a sample."""
CYCLES: Final = {
    "CONT": "Continuously",
    "DAILY": "Daily",
    "WEEKLY": "Weekly",
    "MONTHLY": "Monthly",
    "QUARTERLY": "Quarterly",
    "ANNUAL_2": "Twice a year",
    "ANNUAL": "Yearly",
}
SORTS: Final = {"1": "Base", "2": "Theme", "3": "Department"}


@dataclass(frozen=True)
class Opened:
    """The site; the files that it has copies of, path in the site to where each lies in the lake; and what is wrong
    with datasets whose releases it therefore does not show."""

    site: Site
    originals: dict[str, Original]
    wrong: tuple[LakeError, ...]


def opened_site(ctx: Context) -> Opened:
    """What is open. A dataset whose releases are not as they were certified keeps no other from the site, nor anything
    withdrawn on it: it is told without them."""
    entries = [entry for _, entry in sorted(ctx.catalogue.entries.items()) if entry.open.type != "none"]
    settings, originals, described = ctx.settings, dict[str, Original](), dict[str, str]()
    wrong: list[LakeError] = []
    releases = {entry.id: _whole(ctx, entry, wrong) for entry in entries}
    free = [entry for entry in entries if entry.open.type == "unconditional" and releases[entry.id]]
    for entry in free:
        originals |= (pair for folder, index in releases[entry.id] for pair in _originals(ctx, folder, index))
        described |= _described(releases[entry.id])
    newest = {entry.id: releases[entry.id][0] for entry in entries if releases[entry.id]}
    datasets = tuple(_dataset(ctx, entry, releases[entry.id]) for entry in entries)
    address = settings.portal_address.rstrip("/")
    base = f"{address}/downloads" if address else "downloads"
    site = Site(
        name=Text(zh=settings.portal_name or "公共数据开放", en="" if settings.portal_name else "Open data"),
        providers={
            name: Provider(ctx.catalogue.departments[name].title, ctx.catalogue.departments[name].uscc)
            for name in {entry.owner for entry in entries}
        },
        datasets=datasets,
        address=address,
        exchange=settings.portal_exchange.rstrip("/"),
        licence=ctx.catalogue.numbers.open.licence,
        lists={"catalog.jsonld": as_json(catalog(ctx, newest, base))} | described,
    )
    return Opened(site, originals, tuple(wrong))


def _dataset(ctx: Context, entry: Entry, releases: Releases) -> Dataset:
    word, code = cycle(ctx.catalogue, entry)
    fields, sample = _announced(ctx, entry), tuple[tuple[str | None, ...], ...]()
    if releases:
        fields, sample = _released(ctx, entry, releases[0])
    return Dataset(
        id=entry.id,
        code=entry.code,
        title=entry.title,
        summary=entry.summary,
        owner=entry.owner,
        opened=entry.open,
        cycle=Text(zh=word, en=CYCLES[code]),
        sort=Text(zh=CLASSES.get(entry.code[0], "其他"), en=SORTS.get(entry.code[0], "Other")),
        fields=fields,
        releases=tuple(_shown(folder, index) for folder, index in releases),
        sample=sample if entry.open.type == "unconditional" else (),
    )


def _whole(ctx: Context, entry: Entry, wrong: list[LakeError]) -> Releases:
    """The releases that may be shown; none, and why, where one of them is not as it should be."""
    try:
        return shown(ctx.tables, entry)
    except LakeError as error:
        wrong.append(error)
        return []


def _originals(ctx: Context, folder: str, index: Json) -> Iterator[tuple[str, Original]]:
    for file in index["files"]:
        path = f"{folder}/{file['name']}"
        yield path, Original(store.join(ctx.settings.lake_root, path), file["size"], file["sha256"])


def _described(releases: Releases) -> Iterator[tuple[str, str]]:
    """What the lake has beside the files of the releases that are shown: index, sums, and which is the newest."""
    for folder, index in releases:
        yield f"{folder}/{INDEX}", as_json(index)
        yield f"{folder}/{SUMS}", sums(index["files"])
    names = [folder.rsplit("/", 1)[-1] for folder, _ in releases]
    home = releases[0][0].rpartition("/")[0]
    yield f"{home}/{POINTER}", as_json(pointer(names[0], releases[0][1], names[1:]))


def _shown(folder: str, index: Json) -> Release:
    return Release(
        name=folder.rsplit("/", 1)[-1],
        at=datetime.fromisoformat(index["released_at"]),
        rows=index["rows"],
        files=tuple(
            File(file["name"], file["format"], file["size"], file["sha256"], file["rows"])
            for file in index["files"]
        ),
        left_out=tuple((each["format"], Text(**each["reason"])) for each in index["left_out"]),
    )


def _announced(ctx: Context, entry: Entry) -> tuple[Field, ...]:
    """The fields that will be published."""
    (policy,) = policies(entry, "open").values()
    words = dictionary(ctx.catalogue, entry, mask_plan(entry, "open", policy), None)["fields"]
    return tuple(_field(told) for told in words)


def _released(
    ctx: Context, entry: Entry, release: Standing
) -> tuple[tuple[Field, ...], tuple[tuple[str | None, ...], ...]]:
    """The fields as they were published, and a sample of their rows, where the table of the release is there still."""
    words, table, (_, index) = (
        fields_of(ctx.settings.lake_root, release),
        identifier("open", entry.id),
        release,
    )
    names, snapshot = [told["field"] for told in words], index["snapshot"]
    if not any(found == snapshot for found, _ in ctx.tables.snapshots(table)):
        return tuple(_field(told) for told in words), ()
    filled = _filled([part.path for part in ctx.tables.parts(table, snapshot)], index["rows"])
    fields = tuple(_field(told, filled.get(told["field"])) for told in words)
    return fields, tuple(_sample(ctx.tables.scan(table, names, snapshot)))


def _field(told: Json, filled: float | None = None) -> Field:
    mask = told["mask"]
    return Field(
        name=told["field"],
        title=Title(**told["title"]),
        type=told["type"],
        given=None if mask["kind"] == "keep" else Text(zh=mask["zh"], en=mask["en"]),
        codes=tuple(Code(**code) for code in told["codes"]),
        filled=filled,
    )


def _filled(files: list[str], rows: int) -> dict[str, float]:
    """The share of rows that have each column, by the footers of the published table: no row is read."""
    missing: dict[str, int] = {}
    for path in files:
        filesystem, inner = store.filesystem(path)
        footer = pq.read_metadata(inner, filesystem=filesystem)
        for group in map(footer.row_group, range(footer.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                if column.is_stats_set and column.statistics.has_null_count:
                    name = column.path_in_schema
                    missing[name] = missing.get(name, 0) + column.statistics.null_count
    return {name: 1 - count / rows for name, count in missing.items()} if rows else {}


def _sample(rows: pa.RecordBatchReader) -> Iterator[tuple[str | None, ...]]:
    """The first rows as text, long values cut."""
    batch = next((batch.slice(0, ROWS) for batch in rows if batch.num_rows), None)
    if batch is not None:
        columns = [map(_cut, as_text(column).to_pylist()) for column in batch.columns]
        yield from zip(*columns, strict=True)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else text[: LONGEST - 1] + "…"
