"""Which changes of a contract protect less. What nobody can tell to be as strict as before counts as looser: another
regular expression, a mask of another kind, a bound that is not told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from schemas.model import PERSONAL, Fpe, Hmac, Mask, Noise
from schemas.rules.masks import weaker

Value = Any
_MASK: Final[TypeAdapter[Mask]] = TypeAdapter(Mask)
_STRICT: Final[Mapping[str, Mapping[Value, int]]] = {
    "type": {"none": 2, "conditional": 1, "unconditional": 0},
    "risk": {"direct": 3, "quasi": 2, None: 2, "sensitive": 1, "none": 0},
    "subject": {"person": 2, "organisation": 1, "thing": 0, None: 0},
    "on_fail": {"stop": 2, "quarantine": 1, "warn": 0},
    "of": {"greatest": 1, "mean": 0},
}
"""Where nobody said what a field tells of a person, it is judged as a quasi-identifier."""
_WITH: Final = {
    "share": "type",
    "open": "type",
    "field": "risk",
    "entry": "subject",
    "check": "on_fail",
    "limits": "of",
}
"""The one key of each section that has such steps."""
_LOWER: Final = {
    *{
        ("field", "grade"),
        ("limits", "k"),
        ("limits", "l"),
        ("limits", "context"),
        ("limits", "smallest_count"),
        ("check", "mostly"),
    },
    *{("check", "min_value"), ("brake", "arrive")},
}
_HIGHER: Final = {
    *{("limits", "t"), ("limits", "below"), ("check", "max_value"), ("open", "budget")},
    *{("brake", "delete"), ("brake", "change"), ("brake", "from_rows")},
    *{("retention", "landing"), ("retention", "standard"), ("retention", "dismissed")},
}
_ADDED: Final = {"publication", "mask"}
_REMOVED: Final = {"assessed", "check", "limits"}


def item_loosens(section: str, *, added: bool) -> bool:
    """Whether a thing that came or went protects less: another table, another published field; a check less, a
    table that the disclosure gate judges no more."""
    return section in (_ADDED if added else _REMOVED)


def personal(section: str, before: Value, after: Value) -> bool:
    """Whether a field has come to be graded as personal or commercial: one more to assess (Decree 809, Art. 13)."""
    return section == "field" and (before or 0) < PERSONAL <= (after or 0)


def loosens(section: str, key: str, before: Value, after: Value) -> bool:
    """Whether the value of a key protects less than before; None stands for a key that is not there."""
    if section == "mask":
        return _weaker(before, after)
    if section == "assessed":
        return after is None
    if key == _WITH.get(section):
        return _STRICT[key].get(after, 0) < _STRICT[key].get(before, 0)
    if key == "mostly":
        before, after = (1 if each is None else each for each in (before, after))
    if (section, key) in _LOWER | _HIGHER:
        return _beyond(before, after, higher=(section, key) in _HIGHER)
    if (section, key) == ("open", "counts"):
        return before is not None and (after is None or not set(before) <= set(after))
    return section == "check" and _check(key, before, after)


def _weaker(before: Value, after: Value) -> bool:
    """Of a mask that this software does not know nobody can tell."""
    try:
        old, new = _MASK.validate_python(before), _MASK.validate_python(after)
    except ValidationError:
        return True
    if isinstance(old, Hmac | Fpe) and isinstance(new, Hmac | Fpe) and new.domain not in (None, old.domain):
        return True
    if isinstance(old, Noise) and isinstance(new, Noise):
        return new.epsilon > old.epsilon or new.sensitivity < old.sensitivity
    return weaker(new, old) or (new.kind != old.kind and not weaker(old, new))


def _beyond(before: Value, after: Value, *, higher: bool) -> bool:
    """Whether a bound was moved outwards, taken away, or to where that cannot be told."""
    if after is None or before is None:
        return after is None
    try:
        old, new = _number(before), _number(after)
        return bool(new > old if higher else new < old)
    except (TypeError, ValueError):
        return True


def _number(value: Value) -> Value:
    """A duration (`3600s`) by its seconds; a text, such as a day, as it is."""
    if isinstance(value, str) and value.endswith("s") and value[:-1].isdecimal():
        return int(value[:-1])
    if isinstance(value, int | float | str):
        return value
    raise TypeError("not told")


def _check(key: str, before: Value, after: Value) -> bool:
    if key == "value_set" and isinstance(before, list) and isinstance(after, list):
        return not set(map(str, after)) <= set(map(str, before))
    return True
