"""Identifiers inside Chinese free text become labels: `请致电138 1234 5678` → `请致电[手机号]`.

Three steps, so that what holds no identifier costs next to nothing:
1. RE2 finds the rows that may hold one, some four million rows a second;
2. byte patterns find candidates in the *shadow* of those rows (see `masks.shadow`), whatever digits, spaces
   and hyphens they are written with;
3. check digits are computed for all candidates at once (`schemas.identifiers`): a number that fails is left
   alone.

An identifier found is taken out of the shadow before the next kind is looked for, in the order of `FINDERS`:
the digits of `13812345678@139.com` are part of an address, not a phone. Names and addresses of places are not
found: text that holds those needs a mask of another kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.masks import shadow as shadows
from pipelines.masks.shadow import shadow
from schemas.buffers import flags
from schemas.identifiers import is_bank_card, is_old_resident_id, is_resident_id
from schemas.model import Field, Redact

SLICE_BYTES = 1 << 22
"""Text looked at in one go: it takes some ten times as much memory meanwhile."""

Span = tuple[int, int]


class Found(NamedTuple):
    """An identifier in a column: its kind, the place of its row, its characters without spaces and hyphens, and
    whether a Latin letter touches it. `number` is personal: it is for judging, never for saying."""

    kind: str
    row: int
    number: bytes
    glued: bool


class Finder(NamedTuple):
    """How one kind is found: the mask's word for it, the label that replaces it, byte patterns over the
    shadow whose group 1 is a candidate but for its first character, and what proves a candidate (without its
    spaces and hyphens)."""

    kind: str
    label: str
    patterns: tuple[re.Pattern[bytes], ...]
    proves: Callable[[pa.Array], NDArray[np.bool_]] | None = None


# ── the patterns: S may stand between two digits of one number, G must ────────────────────────────────────

_S, _G, _N = "[ -]{0,3}", "[ -]{1,3}", "[0-9]"
_MONTH = f"(?:0{_S}[1-9]|1{_S}[0-2])"
_DAY = f"(?:0{_S}[1-9]|[12]{_S}{_N}|3{_S}[01])"
_YEAR = f"(?:1{_S}[89]|2{_S}0){_S}{_N}{_S}{_N}"
_RESIDENT = _S.join([*[_N] * 5, _YEAR, _MONTH, _DAY, *[_N] * 3, "[0-9Xx]"])
_OLD_RESIDENT = _S.join([*[_N] * 5, _N, _N, _MONTH, _DAY, *[_N] * 3])
_REST_OF_PHONE = (
    f"[3-9]{_N}{_S}{_N}{{4}}{_S}{_N}{{4}}",
    f"[3-9]{_N}{_S}{_N}{{3}}{_S}{_N}{{5}}",
    f"[3-9]{_N}{{2}}{_S}{_N}{{4}}{_S}{_N}{{3}}",
    f"{_G}[3-9](?:{_G}{_N}){{9}}",
)
_PHONE = f"1(?:{'|'.join(_REST_OF_PHONE)})"
_CARDS = (
    f"{_N}{{12,18}}",
    f"{_N}{{3}}(?:{_G}{_N}{{4}}){{3}}{_G}{_N}{{1,3}}",
    f"{_N}{{3}}{_G}{_N}{{6}}{_G}{_N}{{4,5}}",
    f"{_N}{{5}}{_G}{_N}{{7,13}}",
)
_SHORTER_CARD = f"{_N}{{3}}(?:{_G}{_N}{{4}}){{2}}{_G}{_N}{{1,4}}"
_LOCAL = "[A-Za-z0-9._%+!#$&'*~^-]"
_HOST = r"(?:[A-Za-z0-9-]++\.)+[A-Za-z][A-Za-z0-9-]+"
_P, _X, _E, _D = (
    rf"\x{byte:02x}" for byte in (shadows.PROVINCE, shadows.SUFFIX, shadows.EMBASSY, shadows.DOT)
)
_BODY = "[A-HJ-NP-Za-hj-np-z0-9]"
_PLATE = (
    rf" ?[A-Za-z][ {_D}-]{{0,2}}(?=[A-Za-z]{{0,3}}[0-9])"
    rf"(?:{_BODY}{{5,6}}(?![A-Za-z0-9])|{_BODY}{{4}}[{_X}{_E}])"
)


def _pattern(first: str, rest: str, *, before: str = "", after: str = "") -> re.Pattern[bytes]:
    """A candidate that begins with `first` and goes on with `rest` (group 1), not touched by `before` or
    `after`.

    The set of first characters comes first because `re` runs to the next of them at the speed of memory; and
    only it is consumed, so that a candidate may begin inside another one, which may prove false."""
    touched = f"(?<!{before}{first})" if before else ""
    return re.compile(f"{first}{touched}(?=({rest}){after})".encode())


_ALONE = {"before": _N, "after": f"(?!{_N})"}
_NO_AMOUNT = {"before": _N, "after": rf"(?!\.?{_N})"}
FINDERS = (
    Finder("email", "[邮箱]", (_pattern(_LOCAL, f"{_LOCAL}*+@{_HOST}", before=_LOCAL),)),
    Finder("resident_id", "[身份证号]", (_pattern("[1-8]", _S + _RESIDENT),), is_resident_id),
    Finder(
        "phone",
        "[手机号]",
        (
            _pattern("[0+8]", rf"(?:(?<=\+)86|(?<=8)6|086|(?<=0)){_S}{_PHONE}", **_ALONE),
            _pattern("1", _PHONE.removeprefix("1"), **_ALONE),
        ),
    ),
    Finder(
        "bank_card",
        "[银行卡号]",
        (_pattern("[1-9]", "|".join(_CARDS), **_NO_AMOUNT), _pattern("[1-9]", _SHORTER_CARD, **_NO_AMOUNT)),
        is_bank_card,
    ),
    Finder(
        "resident_id", "[身份证号]", (_pattern("[1-8]", _S + _OLD_RESIDENT, **_ALONE),), is_old_resident_id
    ),
    Finder(
        "plate", "[车牌号]", (_pattern(_P, _PLATE), _pattern(_E, rf"[ {_D}-]{{0,2}}{_N}{{6}}(?![A-Za-z0-9])"))
    ),
)
_KIND_OF = {finder.label: finder.kind for finder in FINDERS}
_NO_LETTERS = bytes(byte for byte in range(256) if not chr(byte).isalpha() or byte >= 0x80)
_MAY_HOLD = (
    r"\p{Nd}(?:[\p{Zs}\t\p{Pd}\p{Cf}−]{0,3}\p{Nd}){10}|[@＠]|使.{0,2}\p{Nd}{6}|"
    rf"[{shadows.PROVINCES}][\p{{Zs}}\p{{Cf}}\t]?[A-Za-zＡ-Ｚａ-ｚ]"
)


# ── what is found, for those who only ask ─────────────────────────────────────────────────────────────────


def find(values: pa.Array) -> Iterator[Found]:
    """Every identifier of every kind in a column of strings; a null row holds none."""
    chosen = np.flatnonzero(flags(pc.fill_null(pc.match_substring_regex(values, _MAY_HOLD), False)))
    at = 0
    for part in _slices(values.take(pa.array(chosen))) if len(chosen) else ():
        rows = chosen[at : at + len(part)]
        yield from _found(part.to_pylist(), rows.tolist())
        at += len(part)


def _found(texts: list[str], rows: list[int]) -> Iterator[Found]:
    dark = shadow("\n".join(texts))
    whole = bytes(dark)
    spans = _find(dark, list(FINDERS))
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    places = np.searchsorted(starts, [start for start, _, _ in spans], "right") - 1
    for (start, end, label), place in zip(spans, places.tolist(), strict=True):
        touching = whole[max(0, start - 1) : start] + whole[end : end + 1]
        number = whole[start:end].translate(None, b" -").upper()
        yield Found(_KIND_OF[label], rows[place], number, touching.translate(None, _NO_LETTERS) != b"")


# ── from a column to spans and back ───────────────────────────────────────────────────────────────────────


def redact(values: pa.Array, mask: Redact, field: Field) -> pa.Array:
    """The column with identifiers of the kinds in `what` replaced by labels; rows without any are
    untouched."""
    chosen = pc.fill_null(pc.match_substring_regex(values, _MAY_HOLD), False)
    found = values.filter(chosen)
    if len(found) == 0:
        return values
    finders = [finder for finder in FINDERS if finder.kind in mask.what]
    written = [_redacted(part, finders) for part in _slices(found)]
    return pc.replace_with_mask(values, chosen, pa.concat_arrays(written))


def _slices(values: pa.Array) -> Iterator[pa.Array]:
    """Slices of about `SLICE_BYTES`, of one row at least."""
    ends = np.cumsum(pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64))
    start = 0
    while start < len(values):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + SLICE_BYTES, "right")))
        yield values.slice(start, stop - start)
        start = stop


def _redacted(values: pa.Array, finders: list[Finder]) -> pa.Array:
    """Rows are joined by line feeds, which no pattern crosses, and cut again where they now begin and end."""
    rows = values.to_pylist()
    text = "\n".join(rows)
    spans = _find(shadow(text), finders)
    starts = np.concatenate(([0], np.cumsum([len(row) + 1 for row in rows])))
    ends = np.array([end for _, end, _ in spans], dtype=np.int64)
    growth = np.array([len(label) - (end - start) for start, end, label in spans], dtype=np.int64)
    shift = np.concatenate(([0], np.cumsum(growth)))
    moved = (starts + shift[np.searchsorted(ends, starts, "right")]).tolist()
    new = _replaced(text, spans)
    return pa.array([new[a : b - 1] for a, b in pairwise(moved)], pa.string())


def _replaced(text: str, spans: list[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end, label in spans:
        pieces += (text[at:start], label)
        at = end
    return "".join((*pieces, text[at:]))


def _find(dark: bytearray, finders: list[Finder]) -> list[tuple[int, int, str]]:
    """Start, end and label of every identifier, in order, none overlapping. Blanks what it finds in the
    shadow."""
    spans: list[tuple[int, int, str]] = []
    for finder in finders:
        for start, end in _apart(_proven(dark, finder)):
            dark[start:end] = bytes(end - start)
            spans.append((start, end, finder.label))
    return sorted(spans)


def _proven(dark: bytearray, finder: Finder) -> list[Span]:
    spans = [(found.start(), found.end(1)) for pattern in finder.patterns for found in pattern.finditer(dark)]
    if finder.proves is None or not spans:
        return spans
    numbers = [bytes(dark[start:end]).translate(None, b" -").upper().decode("ascii") for start, end in spans]
    proven = finder.proves(pa.array(numbers, pa.string()))
    return [spans[index] for index in np.flatnonzero(proven)]


def _apart(spans: list[Span]) -> Iterator[Span]:
    """From the left, of two that overlap the one that begins first, of two that begin together the longer."""
    at = 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= at:
            yield start, end
            at = end
