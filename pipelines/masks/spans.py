"""Where identifiers lie in a text: the finders of `masks.finders`, one kind after the other, all candidates of a kind
at once.

1. byte patterns find candidates in the *shadow* of the text (see `masks.shadow`), whatever digits, spaces and hyphens
   they are written with; `masks.names` finds names beside a label or a title, and `masks.names_alone` others;
2. the words before each are looked at, and check digits computed (`schemas.identifiers`): a number that fails is left
   alone;
3. what is left is read loosely (see `masks.shadow`) and looked through by the same finders: 138.0013.8000, ①③⑧…,
   一三八…. There what sets a candidate's digits apart must be of one sort, stand twice, as in no decimal, not be
   dots between all digits, as in an object identifier, nor set it apart from other digits before or behind it.

An identifier found is taken out of the shadow before the next kind is looked for, in the order of `IN_ORDER`:
the digits of `13812345678@139.com` are part of an address, not a phone. A number may go on after the end of a
line, once.

The two modules of names are imported where names are asked for: their patterns take a tenth of a second to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.masks.finders import AHEAD, IN_ORDER, NEAR, Finder, Pattern
from pipelines.masks.shadow import DOTS, ODD_DIGIT, SEPARATOR, SORT, Loosely, Shadowed, inside, loosened, runs
from schemas.buffers import Bytes, Flags, Places, flags

ALONE = "name alone"
"""Where no name stands beside a label or a title, only those that stand alone are looked for."""
APART = b" -\n"
"""What may stand between the characters of one number, in a shadow."""
TOGETHER = 16_000
"""Candidates looked at in one go. They overlap, so that all those of a text may hold fifty times its characters."""
_BETWEEN = np.isin(np.arange(256), list(APART))
_OF_NUMBERS = np.isin(np.arange(256), list(b"0123456789" + APART))
_COUNTED = ODD_DIGIT | np.isin(np.arange(256), list(b"0123456789"))
_ONCE = ("resident_id", "landline")
"""Kinds of which what sets digits apart need be there once only, as after a word: 025.84512345."""
_UPPER = np.frombuffer(bytes(range(256)).upper(), np.uint8)
_NOTHING = np.zeros(0, np.int64)


class Spans(NamedTuple):
    """Where candidates begin and end, in characters."""

    starts: Places = _NOTHING
    ends: Places = _NOTHING

    def at(self, chosen: Flags | Places | slice) -> Spans:
        return Spans(self.starts[chosen], self.ends[chosen])

    @property
    def inside(self) -> Places:
        """The places of all their characters, span after span."""
        return inside(self.starts, self.ends)


@dataclass(frozen=True)
class Marked:
    """The identifiers of a text in their order, none overlapping: where each begins and ends, and its kind."""

    starts: Places
    ends: Places
    kinds: list[str]

    def __iter__(self) -> Iterator[tuple[int, int, str]]:
        return zip(self.starts.tolist(), self.ends.tolist(), self.kinds, strict=True)


def marked(text: Shadowed, kinds: Collection[str]) -> Marked:
    """Every identifier of these kinds. What is found is blanked in the shadow."""
    found = list(_by_finders(text, kinds))
    found += [("name", Spans(*np.array(list(_names(text, kinds)), np.int64).reshape(-1, 2).T))]
    every = _joined(spans for _, spans in found)
    named = np.repeat([kind for kind, _ in found], [len(spans.starts) for _, spans in found])
    order = np.argsort(every.starts, kind="stable")
    return Marked(*_shortened(every.at(order)), named[order].tolist())


def _by_finders(text: Shadowed, kinds: Collection[str]) -> Iterator[tuple[str, Spans]]:
    """What each finder of these kinds finds, in the text as it is or as it is read loosely."""
    finders = [each for each in IN_ORDER if each[0].kind in kinds]
    loose = loosened(text) if finders else None
    for finder, loosely in finders:
        read = loose if loosely else text
        if read is not None:
            spans = _apart(_proven(read, finder))
            for shadow in (text, loose):
                if shadow is not None:
                    shadow.dark[spans.inside] = 0
            yield finder.kind, spans


def _shortened(found: Spans) -> Spans:
    """A name may reach into what was found before, as 苏 in 万苏A12345 is a plate's: each begins where those before it
    have ended."""
    reached = np.maximum.accumulate(np.concatenate(([0], found.ends)))
    starts = np.maximum(found.starts, reached[:-1])
    return Spans(starts, np.maximum(found.ends, starts))


def _names(text: Shadowed, kinds: Collection[str]) -> Iterator[tuple[int, int]]:
    if "name" not in kinds and ALONE not in kinds:
        return
    from pipelines.masks import names as beside
    from pipelines.masks import names_alone as alone

    dark = text.dark
    if "name" in kinds:
        found = np.array(list(beside.names(text.text)), np.int64).reshape(-1, 2)
        for start, end in zip(*_apart(Spans(*found.T)), strict=True):
            if dark[start:end].any():
                dark[start:end] = 0
                yield start, end
    yield from alone.names_alone(_left(text))


def _left(text: Shadowed) -> str:
    """The text without what was found in it: cut out, 苏 of a plate is nobody's given name."""
    points = np.where(text.dark == 0, np.uint32(ord(SEPARATOR)), text.points)
    return points.tobytes().decode("utf-32-le")


