"""Column names: what a header of several rows says, what the entry needs of it, and what is new in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from pipelines.readers.seen import Seen
from pipelines.telling import listed
from schemas.errors import ColumnsMissing, SourceError


def joined(rows: Sequence[Sequence[str]], *, guess: bool = True) -> list[str]:
    """One name per column from several header rows: `住址/区`. Equal names in one column are written once.

    `guess` is for formats that do not say which cells are merged: there a blank cell above a filled one takes
    the name to its left."""
    width = max((len(row) for row in rows), default=0)
    grid = [[cell.strip() for cell in row] + [""] * (width - len(row)) for row in rows]
    names = []
    for column in range(width):
        parts: list[str] = []
        for level, row in enumerate(grid):
            below = any(lower[column] for lower in grid[level + 1 :])
            part = row[column] or (_left(row, column) if guess and below else "")
            if part and (not parts or parts[-1] != part):
                parts.append(part)
        names.append("/".join(parts))
    return names


def _left(row: Sequence[str], column: int) -> str:
    return next((row[i] for i in range(column - 1, -1, -1) if row[i]), "")


def locate(found: Sequence[str], wanted: Sequence[str], seen: Seen) -> list[int]:
    """The index of each wanted column. Other columns are noted: they are drift, not an error.

    ColumnsMissing for a missing column, SourceError for an ambiguous one. The names found are told only where at least
    half of the wanted columns are among them: else the row may be data in the header's place, or the sheet lie on its
    side, and its values are not ours to show."""
    seen.columns = {name: seen.columns.get(name, "") for name in found if name}
    missing = [name for name in wanted if name not in found]
    if missing and len(missing) == len(wanted):
        raise SourceError(
            f"none of the {len(wanted)} columns is in the header row, which has {len(found)} cells",
            file=seen.name,
            field=", ".join(missing),
            expected="a header row where source.skip and source.header say, in the declared form",
            next_step="have the source send the file again, or correct source.delimiter, skip and header",
        )
    if missing:
        raise _missing(missing, found, wanted, seen)
    twice = [name for name in wanted if list(found).count(name) > 1]
    if twice:
        raise SourceError(
            f"column {', '.join(twice)} is there more than once",
            file=seen.name,
            field=", ".join(twice),
            expected="once",
            next_step="ask the source which of them holds",
        )
    extra = [name for name in found if name and name not in wanted]
    if extra:
        seen.note(f"{len(extra)} column(s) not collected: {listed(extra)}")
    return [list(found).index(name) for name in wanted]


def _missing(missing: list[str], found: Sequence[str], wanted: Sequence[str], seen: Seen) -> ColumnsMissing:
    """Of a row that hardly is a header, a name is told only if it is a missing one but for case, blanks and signs."""
    is_header = 2 * len(missing) <= len(wanted)
    names = [name for name in seen.columns if is_header or _letters(name) in map(_letters, missing)]
    near = _near(missing, names) if is_header else names
    hint = f" (near: {listed(near)})" if near else ""
    shown = listed(found) if is_header else f"{len(wanted) - len(missing)} of them, in {len(found)} cells"
    return ColumnsMissing(
        f"column {', '.join(missing)} is missing{hint}",
        missing=missing,
        found={name: seen.columns[name] for name in names},
        file=seen.name,
        field=", ".join(missing),
        expected=f"{len(wanted)} columns; found {shown}",
        next_step="ask the source why it changed, or correct the field's `source`",
    )


def _near(missing: Sequence[str], names: Sequence[str]) -> list[str]:
    """Names that are spelt like one of the missing columns, two for each at most, in alphabetical order."""
    return sorted({match for name in missing for match in get_close_matches(name, names, n=2)})


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())
