"""Text kernels: what a typed value is as text, what counts as blank, and the normalisers of the catalogue.

Each takes and gives an Arrow array of the same length; null in is null out. Most columns need no change, so
each kernel first looks at the bytes of the whole column, which costs a nanosecond a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.buffers import Bytes, buffers
from schemas.model import Normaliser

WHITESPACE = (
    "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
)
"""What surrounds a value without belonging to it: Unicode's White_Space, among it the ideographic and the
no-break space, and the marks without width that are pasted along."""
_BEGINNINGS = {each.encode()[0] for each in WHITESPACE}
_LEADS = sorted(byte for byte in _BEGINNINGS if byte >= 0x80)
_MAY_BE_WHITE = np.array([byte in _BEGINNINGS for byte in range(256)])
"""Whether a byte may begin white space; one inside a character never does."""
_WIDTH = np.array([1 if byte < 0x80 else 2 if byte < 0xE0 else 3 for byte in range(256)])
"""Bytes of the white space that begins so."""
_OTHER_WHITE = np.array(
    [int.from_bytes(each.encode().ljust(3, b"\0"), "big") for each in WHITESPACE if each != " "], np.int32
)
_LOST = r"^-?[0-9]\.[0-9]{16}e\+[0-9]{2,3}$"
EXACT_FLOAT = 2.0**53
"""From here on not every whole number has a float of its own: digits have been lost (an id typed into
Excel)."""


def convert(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Arrow's safe cast, one value at a time in effect: null where a value does not convert exactly.

    Arrow refuses a column for one bad value, so a refused column is halved until the bad values are alone."""
    try:
        return pc.cast(values, kind)
    except pa.ArrowNotImplementedError:
        return pa.nulls(len(values), kind)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, kind)
    middle = len(values) // 2
    return pa.concat_arrays([convert(values.slice(0, middle), kind), convert(values.slice(middle), kind)])


def keep(values: pa.Array, good: pa.Array) -> pa.Array:
    """The values where `good` is true, null elsewhere."""
    return pc.if_else(pc.fill_null(good, False), values, pa.scalar(None, values.type))


def content(values: pa.Array) -> Bytes:
    """The bytes of all values together, without copying."""
    offsets, data = buffers(values)
    return data[offsets[0] : offsets[-1]]


def has_only(values: pa.Array, alphabet: bytes) -> bool:
    """Whether every byte of every value is one of the alphabet's: the fast way past a regular expression."""
    return not content(values).tobytes().translate(None, alphabet)


def is_ascii(values: pa.Array) -> bool:
    data = content(values)
    return not len(data) or bool(data.max() < 0x80)


# ── as text ───────────────────────────────────────────────────────────────────────────────────────────────


def to_text(values: pa.Array) -> pa.Array:
    """Any scalar as text in its plainest form (1.0 is `1`, true is `true`, dates are ISO 8601); null where
    there is none: bytes that are not UTF-8, floats too large to be exact, lists and records."""
    kind = values.type
    if pa.types.is_string(kind):
        return _valid_utf8(values)
    if pa.types.is_floating(kind):
        return _float_text(values)
    return convert(values, pa.string())


def _valid_utf8(values: pa.Array) -> pa.Array:
    if is_ascii(values):
        return values
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return convert(values.cast(pa.binary()), pa.string())
    return values


def _float_text(values: pa.Array) -> pa.Array:
    exact = keep(values, pc.less(pc.abs(values), EXACT_FLOAT))
    whole = pc.equal(exact, pc.trunc(exact))
    digits = pc.cast(pc.cast(keep(exact, whole), pa.int64()), pa.string())
    return pc.if_else(pc.fill_null(whole, False), digits, pc.cast(exact, pa.string()))


def present(values: pa.Array) -> pa.Array:
    """Text that is empty or only white space becomes null: at a source that is how nothing is written. White space is
    looked for where some value may begin with it."""
    offsets, data = buffers(values)
    written = np.diff(offsets) > 0
    if not _MAY_BE_WHITE.take(data.take(offsets[:-1][written])).any():
        return values if written.all() else keep(values, pc.not_equal(values, ""))
    return keep(values, pc.not_equal(pc.utf8_trim(values, characters=WHITESPACE), ""))


def _untouched(values: pa.Array) -> bool:
    """Whether no byte could be part of white space or of a full-width character."""
    data = content(values)
    return not len(data) or bool(data.min() > 0x20 and data.max() < 0x80)


# ── normalisers ───────────────────────────────────────────────────────────────────────────────────────────


def trim(values: pa.Array) -> pa.Array:
    """Without the white space around it."""
    return values if _untouched(values) else pc.utf8_trim(values, characters=WHITESPACE)


def squeeze(values: pa.Array) -> pa.Array:
    """Runs of white space inside become one space."""
    if _untouched(values) or _squeezed(content(values)):
        return values
    return pc.replace_substring_regex(values, f"[{WHITESPACE}]+", " ")


