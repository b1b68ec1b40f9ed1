"""The rows that a department has to work on, as a workbook of its own; who took which rows out is in the audit log.

The owner of the dataset sees its own values as received. Another department, to which a row went because what failed is
obtained from it by sharing, sees where and why, and of the values those graded 1 and 2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from lake import handling, scratch, store
from lake.certificates import digest_of
from lake.handling import Act, Said
from pipelines.batches import batch_by_id
from pipelines.context import Context
from pipelines.correcting import book, words
from pipelines.correcting.book import About, Book, Line
from pipelines.correcting.rows import Received, Source, digests, failing, keys, received, sealed, sources_of
from pipelines.deciding import official
from pipelines.keys import load_key
from pipelines.proof.certifying import open_log
from pipelines.quarantine.aside import SECRET, Failure
from pipelines.quarantine.assigning import Selection, selected
from pipelines.quarantine.casework import due
from pipelines.telling import file_name
from schemas.errors import XuanwuError
from schemas.model import Code, Entry
from schemas.workdays import day_of

MOST: Final = 20_000
"""Rows of one workbook; the others go into the next one, once these have come back."""
Places = dict[str, dict[str, dict[int, tuple[Failure, ...]]]]
"""Batch, file, row, and what failed."""


@dataclass(frozen=True)
class Exported:
    """Rows in the workbook, and those that did not fit; the acts that tell of it."""

    path: Path
    rows: int
    left: int
    acts: tuple[Act, ...]


def export(
    ctx: Context, entry: Entry, department: str, path: Path, *, by: str, batch: str | None = None
) -> Exported:
    """Write the rows that are assigned to a department as a workbook for its owner only (0600).

    XuanwuError where none is assigned to it, and where there is a file already: that may be the workbook that came back
    under the name that it had; MaskError without the masking key, which the digests need; LakeError where
    the originals are gone, or where the log cannot be written: then there is no workbook."""
    who = official(by, "--by")
    if path.exists():
        raise XuanwuError(
            "there is a file of this name already, which may hold corrections",
            dataset=entry.id,
            file=file_name(path.name),
            next_step="import it, or move it away; or name another one with --output",
        )
    places, left, oldest = _assigned(ctx, entry, Selection(batch=batch, department=department))
    if not places:
        raise XuanwuError(
            f"no row is assigned to `{department}`",
            dataset=entry.id,
            next_step=f"xuanwu quarantine assign {entry.id}, then export again",
        )
    made = _book(ctx, entry, department, places, oldest)
    with scratch.folder(ctx.settings, "workbook") as folder:
        book.write(folder / "book.xlsx", made)
        data = (folder / "book.xlsx").read_bytes()
        said = Said(who, ctx.clock(), department=department, workbook=digest_of(data))
        acts = [_taken(ctx, entry, each, of, said) for each, of in places.items()]
        store.write_atomic(str(path.resolve()), data)
    return Exported(path, len(made.lines), left, tuple(acts))


def _assigned(ctx: Context, entry: Entry, chosen: Selection) -> tuple[Places, int, date | None]:
    """The rows to be worked on, how many more there are, and the day on which the oldest clock began."""
    found: list[tuple[str, str, int, date, tuple[Failure, ...]]] = []
    states = frozenset({"assigned"})
    for part in selected(ctx, entry.id, Selection(chosen.batch, states=states, department=chosen.department)):  # type: ignore[arg-type]
        rows = part.rows.select([*handling.PLACES.names, "failures"]).to_pylist()
        for row, clock in zip(rows, part.clock.to_pylist(), strict=True):
            failures = tuple(Failure(**each) for each in row["failures"])
            found.append((part.batch, row["file"], row["row"], day_of(clock), failures))
        if len(found) > 2 * MOST:
            break
    found.sort(key=lambda each: each[:3])
    places: Places = defaultdict(lambda: defaultdict(dict))
    for name, file, row, _, failures in found[:MOST]:
        places[name][file][row] = failures
    return places, max(len(found) - MOST, 0), min((day for *_, day, _ in found), default=None)


def _book(ctx: Context, entry: Entry, department: str, places: Places, oldest: date | None) -> Book:
    key = load_key(ctx.settings.key_version, ctx.connect, "nothing was exported")
    own = department == entry.owner
    columns = tuple(each for each in sources_of(ctx, entry) if own or each.grade < SECRET)
    about = About(
        entry.id, department, tuple(each.name for each in columns), own, f"{ctx.clock():%Y-%m-%dT%H:%M:%SZ}"
    )
    rows = [row for batch, of in places.items() for row in _received(ctx, entry, batch, of)]
    codes = digests(key, entry.id, department, rows)
    lines = [_line(entry, row, code, places, own=own) for row, code in zip(rows, codes, strict=True)]
    numbers = ctx.catalogue.numbers.quarantine
    readme = words.readme(
        entry,
        ctx.catalogue.departments[department].title.model_dump(),
        rows=len(lines),
        due=due("assigned", oldest, numbers) if oldest else None,
        correctable=own,
    )
    return Book(about, sealed(key, about.json), columns, lines, _lists(ctx, columns), readme)


def _received(ctx: Context, entry: Entry, batch: str, of: Mapping[str, Mapping[int, Any]]) -> list[Received]:
    wanted = {file: set(rows) for file, rows in of.items()}
    rows = list(received(ctx, entry, batch_by_id(ctx, entry, batch), wanted))
    if len(rows) != sum(map(len, wanted.values())):
        raise XuanwuError(
            f"{len(rows)} of {sum(map(len, wanted.values()))} rows were found in the originals",
            dataset=entry.id,
            batch=batch,
            next_step="run the batch again from standardise, then export again",
        )
    return rows


def _line(entry: Entry, row: Received, code: str, places: Places, *, own: bool) -> Line:
    """Who is not the owner does not see the text of a row that could not be read, nor whom a file is called after."""
    batch, file, number = row.place
    failures = places[batch][file][number]
    failed, told = failing(entry, failures), words.wrong(entry, failures)
    if row.unread is not None and own:
        told = f"{told}\n{row.unread}"
    seen = row if own else replace(row, place=(batch, file_name(file), number))
    return Line(seen, code, told, failed, keys(entry) - failed)


def _lists(ctx: Context, columns: Iterable[Source]) -> dict[str, tuple[Code, ...]]:
    named = {each.name: each.field.codes for each in columns}
    return {name: ctx.catalogue.codes[codes] for name, codes in named.items() if codes}


def _taken(ctx: Context, entry: Entry, batch: str, of: Mapping[str, Mapping[int, Any]], said: Said) -> Act:
    """Log which rows go out, before they do."""
    rows = [{"file": file, "row": row} for file, numbers in of.items() for row in numbers]
    table = pa.Table.from_pylist(rows, schema=handling.PLACES)
    return handling.record(ctx.settings, open_log(ctx)[0], (entry.id, batch), "export", table, said=said)
