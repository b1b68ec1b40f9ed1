"""Identifiers inside Chinese free text become labels: `请致电138 1234 5678` → `请致电[手机号]`.

Three steps, so that what holds no identifier costs next to nothing:
1. RE2 finds the rows that may hold one, some millions of rows a second;
2. the byte patterns of `masks.finders` find candidates in the *shadow* of those rows (see `masks.shadow`), whatever
   digits, spaces and hyphens they are written with, and `masks.names` names beside a label or a title;
3. check digits are computed for all candidates of a kind at once (`schemas.identifiers`), and the words before each
   are looked at: a number that fails is left alone.

An identifier found is taken out of the shadow before the next kind is looked for, in the order of `FINDERS`:
the digits of `13812345678@139.com` are part of an address, not a phone. Addresses of places, and names with neither
label nor title, are not found: text that holds those needs a mask of another kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.masks import names as person_names
from pipelines.masks.finders import FINDERS, LABELS, MAY_HOLD, NEAR, Finder
from pipelines.masks.names import names
from pipelines.masks.shadow import shadow
from schemas.buffers import Flags, flags
from schemas.model import Field, Redact

SLICE_BYTES = 1 << 22
"""Text looked at in one go: it takes some ten times as much memory meanwhile."""

Span = tuple[int, int]
Marked = tuple[int, int, str]
"""Start, end and kind."""
_NO_LETTERS = bytes(byte for byte in range(256) if not chr(byte).isalpha() or byte >= 0x80)


class Found(NamedTuple):
    """An identifier in a column: its kind, the place of its row, its characters without spaces and hyphens, and
    whether a Latin letter touches it. `number` is personal: it is for judging, never for saying."""

    kind: str
    row: int
    number: bytes
    glued: bool


# ── what is found, for those who only ask ─────────────────────────────────────────────────────────────────


def find(values: pa.Array, kinds: Collection[str] = tuple(LABELS)) -> Iterator[Found]:
    """Every identifier of these kinds in a column of strings; a null row holds none."""
    chosen = np.flatnonzero(_may_hold(values, kinds))
    at = 0
    for part in _slices(values.take(pa.array(chosen))) if len(chosen) else ():
        rows = chosen[at : at + len(part)]
        yield from _found(part.to_pylist(), rows.tolist(), kinds)
        at += len(part)


def _found(texts: list[str], rows: list[int], kinds: Collection[str]) -> Iterator[Found]:
    text = "\n".join(texts)
    dark = shadow(text)
    whole = bytes(dark)
    marked = spans(text, dark, kinds)
    starts = np.cumsum([0, *(len(each) + 1 for each in texts)])
    places = np.searchsorted(starts, [start for start, _, _ in marked], "right") - 1
    for (start, end, kind), place in zip(marked, places.tolist(), strict=True):
        touching = whole[max(0, start - 1) : start] + whole[end : end + 1]
        number = whole[start:end].translate(None, b" -").upper()
        yield Found(kind, rows[place], number, touching.translate(None, _NO_LETTERS) != b"")


# ── from a column to spans and back ───────────────────────────────────────────────────────────────────────


def redact(values: pa.Array, mask: Redact, field: Field) -> pa.Array:
    """The column with identifiers of the kinds in `what` replaced by labels; rows without any are
    untouched."""
    chosen = pa.array(_may_hold(values, mask.what))
    found = values.filter(chosen)
    if len(found) == 0:
        return values
    written = [_redacted(part, mask.what) for part in _slices(found)]
    return pc.replace_with_mask(values, chosen, pa.concat_arrays(written))


def _may_hold(values: pa.Array, kinds: Collection[str]) -> Flags:
    may = pc.match_substring_regex(values, MAY_HOLD)
    if "name" in kinds:
        may = pc.or_(may, pc.match_substring_regex(values, person_names.MAY_HOLD))
    return flags(pc.fill_null(may, False))


def _slices(values: pa.Array) -> Iterator[pa.Array]:
    """Slices of about `SLICE_BYTES`, of one row at least."""
    ends = np.cumsum(pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64))
    start = 0
    while start < len(values):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + SLICE_BYTES, "right")))
        yield values.slice(start, stop - start)
        start = stop


def _redacted(values: pa.Array, kinds: Collection[str]) -> pa.Array:
    """Rows are joined by line feeds, which no pattern crosses, and cut again where they now begin and end."""
    rows = values.to_pylist()
    text = "\n".join(rows)
    found = [(start, end, LABELS[kind]) for start, end, kind in spans(text, shadow(text), kinds)]
    starts = np.concatenate(([0], np.cumsum([len(row) + 1 for row in rows])))
    ends = np.array([end for _, end, _ in found], dtype=np.int64)
    growth = np.array([len(label) - (end - start) for start, end, label in found], dtype=np.int64)
    shift = np.concatenate(([0], np.cumsum(growth)))
    moved = (starts + shift[np.searchsorted(ends, starts, "right")]).tolist()
    new = _replaced(text, found)
    return pa.array([new[a : b - 1] for a, b in pairwise(moved)], pa.string())


def _replaced(text: str, labelled: list[Marked]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end, label in labelled:
        pieces += (text[at:start], label)
        at = end
    return "".join((*pieces, text[at:]))


def spans(text: str, dark: bytearray, kinds: Collection[str]) -> list[Marked]:
    """Start, end and kind of every identifier of these kinds, in order, none overlapping. `dark` is the text's shadow;
    what is found is blanked in it."""
    marked: list[Marked] = []
    for finder in FINDERS:
        if finder.kind in kinds:
            for start, end in _apart(_proven(dark, finder, text)):
                dark[start:end] = bytes(end - start)
                marked.append((start, end, finder.kind))
    if "name" in kinds:
        marked += [(*span, "name") for span in _apart(names(text)) if any(dark[slice(*span)])]
    return sorted(marked)


def _proven(dark: bytearray, finder: Finder, text: str) -> list[Span]:
    found = [(each.start(), each.end(1)) for pattern in finder.patterns for each in pattern.finditer(dark)]
    if finder.after or finder.never_after:
        found = [span for span in found if _in_place(text, span[0], finder)]
    if finder.proves is None or not found:
        return found
    numbers = [bytes(dark[start:end]).translate(None, b" -").upper().decode("ascii") for start, end in found]
    proven = finder.proves(pa.array(numbers, pa.string()))
    return [found[index] for index in np.flatnonzero(proven)]


def _in_place(text: str, start: int, finder: Finder) -> bool:
    """Whether the words before a candidate speak for it, and none against it."""
    before = text[max(0, start - NEAR) : start].rsplit("\n", 1)[-1]
    wanted = finder.after is None or finder.after.search(before) is not None
    return wanted and (finder.never_after is None or finder.never_after.search(before) is None)


def _apart(found: Iterable[Span]) -> Iterator[Span]:
    """From the left, of two that overlap the one that begins first, of two that begin together the longer."""
    at = 0
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= at:
            yield start, end
            at = end