def _proven(text: Shadowed, finder: Finder) -> Spans:
    """Candidates that are what they look like, as their check digits and the words around them say."""
    found = _joined([_in_text(text, pattern) for pattern in finder.patterns])
    ended = np.searchsorted(text.lines, found.ends) - np.searchsorted(text.lines, found.starts)
    found = found.at(ended <= 1)  # on two lines at most
    together = (slice(at, at + TOGETHER) for at in range(0, len(found.starts), TOGETHER))
    return _joined([_true(text, found.at(each), finder) for each in together])


def _true(text: Shadowed, found: Spans, finder: Finder) -> Spans:
    if text.loosely is not None and len(found.starts):
        found = found.at(_set_apart(text.loosely, found, finder))
    found = found.at(_in_place(text, found, finder))
    if finder.proves is None or not len(found.starts):
        return found
    return found.at(finder.proves(_numbers(text.dark, found)))


def _set_apart(read: Loosely, found: Spans, finder: Finder) -> Flags:
    """Whether the digits of candidates that are read loosely are odd ones, or set apart as people do with such numbers
    and with no others. Of a resident id a date and a check digit prove enough."""
    by = _parting(read.plain, found)
    odd = (by.times == 0) & by.odd
    apart = by.alike & (by.times >= (1 if finder.after is not None or finder.kind in _ONCE else 2))
    if finder.kind == "resident_id":
        return np.asarray(apart | odd)
    every_digit = (by.sort == DOTS) & (by.times >= by.digits - 1)
    return np.asarray((apart & ~every_digit & ~_goes_on(read.plain, found, by.sort)) | odd)


class _Parting(NamedTuple):
    """What sets the digits of each candidate apart: its sort, whether all of it is `alike`, how many `times` it stands
    there; how many `digits` there are, and whether any is an `odd` one."""

    sort: Bytes
    alike: Flags
    times: Places
    digits: Places
    odd: Flags


def _parting(plain: Bytes, found: Spans) -> _Parting:
    lengths = found.ends - found.starts
    first, characters = np.cumsum(lengths) - lengths, plain[found.inside]
    sorts = SORT[characters]
    most = np.maximum.reduceat(sorts, first)
    least = np.minimum.reduceat(np.where(sorts > 0, sorts, np.uint8(255)), first)
    times = np.add.reduceat(sorts > 0, first, dtype=np.int64)
    digits = np.add.reduceat(_COUNTED[characters], first, dtype=np.int64)
    return _Parting(most, most == least, times, digits, np.logical_or.reduceat(ODD_DIGIT[characters], first))


def _goes_on(plain: Bytes, found: Spans, sort: Bytes) -> Flags:
    """Whether another number stands beside a candidate, set apart from it as its own digits are."""
    around = np.concatenate(([0, 0], plain, [0, 0]))  # two characters further on
    starts, ends = found.starts + 2, found.ends + 2
    before = (SORT[around[starts - 1]] == sort) & _COUNTED[around[starts - 2]]
    return np.asarray(before | (SORT[around[ends]] == sort) & _COUNTED[around[ends + 1]])


