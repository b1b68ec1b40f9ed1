"""What a missing column may be called now: by its name, its place and type in the table, and, of files that have
landed anyway, by what its values look like.

A department's database is never asked for columns that the entry does not name (law 1), so there the name, place and
type must do. Of a file the city holds every column already; values are compared here and told to nobody.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Final, NamedTuple

import pyarrow as pa

from lake.records import Landed, LandedFile
from pipelines.casting.text import convert
from pipelines.drift.kinds import kind_of
from schemas.errors import SourceError
from schemas.model import Entry

CLOSE: Final = 0.7
"""From this likeness on, of names or of values, two columns may be one."""
ROWS: Final = 2000
_SHAPES: Final = (
    (re.compile(r"[0-9]"), "9"),
    (re.compile(r"[A-Za-z]"), "a"),
    (re.compile(r"[\u4e00-\u9fff]"), "汉"),
)
_LONGEST: Final = 24


class Candidate(NamedTuple):
    """A column of the source, how like the missing one it is (0 to 1), and in what."""

    likeness: float
    column: str
    why: str


def candidates(
    entry: Entry,
    missing: str,
    found: Mapping[str, str],
    before: Landed | None,
    landed: LandedFile | None,
) -> list[Candidate]:
    """What the column `missing` may be called now, the likest first: columns of those `found` (name to type) that
    nobody collects and the batch `before` had not, and that are like it in their name, their place or their values. One
    that is like it in several stands there as often; one that is like it in none does not."""
    collected = {field.source or name for name, field in entry.collected.items()}
    old = [column.name for column in before.columns] if before else []
    free = [name for name in found if name not in collected and name not in old]
    judged = [_by_name(missing, name) for name in free]
    if before is not None:
        judged += [_by_place(missing, name, before, found) for name in free]
        if landed is not None:
            judged += _by_values(entry, missing, free, before, landed)
    return sorted((each for each in judged if each is not None), reverse=True)


def _by_name(missing: str, name: str) -> Candidate | None:
    """Alike but for case, blanks and signs, or nearly alike."""
    one, two = (re.sub(r"[\W_]", "", text.casefold()) for text in (missing, name))
    likeness = 1.0 if one and one == two else SequenceMatcher(None, one, two).ratio()
    return Candidate(likeness, name, "a name like it") if likeness >= CLOSE else None


def _by_place(missing: str, name: str, before: Landed, found: Mapping[str, str]) -> Candidate | None:
    """In the very place of the missing one, of the same declared type: what renaming a column leaves behind."""
    old = {column.name: (place, column.type) for place, column in enumerate(before.columns)}
    if missing not in old or len(old) != len(found) or not found[name]:
        return None
    place, kind = old[missing]
    same = list(found).index(name) == place and kind_of(found[name]) == kind_of(kind)
    return Candidate(0.9, name, f"in its place, of its type {found[name]}") if same else None


def _by_values(
    entry: Entry, missing: str, free: list[str], before: Landed, landed: LandedFile
) -> list[Candidate]:
    """Values of the same shapes (digits, letters, characters) in the same proportions."""
    source = next((file for file in before.files if file.format == landed.format), None)
    if source is None or not free:
        return []
    try:
        was = _shapes(_column(entry, source, missing))
        is_now = {name: _shapes(_column(entry, landed, name)) for name in free}
    except SourceError:
        return []
    alike = [(_overlap(was, shapes), name) for name, shapes in is_now.items()]
    return [
        Candidate(likeness, name, "values that look alike") for likeness, name in alike if likeness >= CLOSE
    ]


def _column(entry: Entry, file: LandedFile, name: str) -> list[str]:
    """The first values of a file's column, as text."""
    from pipelines.readers import read

    values: list[str] = []
    for batch in read(file, entry.source, [name]):
        text = convert(batch[name], pa.string()).to_pylist()
        values += [value for value in text if value]
        if len(values) >= ROWS:
            break
    return values[:ROWS]


def _shapes(values: list[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for value in values:
        shape = value[:_LONGEST]
        for pattern, sign in _SHAPES:
            shape = pattern.sub(sign, shape)
        found[shape] += 1
    return found


def _overlap(one: Counter[str], two: Counter[str]) -> float:
    """The share of values that have a partner of the same shape on the other side."""
    if not one or not two:
        return 0.0
    total, other = one.total(), two.total()
    return sum(min(count / total, two[shape] / other) for shape, count in one.items())
