"""The lists that the city publishes (Decree 809, Arts. 13-15; 发改高技〔2017〕1272号): what there is, with which items,
and what is open, as tables for people and as DCAT for other catalogues.

    resources.csv    资源目录: one dataset a line
    items.csv        信息项: one field a line
    open.csv         开放清单: what the public may have, with its newest release
    catalog.jsonld   the open datasets and their downloads

What is open is a site of pages too, for everybody (`portal`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from lake import releases, store
from pipelines.context import Context
from pipelines.listing.dcat import catalog
from pipelines.listing.opened import opened_site
from pipelines.listing.tables import Row, items, opened, resource
from portal import Built, Site, build
from portal.pages import texts
from schemas.errors import LakeError, SettingsError
from schemas.settings import Settings, absolute
from schemas.spreadsheets import no_formula
from schemas.workdays import day_of

BOM = "\ufeff"
"""By which Excel knows UTF-8."""


def export(ctx: Context, folder: Path, *, base: str = "") -> list[Path]:
    """Write the lists into a folder, over earlier ones; returns their paths. `base` is the address at which the lake's
    `downloads/` is served; without one, addresses are relative to where catalog.jsonld lies."""
    entries = [entry for _, entry in sorted(ctx.catalogue.entries.items())]
    published = _published(ctx)
    tables = {
        "resources.csv": [resource(ctx.catalogue, entry, published.get(entry.id)) for entry in entries],
        "items.csv": [item for entry in entries for item in items(entry)],
        "open.csv": [opened(ctx, entry) for entry in entries if entry.open.type != "none"],
    }
    texts = {name: BOM + _csv(rows) for name, rows in tables.items()}
    holding = {
        entry.id: releases.holding(ctx.settings.lake_root, entry)
        for entry in entries
        if entry.open.type != "none"
    }
    texts["catalog.jsonld"] = json.dumps(catalog(ctx, holding, base), ensure_ascii=False, indent=1) + "\n"
    for name, text in texts.items():
        store.write_atomic(str((folder / name).resolve()), text.encode())
    return [folder / name for name in texts]


def build_site(ctx: Context, folder: str = "") -> tuple[str, Site, Built]:
    """Build the public site in a folder, or where the settings say; returns where it lies. See `portal.build`.

    LakeError, once the site is built, where releases of some datasets were not as they were certified: those are not on
    it."""
    place = absolute(folder) if folder else ctx.settings.portal_root
    _require_apart(ctx.settings, place)
    found = opened_site(ctx)
    built = build(place, found.originals, lambda: texts(found.site))
    if found.wrong:
        raise _without(found.wrong)
    return place, found.site, built


def _without(wrong: Sequence[LakeError]) -> LakeError:
    error = LakeError(
        f"the public site was built without {len(wrong)} dataset(s), whose releases are not as they were certified",
        next_step="build again; if it stays so, `xuanwu verify` says what was changed",
    )
    for each in wrong:
        error.add_note(str(each))
    return error


def _require_apart(settings: Settings, place: str) -> None:
    """SettingsError where the site, which is served to everybody, would lie around the lake or the ledger, or in the
    lake, which removes what it does not know."""
    lake, home = settings.lake_root, absolute(str(settings.home))
    within = [(lake, place), (home, place), (place, lake)]
    if any(_as_folder(inner).startswith(_as_folder(outer)) for inner, outer in within):
        raise SettingsError(
            f"the public site cannot lie at {place}: all of it is served; the lake is {lake}, its ledger in {home}",
            expected="a folder that neither holds one of them nor lies in the lake",
            next_step="give another folder (XUANWU_PORTAL)",
        )


def _as_folder(place: str) -> str:
    return place.removeprefix("file://").rstrip("/") + "/"


def _published(ctx: Context) -> dict[str, date]:
    """The day on which each dataset was published last."""
    done = ((each.finished, each.batch.dataset) for each in ctx.ledger.done() if each.stage == "publish")
    return {dataset: day_of(end) for end, dataset in sorted((end, name) for end, name in done if end)}


def _csv(rows: list[Row]) -> str:
    """Entries come from other platforms too: no cell is a formula (as in downloads)."""
    text = io.StringIO()
    if rows:
        writer = csv.writer(text)
        writer.writerow(rows[0])
        writer.writerows(no_formula(pa.array(row.values(), pa.string())).to_pylist() for row in rows)
    return text.getvalue()
