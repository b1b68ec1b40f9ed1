"""A source column's declared type, read as far as drift needs it: what it was, what it is, and whether that is wider.

Types are told as the source tells them: `character varying(20)`, `int(11) unsigned`, `decimal128(10, 2)`.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from schemas.model import Field

Step = Literal["same", "wider", "other"]
ANY: Final = 1 << 30
"""A size without a limit."""
_FORM = re.compile(r"([a-z_ ]+\d*)\s*(?:\[([^\]]*)\])?\s*(?:\(\s*(\d+)\s*(?:,\s*(-?\d+))?[^)]*\))?(.*)")
_BYTES = {
    **{
        "tinyint": 1,
        "int8": 1,
        "smallint": 2,
        "int16": 2,
        "mediumint": 3,
        "int": 4,
        "integer": 4,
        "int32": 4,
    },
    **{"bigint": 8, "int64": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8},
    **{"serial": 4, "bigserial": 8, "smallserial": 2},
}
_DIGITS = {1: 3, 2: 5, 3: 8, 4: 10, 8: 20}
_FLOATS = {
    "real": 4,
    "float": 4,
    "float32": 4,
    "double": 8,
    "double precision": 8,
    "float64": 8,
    "halffloat": 2,
}
_TEXTS = {
    **dict.fromkeys(
        ("text", "string", "large_string", "clob", "longtext", "nclob", "ntext", "string_view"), ANY
    ),
    **{"tinytext": 255, "mediumtext": 1 << 24},
}
_SIZED = (
    "character varying",
    "varchar",
    "character",
    "char",
    "nvarchar",
    "nchar",
    "bpchar",
    "varchar2",
    "nvarchar2",
)
_SAME = {
    "datetime": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "boolean": "bool",
    "date32": "date",
    "number": "numeric",
    "decimal128": "numeric",
    "decimal": "numeric",
}


class Kind(NamedTuple):
    """`size` is bytes of a number, characters of a text, digits of a decimal (`scale` of them behind the point)."""

    family: str
    size: int = ANY
    scale: int = 0
    unsigned: bool = False


def kind_of(declared: str) -> Kind:  # noqa: PLR0911  a family each
    """The type in our words; a type that we have none for stands for itself."""
    text = " ".join(declared.lower().split())
    found = _FORM.fullmatch(text)
    if found is None:
        return Kind(text)
    name, unit, size, scale, rest = found[1].strip(), found[2], found[3], found[4], (found[5] or "").strip()
    name = f"{name} {rest}".strip() if rest in ("with time zone", "without time zone") else name
    if name in _BYTES:
        return Kind("integer", _BYTES[name], unsigned="unsigned" in rest or name.startswith("u"))
    if name in _FLOATS:
        return Kind("float", _FLOATS[name])
    if name in _TEXTS:
        return Kind("text", _TEXTS[name])
    if name in _SIZED:
        return Kind("text", int(size) if size else ANY)
    name = _SAME.get(name, name)
    if name == "numeric":
        return Kind("decimal", int(size) if size else ANY, int(scale or 0))
    if name == "timestamp" and unit and "tz=" in unit:
        return Kind("timestamptz")
    return Kind(name)


def step(before: str, after: str) -> Step:
    """How a declared type changed. A type that was not told (a view of SQLite) is the same as any."""
    old, new = kind_of(before), kind_of(after)
    if not before or not after or old == new:
        return "same"
    return "wider" if _widens(old, new) else "other"


def _widens(old: Kind, new: Kind) -> bool:
    """Whether every value of the one is a value of the other, written in the same way."""
    if old.family == "integer" and new.family == "integer":
        if old.unsigned == new.unsigned:
            return new.size >= old.size
        return old.unsigned and new.size > old.size
    if old.family == "integer" and new.family == "decimal":
        return new.scale == 0 and new.size >= _DIGITS[old.size]
    if old.family == "decimal" and new.family == "decimal":
        if new.size == ANY:
            return True
        return new.scale >= old.scale and new.size - new.scale >= old.size - old.scale
    return old.family == new.family and new.size >= old.size and new.family in ("float", "text")


def holds(field: Field, declared: str) -> bool:
    """Whether the field has room for every value of a source's column that grew."""
    kind = kind_of(declared)
    if field.type == "decimal" and kind.family == "decimal":
        return kind.scale <= field.scale and kind.size - kind.scale <= field.precision - field.scale
    if field.type == "string" and field.length is not None and kind.family == "text":
        return kind.size <= field.length
    return True