def _squeezed(data: Bytes) -> bool:
    """Whether there is no white space but spaces, and none beside another. A value's last may lie beside the next
    one's first: it counts as found."""
    space = data == 0x20
    if (space[1:] & space[:-1]).any():
        return False
    other = data < 0x20
    for byte in _LEADS:
        other |= data == byte
    places = np.flatnonzero(other)
    width, code = _WIDTH.take(data.take(places)), np.zeros(len(places), np.int32)
    for place in range(3):
        found = data.take(places + place, mode="clip").astype(np.int32)
        code = code << 8 | np.where(place < width, found, 0)
    return not bool(np.isin(code, _OTHER_WHITE).any())


def upper(values: pa.Array) -> pa.Array:
    return pc.ascii_upper(values) if is_ascii(values) else pc.utf8_upper(values)


def lower(values: pa.Array) -> pa.Array:
    return pc.ascii_lower(values) if is_ascii(values) else pc.utf8_lower(values)


def digits(values: pa.Array) -> pa.Array:
    """Only the digits, full-width ones made plain. A value that has none becomes null, and so a failure."""
    plain = half_width(values)
    offsets, data = buffers(plain)
    own = data[offsets[0] : offsets[-1]]
    kept = own - np.uint8(0x30) < 10  # of a smaller byte the difference is a large number
    if not kept.all():
        before = np.zeros(len(own) + 1, np.int32)
        np.cumsum(kept, out=before[1:], dtype=np.int32)
        moved = pa.py_buffer(before[offsets - offsets[0]])
        plain = pa.StringArray.from_buffers(len(plain), moved, pa.py_buffer(own[kept]))
    return keep(plain, pc.not_equal(plain, ""))


def half_width(values: pa.Array) -> pa.Array:
    """Full-width forms U+FF01 to U+FF5E as ASCII and the ideographic space as a space, as NFKC has them;
    other compatibility characters stay as they are (① is not 1, and ㎡ not m2).

    Works on bytes: EF BC xx and EF BD xx become one byte, and the offsets after them move back by two."""
    if is_ascii(values):
        return values
    offsets, data = buffers(values)
    own, base = data[offsets[0] : offsets[-1]], offsets - offsets[0]
    places, ascii_bytes = _full_width(own)
    if not len(places):
        return values
    changed = own.copy()
    changed[places] = ascii_bytes
    kept = np.ones(len(own), dtype=np.bool_)
    kept[places + 1] = kept[places + 2] = False
    moved = (base - 2 * np.searchsorted(places, base)).astype(np.int32)
    text = pa.StringArray.from_buffers(len(values), pa.py_buffer(moved), pa.py_buffer(changed[kept]))
    return keep(text, values.is_valid()) if values.null_count else text


def _full_width(data: Bytes) -> tuple[np.ndarray, Bytes]:
    """Where full-width characters begin, and the ASCII byte of each. EF and E3 are never inside a
    character."""
    places = np.flatnonzero((data == 0xEF) | (data == 0xE3))
    places = places[places + 2 < len(data)]
    first, second, third = data[places], data[places + 1], data[places + 2]
    ascii_bytes = np.zeros(len(places), dtype=np.uint8)
    low = (first == 0xEF) & (second == 0xBC) & (third >= 0x81)
    high = (first == 0xEF) & (second == 0xBD) & (third <= 0x9E)
    ascii_bytes[low] = third[low] - 0x60
    ascii_bytes[high] = third[high] - 0x20
    ascii_bytes[(first == 0xE3) & (second == 0x80) & (third == 0x80)] = 0x20
    found = ascii_bytes > 0
    return places[found], ascii_bytes[found]


_NORMALISERS: dict[Normaliser, Callable[[pa.Array], pa.Array]] = {
    "trim": trim,
    "half_width": half_width,
    "upper": upper,
    "lower": lower,
    "digits": digits,
    "squeeze": squeeze,
}


def normalised(values: pa.Array, normalisers: tuple[Normaliser, ...]) -> pa.Array:
    """Text after the catalogue's normalisers, in the order written."""
    for name in normalisers:
        values = _NORMALISERS[name](values)
    return values


def typed(text: pa.Array) -> pa.Array:
    """A workbook's text without numbers of more than 15 digits, as its reader writes them: a workbook has lost their
    last digits, which somebody typed to be a text."""
    return keep(text, pc.invert(pc.match_substring_regex(text, _LOST)))


# ── the string and binary types ───────────────────────────────────────────────────────────────────────────


def to_string(text: pa.Array, length: int | None) -> pa.Array:
    """Text of at most `length` characters and without NUL, which no database or spreadsheet would keep."""
    data = content(text)
    if len(data) and data.min() == 0:
        text = keep(text, pc.invert(pc.match_substring(text, "\0")))
    if length is None or not len(data) or np.diff(buffers(text)[0]).max() <= length:
        return text
    return keep(text, pc.less_equal(pc.utf8_length(text), length))


def to_binary(values: pa.Array) -> pa.Array:
    """Bytes as they are, and text as its UTF-8; null for anything else."""
    known = is_bytes(values.type) or pa.types.is_string(values.type)
    return values.cast(pa.binary()) if known else pa.nulls(len(values), pa.binary())


def is_bytes(kind: pa.DataType) -> bool:
    """Whether the type holds bytes that are not declared to be text."""
    views = pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind)
    return bool(views or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
