"""Identifiers inside Chinese free text become labels: `请致电138 1234 5678` → `请致电[手机号]`.

Three steps, so that what holds no identifier costs next to nothing: RE2 finds the rows that may hold one, some millions
of rows a second; `masks.spans` finds the identifiers of all of those at once; and Arrow writes labels in their place.

What is found and what is not is measured: docs/redaction.md. Addresses of places are not found, and of
names that stand alone not all: text that holds those needs a mask of another kind.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.masks.finders import LABELS, MAY_HOLD
from pipelines.masks.shadow import LOOSER, SEPARATOR, Shadowed, shadowed
from pipelines.masks.spans import ALONE, APART, marked
from schemas.buffers import Flags, Places, buffers, flags
from schemas.model import Field, Redact

SLICE_BYTES = 1 << 20
"""Text looked at in one go: it takes up to some forty times as much memory meanwhile, as much again in every
thread. Four times as much text at once takes as long."""
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
        yield from _found(part, rows, kinds)
        at += len(part)


def _found(values: pa.Array, rows: Places, kinds: Collection[str]) -> Iterator[Found]:
    text, starts = _joined(values)
    plain, whole = text.dark.tobytes(), LOOSER[text.dark].tobytes()
    spans = marked(text, kinds)
    places = rows[np.searchsorted(starts, _byte_places(text.points)[spans.starts], "right") - 1]
    for (start, end, kind), row in zip(spans, places.tolist(), strict=True):
        touching = whole[max(0, start - 1) : start] + whole[end : end + 1]
        number = (plain if kind == "email" else whole)[start:end].translate(None, APART).upper()
        yield Found(kind, row, number, touching.translate(None, _NO_LETTERS) != b"")


# ── from a column to spans and back ───────────────────────────────────────────────────────────────────────


def redact(values: pa.Array, mask: Redact, field: Field) -> pa.Array:
    """The column with identifiers of the kinds in `what` replaced by labels."""
    return labelled(values, mask.what)


def labelled(values: pa.Array, kinds: Collection[str] = tuple(LABELS)) -> pa.Array:
    """The same of any column of strings; rows without any are untouched. Every distinct text is looked at once."""
    encoded = pc.dictionary_encode(values)
    texts = encoded.dictionary
    for held, sought in _may_hold(texts, kinds):
        if held.any():
            chosen = pa.array(held)
            written = [_redacted(part, sought) for part in _slices(texts.filter(chosen))]
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
    """The rows are joined by a separator, which no pattern crosses. The bytes are cut into pieces, what stays and what
    goes in turn, and those that go written anew: a label for what was found, nothing for a separator."""
    text, rows = _joined(values)
    found = marked(text, kinds)
    at = _byte_places(text.points)
    labels = pa.array([LABELS[kind] for kind in found.kinds] + [""] * len(values), pa.string())
    starts = np.concatenate((at[found.starts], rows[1:] - 1))
    ends = np.concatenate((at[found.ends], rows[1:]))
    order = np.argsort(starts, kind="stable")
    edges = np.column_stack((starts[order], ends[order])).ravel()
    offsets = np.concatenate(([0], edges)).astype(np.int32)
    data = pa.py_buffer(text.text.encode())
    pieces = pa.StringArray.from_buffers(len(edges), pa.py_buffer(offsets), data)
    goes = np.tile([False, True], len(order))
    new = pc.replace_with_mask(pieces, pa.array(goes), labels.take(pa.array(order)))
    lasts = np.flatnonzero(order >= len(found.kinds)) * 2 + 2  # a row's last piece is its separator
    cut, written = buffers(new)
    return pa.StringArray.from_buffers(
        len(values),
        pa.py_buffer(cut[np.concatenate(([0], lasts))].astype(np.int32)),
        pa.py_buffer(written),
    )


def _joined(values: pa.Array) -> tuple[Shadowed, Places]:
    """The rows as one text, each followed by the separator, and the bytes at which each begins, and the last one ends.
    Null is no text."""
    each = pc.binary_join_element_wise(values, SEPARATOR, "")
    offsets, data = buffers(each)
    return shadowed(data[offsets[0] : offsets[-1]].tobytes().decode()), offsets - offsets[0]


def _byte_places(points: NDArray[np.uint32]) -> Places:
    """The byte in UTF-8 at which each character begins, and the last one ends."""
    width = np.ones(len(points), np.int8)
    for first in (0x80, 0x800, 0x10000):
        width += points >= first
    return np.concatenate(([0], np.cumsum(width, dtype=np.int64)))
