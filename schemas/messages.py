"""pydantic's errors as a person reads them: the key as written in YAML, the matter, the form expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.findings import Finding, KeyPath, listed, near

FORMS = {
    r"^[a-z][a-z0-9_]{0,62}$": "a name, of lower-case a-z, 0-9 and _, such as `reg_date`",
    r"^[a-z][a-z0-9_]{0,40}\.[a-z][a-z0-9_]{0,40}$": "`department.dataset`, in lower-case a-z, 0-9 and _",
    r"^[0-9]{6,}/[0-9]+$": '政务信息资源代码, class digits, `/`, serial: "3010203/000017"',
    r"^expect_[a-z0-9_]+$": "the name of an expectation, `expect_…`",
}
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
        elif _has(data, part):
            data, fresh = data[part], True
            path.append(part)
        elif last and isinstance(part, str) and isinstance(data, dict) and "[" not in part:
            path.append(part)
    return tuple(path)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(data, list) and part < len(data)
    return isinstance(data, dict) and part in data


def _translate(item: Any, path: KeyPath, model: Any, data: Any) -> Finding:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        keys = [key for key in known_keys(model, path[:-1], data) if key != path[-1]]
        return Finding(path, "unknown key" + near(str(path[-1]), keys), f"one of {listed(keys, 40)}")
    if kind == "missing":
        return Finding(path, "is missing", _form(model, path, data))
    if kind == "string_pattern_mismatch":
        form = FORMS.get(context["pattern"], f"text like {context['pattern']}")
        what = "the name" if item["loc"][-1] == "[key]" else "the value"
        return Finding(path, f"{what} has not the right form", form)
    if kind in ("literal_error", "union_tag_invalid"):
        return _not_allowed(item, path, data)
    if kind == "union_tag_not_found":
        return Finding((*path, "kind"), "is missing", _form(model, (*path, "kind"), data))
    return Finding(path, _message(kind, context), _expected(kind, context, model, path, data))


def _not_allowed(item: Any, path: KeyPath, data: Any) -> Finding:
    """A word that is none of the few allowed; for a union, its `kind`."""
    context = item["ctx"]
    names = [
        word.strip("'") for word in re.split(r", | or ", context.get("expected") or context["expected_tags"])
    ]
    path = (*path, "kind") if item["type"] == "union_tag_invalid" else path
    found = _value(data, path)
    hint = near(found, names) if isinstance(found, str) else ""
    return Finding(path, f"is not one of the values allowed{hint}", f"one of {listed(names, 40)}")


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
    return _bound(context) or _KINDS.get(kind) or _form(model, path, data)


def _bound(context: dict[str, Any]) -> str:
    for name, words in _BOUNDS.items():
        if name in context:
            return f"{words} {context[name]:g}"
    return f"{context['max_length']} character(s) at most" if "max_length" in context else ""


def _value(data: Any, path: KeyPath) -> Any:
    for part in path:
        if not _has(data, part):
            return None
        data = data[part]
    return data


# ── what the model says about a path, by way of its JSON Schema ─────────────────────────────────────────────


@cache
def _schema(model: Any) -> dict[str, Any]:
    return TypeAdapter(model).json_schema(by_alias=True)


def _branches(root: dict[str, Any], node: dict[str, Any], data: Any) -> list[dict[str, Any]]:
    """The schemas that a value may answer to: references followed, unions opened, a tag's choice made."""
    if "$ref" in node:
        return _branches(root, root["$defs"][node["$ref"].rsplit("/", 1)[1]], data)
    mapping = node.get("discriminator", {}).get("mapping", {})
    tag = data.get("kind") if isinstance(data, dict) else None
    if tag in mapping:
        return _branches(root, {"$ref": mapping[tag]}, data)
    options = node.get("anyOf") or node.get("oneOf")
    if not options:
        return [node]
    return [branch for option in options for branch in _branches(root, option, data)]


def _at(model: Any, path: KeyPath, data: Any) -> list[dict[str, Any]]:
    root = _schema(model)
    nodes = _branches(root, root, data)
    for part in path:
        data = data[part] if _has(data, part) else None
        nodes = [
            branch for node in nodes for step in _step(node, part) for branch in _branches(root, step, data)
        ]
    return nodes


def _step(node: dict[str, Any], part: str | int) -> list[dict[str, Any]]:
    if isinstance(part, int):
        return [node["items"]] if "items" in node else []
    if part in node.get("properties", {}):
        return [node["properties"][part]]
    rest = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
    return [step for step in rest if isinstance(step, dict)]


def known_keys(model: Any, path: KeyPath, data: Any) -> list[str]:
    """The keys that may stand in the mapping at `path`."""
    return list(dict.fromkeys(key for node in _at(model, path, data) for key in node.get("properties", {})))


def _form(model: Any, path: KeyPath, data: Any) -> str:
    """The form expected at `path`, in a few words."""
    words = dict.fromkeys(_word(node) for node in _at(model, path, data))
    return " or ".join(word for word in words if word)


_WORD: dict[str, Callable[[dict[str, Any]], str]] = {
    "string": lambda node: FORMS.get(node.get("pattern", ""), "text"),
    "integer": lambda node: "a whole number",
    "number": lambda node: "a number",
    "boolean": lambda node: "true or false",
    "array": lambda node: "a list: [a, b]",
    "null": lambda node: "",
}


def _word(node: dict[str, Any]) -> str:
    if "enum" in node:
        return f"one of {listed(map(str, node['enum']), 40)}"
    if "const" in node:
        return f"`{node['const']}`"
    if node.get("type") == "object":
        needed = node.get("required") or list(node.get("properties", {}))
        return "{" + ", ".join(f"{key}: …" for key in needed[:6]) + "}"
    return _WORD.get(node.get("type", ""), lambda node: "")(node)
