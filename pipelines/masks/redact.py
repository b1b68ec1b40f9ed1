"""Identifiers inside Chinese free text become labels: `请致电138 1234 5678` → `请致电[手机号]`.

Three steps, so that what holds no identifier costs next to nothing:
1. RE2 finds the rows that may hold one, some millions of rows a second;
2. the byte patterns of `masks.finders` find candidates in the *shadow* of those rows (see `masks.shadow`), whatever
   digits, spaces and hyphens they are written with; `masks.names` finds names beside a label or a title, and
   `masks.names_alone` others;
3. check digits are computed for all candidates of a kind at once (`schemas.identifiers`), and the words before each
   are looked at: a number that fails is left alone.

An identifier found is taken out of the shadow before the next kind is looked for, in the order of `FINDERS`:
the digits of `13812345678@139.com` are part of an address, not a phone. A number may go on after the end of a
line, once. What is found and what is not is measured: docs/redaction.md. Addresses of places are not found, and of
names that stand alone not all: text that holds those needs a mask of another kind.

The two modules of names are imported where names are asked for: their patterns take a tenth of a second to compile.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.masks.finders import FINDERS, LABELS, MAY_HOLD, NEAR, Finder, Pattern
from pipelines.masks.shadow import SEPARATOR, shadow
from schemas.buffers import Flags, flags
from schemas.model import Field, Redact

SLICE_BYTES = 1 << 22
"""Text looked at in one go: it takes some ten times as much memory meanwhile."""

Span = tuple[int, int]
Marked = tuple[int, int, str]
"""Start, end and kind."""
_APART = b" -\n"
"""What may stand between the characters of one number, in a shadow."""
_OF_NUMBERS = bytes(byte in b"0123456789" + _APART for byte in range(256))
ALONE = "name alone"
"""Where no name stands beside a label or a title, only those that stand alone are looked for."""
_NO_LETTERS = bytes(byte for byte in range(256) if not chr(byte).isalpha() or byte >= 0x80)


class Found(NamedTuple):
    """An identifier in a column: its kind, the place of its row, its characters without what stands between them, and
    whether a Latin letter touches it. `number` is personal: it is for judging, never for saying."""

    kind: str
    row: int
    number: bytes
    glued: bool


# ── what is found, for those who only ask ─────────────────────────────────────────────────────────────────


def find(values: pa.Array, kinds: Collection[str] = tuple(LABELS)) -> Iterator[Found]:
    """Every identifier of these kinds in a column of strings, row by row; a null row holds none."""
    groups = [_looked(values, held, sought) for held, sought in _may_hold(values, kinds) if held.any()]
    return heapq.merge(*groups, key=lambda found: found.row)


def _looked(values: pa.Array, held: Flags, kinds: Collection[str]) -> Iterator[Found]:
    chosen, at = np.flatnonzero(held), 0
    for part in _slices(values.take(pa.array(chosen))):
        rows = chosen[at : at + len(part)]
        yield from _found(part.to_pylist(), rows.tolist(), kinds)
        at += len(part)


def _found(texts: list[str], rows: list[int], kinds: Collection[str]) -> Iterator[Found]:
    text = SEPARATOR.join(texts)
    dark = shadow(text)
    whole = bytes(dark)
    marked = spans(text, dark, kinds)
    starts = np.cumsum([0, *(len(each) + 1 for each in texts)])
    places = np.searchsorted(starts, [start for start, _, _ in marked], "right") - 1
    for (start, end, kind), place in zip(marked, places.tolist(), strict=True):
        touching = whole[max(0, start - 1) : start] + whole[end : end + 1]
        number = whole[start:end].translate(None, _APART).upper()
        yield Found(kind, rows[place], number, touching.translate(None, _NO_LETTERS) != b"")


# ── from a column to spans and back ───────────────────────────────────────────────────────────────────────


def redact(values: pa.Array, mask: Redact, field: Field) -> pa.Array:
    """The column with identifiers of the kinds in `what` replaced by labels; rows without any are
    untouched. Every distinct text is looked at once."""
    encoded = pc.dictionary_encode(values)
    texts = encoded.dictionary
    for held, kinds in _may_hold(texts, mask.what):
        if held.any():
            chosen = pa.array(held)
            written = [_redacted(part, kinds) for part in _slices(texts.filter(chosen))]
            texts = pc.replace_with_mask(texts, chosen, pa.concat_arrays(written))
    return values if texts is encoded.dictionary else texts.take(encoded.indices)


def _may_hold(values: pa.Array, kinds: Collection[str]) -> Iterator[tuple[Flags, Collection[str]]]:
    """Rows that may hold identifiers, each once, and the kinds to look for in them: of names, which take longest, only
    where one may stand."""
    number = _match(values, MAY_HOLD)
    if "name" not in kinds:
        yield number, kinds
        return
    from pipelines.masks import names as beside
    from pipelines.masks import names_alone as alone

    numbers = [kind for kind in kinds if kind != "name"]
    name = _match(values, beside.MAY_HOLD)
    yield name, kinds
    yield number & ~name, [*numbers, ALONE]
    yield _match(values, alone.MAY_HOLD) & ~number & ~name, [ALONE]


def _match(values: pa.Array, pattern: str) -> Flags:
    return flags(pc.fill_null(pc.match_substring_regex(values, pattern), False))


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
    """Rows are joined by a separator, which no pattern crosses, and cut again where they now begin and end."""
    rows = values.to_pylist()
    text = SEPARATOR.join(rows)
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
    marked += _names(text, dark, kinds)
    return sorted(marked)


def _names(text: str, dark: bytearray, kinds: Collection[str]) -> Iterator[Marked]:
    if "name" not in kinds and ALONE not in kinds:
        return
    from pipelines.masks import names as beside
    from pipelines.masks import names_alone as alone

    if "name" in kinds:
        for start, end in _apart(beside.names(text)):
            if any(dark[start:end]):
                dark[start:end] = bytes(end - start)
                yield start, end, "name"
    for span in alone.names_alone(text):
        if all(dark[slice(*span)]):
            yield *span, "name"


def _proven(dark: bytearray, finder: Finder, text: str) -> list[Span]:
    found = [span for pattern in finder.patterns for span in _candidates(dark, pattern)]
    if "\n" in text:  # on two lines at most
        found = [(start, end) for start, end in found if text.count("\n", start, end) <= 1]
    speaking: dict[str, bool] = {}
    found = [span for span in found if _in_place(text, span, finder, speaking)]
    if finder.proves is None or not found:
        return found
    numbers = [bytes(dark[start:end]).translate(None, _APART).upper().decode("ascii") for start, end in found]
    proven = finder.proves(pa.array(numbers, pa.string()))
    return [found[index] for index in np.flatnonzero(proven)]


def _candidates(dark: bytearray, pattern: Pattern) -> list[Span]:
    """What has the pattern's form. A long number is looked for only where enough digits and what may stand between them
    follow one another."""
    regex = pattern.regex
    if not pattern.least:
        return [(each.start(), each.end(1)) for each in regex.finditer(dark)]
    places = _places(dark, pattern.least)
    return [(at, each.end(1)) for at in places if (each := regex.match(dark, at)) is not None]


def _places(dark: bytearray, least: int) -> list[int]:
    """Where a character of numbers is followed by `least` others."""
    inside = np.frombuffer(b"\0" + dark.translate(_OF_NUMBERS) + b"\0", np.bool_)
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, room = edges[::2], edges[1::2] - edges[::2] - least
    starts, room = starts[room > 0], room[room > 0]
    nth = np.arange(room.sum()) - np.repeat(np.cumsum(room) - room, room)
    return (np.repeat(starts, room) + nth).tolist()


def _in_place(text: str, span: Span, finder: Finder, speaking: dict[str, bool]) -> bool:
    """Whether the words around a candidate speak for it, and none against it. What was found of the words before those
    that came earlier is in `speaking`: the same few stand before most numbers."""
    start, end = span
    before = text[max(0, start - NEAR) : start].rsplit(SEPARATOR, 1)[-1]
    speaks = speaking.get(before)
    if speaks is None:
        speaks = speaking[before] = _speaks(before, finder)
    return speaks and (finder.never_before is None or finder.never_before.match(text, end) is None)


def _speaks(before: str, finder: Finder) -> bool:
    if finder.after is not None and finder.after.search(before) is None:
        return False
    return finder.never_after is None or finder.never_after.search(before) is None


def _apart(found: Iterable[Span]) -> Iterator[Span]:
    """From the left, of two that overlap the one that begins first, of two that begin together the longer."""
    at = 0
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= at:
            yield start, end
            at = end
