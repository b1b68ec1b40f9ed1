"""pydantic's errors as a person reads them: the key as written in YAML, the matter, the form expected."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from schemas.findings import Finding, KeyPath, listed, near
from schemas.forms import FORMS, form, has, known_keys, value_at, words_at

_KINDS = {
    "string_type": "text (in quotes where it looks like a number)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "tuple_type": "a list: [a, b]",
    "list_type": "a list: [a, b]",
    "date_type": "a date: 2026-01-31",
    "date_parsing": "a date: 2026-01-31",
    "date_from_datetime_parsing": "a date: 2026-01-31",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def findings_of(error: ValidationError, model: Any, data: Any) -> list[Finding]:
    """Each pydantic error once, by key path; of a union's several complaints about one key only the first is
    told."""
    found: dict[KeyPath, Finding] = {}
    for item in error.errors(include_url=False):
        path = _written(item["loc"], data)
        if path not in found:
            found[path] = _translate(item, path, model, data)
    return list(found.values())


def _written(loc: tuple[str | int, ...], data: Any) -> KeyPath:
    """pydantic's location without the tags and validators it puts between the keys."""
    path: list[str | int] = []
    fresh = True
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if fresh and not last and isinstance(data, dict) and data.get("kind") == part:
            fresh = False
        elif has(data, part):
            data, fresh = data[part], True
            path.append(part)
        elif last and isinstance(part, str) and isinstance(data, dict) and "[" not in part:
            path.append(part)
    return tuple(path)


def _translate(item: Any, path: KeyPath, model: Any, data: Any) -> Finding:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        keys = [key for key in known_keys(model, path[:-1], data) if key != path[-1]]
        return Finding(path, "unknown key" + near(str(path[-1]), keys), f"one of {listed(keys, 40)}")
    if kind.startswith("union_tag"):
        path = (*path, "kind")
    if kind in ("missing", "union_tag_not_found"):
        return Finding(path, "is missing", form(model, path, data))
    if kind == "string_pattern_mismatch":
        what = "the name" if item["loc"][-1] == "[key]" else "the value"
        expected = FORMS.get(context["pattern"], f"text like {context['pattern']}")
        return Finding(path, f"{what} has not the right form", expected)
    return _not_allowed(path, model, data) or Finding(
        path, _message(kind, context), _expected(kind, context, model, path, data)
    )


def _not_allowed(path: KeyPath, model: Any, data: Any) -> Finding | None:
    """A word where only a few are allowed."""
    words, found = words_at(model, path, data), value_at(data, path)
    if not words or not isinstance(found, str):
        return None
    message = f"is not one of the values allowed{near(found, words)}"
    return Finding(path, message, form(model, path, data))


def _message(kind: str, context: dict[str, Any]) -> str:
    if kind in ("too_short", "string_too_short"):
        return "is empty"
    if kind == "value_error":
        return "has not the right form"
    return "is out of bounds" if _bound(context) else "is of the wrong kind"


def _expected(kind: str, context: dict[str, Any], model: Any, path: KeyPath, data: Any) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_short", "string_too_short"):
        return "at least one" if kind == "too_short" else "a text"
    return _bound(context) or _KINDS.get(kind) or form(model, path, data)


def _bound(context: dict[str, Any]) -> str:
    for name, words in _BOUNDS.items():
        if name in context:
            bound = context[name]  # of a duration it is a text
            return f"{words} {bound if isinstance(bound, str) else format(bound, 'g')}"
    return f"{context['max_length']} character(s) at most" if "max_length" in context else ""