def _joined(several: Iterable[Spans]) -> Spans:
    return Spans(*map(np.concatenate, zip(Spans(), *several, strict=True)))


def _numbers(dark: Bytes, found: Spans) -> pa.Array:
    """The candidates' characters in capitals, without what stands between them."""
    characters = dark[found.inside]
    counted = ~_BETWEEN[characters]
    ends = np.cumsum(found.ends - found.starts)
    offsets = np.concatenate(([0], np.cumsum(counted)[ends - 1])).astype(np.int32)
    data = _UPPER[characters[counted]]
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))


def _in_text(text: Shadowed, pattern: Pattern) -> Spans:
    """Candidates where the text is searched."""
    if text.loosely is None:
        return _candidates(text.dark, pattern)
    where = text.loosely.where
    found = _candidates(text.dark[where], pattern)
    return Spans(where[found.starts], where[found.ends - 1] + 1)


def _candidates(dark: Bytes, pattern: Pattern) -> Spans:
    """Where the text, in its dark form, has the pattern's form: what may be an identifier, its proof and the words
    around it not yet looked at, so that candidates may overlap (see `_apart`). A long number is looked for only where
    enough digits and what may stand between them follow one another."""
    whole, regex = dark.data, pattern.regex
    if not pattern.least:
        found = ((each.start(), each.end(1)) for each in regex.finditer(whole))
    else:
        places = _places(dark, pattern)
        found = ((at, each.end(1)) for at in places if (each := regex.match(whole, at)) is not None)
    return Spans(*np.fromiter(chain.from_iterable(found), np.int64).reshape(-1, 2).T)


def _places(dark: Bytes, pattern: Pattern) -> list[int]:
    """Where a character that the pattern may begin with is followed by enough others of numbers."""
    starts, ends = runs(_OF_NUMBERS[dark])
    found = inside(starts, np.maximum(ends - pattern.least, starts))
    return found[pattern.begins[dark[found]]].tolist()


def _in_place(text: Shadowed, found: Spans, finder: Finder) -> Flags:
    """Whether the words around each candidate speak for it, and none against it. The same few stand beside most."""
    speaks = _each(_near(text, found.starts - 1, NEAR, -1), lambda before: _speaks(before[::-1], finder))
    if (never := finder.never_before) is None:
        return speaks
    return speaks & _each(_near(text, found.ends, AHEAD, 1), lambda after: never.match(after) is None)


def _speaks(before: str, finder: Finder) -> bool:
    if finder.after is not None and finder.after.search(before) is None:
        return False
    return finder.never_after is None or finder.never_after.search(before) is None


def _near(text: Shadowed, places: Places, most: int, way: int) -> pa.Array:
    """The characters beside each place: it and what follows on the `way`, forwards (1) or backwards (-1, so in reversed
    order), `most` of them. One binary value a place, of UTF-32 (little-endian, as the machine is); from the first
    separator on, and beyond either end of the text, all are separators."""
    around = places[:, None] + way * np.arange(most)
    found = text.points.take(around, mode="clip")
    last = (found == ord(SEPARATOR)) | (around < 0) | (around >= len(text.points))
    found[np.logical_or.accumulate(last, axis=1)] = ord(SEPARATOR)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(4 * most), len(found), [None, pa.py_buffer(found.tobytes())]
    )


def _each(near: pa.Array, holds: Callable[[str], bool]) -> Flags:
    """Whether it holds of the characters near each candidate, the same ones asked once."""
    encoded = near.dictionary_encode()
    texts = (each.decode("utf-32-le").rstrip(SEPARATOR) for each in encoded.dictionary.to_pylist())
    return flags(pa.array(map(holds, texts), pa.bool_()).take(encoded.indices))


def _apart(found: Spans) -> Spans:
    """From the left, of two that overlap the one that begins first, of two that begin together the longer."""
    found = found.at(np.lexsort((-found.ends, found.starts)))
    if (found.starts[1:] >= found.ends[:-1]).all():
        return found
    return found.at(np.array(list(_kept(zip(*found, strict=True))), np.bool_))


def _kept(found: Iterable[tuple[int, int]]) -> Iterator[bool]:
    at = 0
    for start, end in found:
        if keeps := start >= at:
            at = end
        yield keeps
