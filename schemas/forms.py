"""What the model says about one place of a file: its keys, words and form, as its JSON Schema has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from schemas.findings import KeyPath, listed
from schemas.model.publication import ADDRESS

FORMS = {
    r"^[a-z][a-z0-9]*(_[a-z0-9]+)*(__grant_[0-9]+)?$": "a policy, such as default, or default__grant_12",
    r"^[0-9a-f]{16}$": "16 digits of a key's id, as its certificates name it",
    r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$": "small letters, digits and single _, such as default or statistics",
    r"^[1-9][0-9]{5}$": "six digits of GB/T 2260, such as 320102",
    r"^[a-z][a-z0-9_]{0,62}$": "a name, of lower-case a-z, 0-9 and _, such as `reg_date`",
    r"^[a-z][a-z0-9]*(_[a-z0-9]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*$": (
        "`department.dataset`, words of lower-case a-z and 0-9 with single _ between them "
        "(`__` joins them in the names of tables)"
    ),
    r"^[0-9]{6,}/[0-9]+$": '政务信息资源代码, class digits, `/`, serial: "3010203/000017"',
    r"^.{0,59}[0-9].{0,59}$": "the number of a document, such as 宁民保审〔2026〕3号",
    ADDRESS: "an address, `https://…`",
    r"^expect_[a-z0-9_]+$": "the name of an expectation, `expect_…`",
}


def has(data: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(data, list) and part < len(data)
    return isinstance(data, dict) and part in data


def value_at(data: Any, path: KeyPath) -> Any:
    for part in path:
        if not has(data, part):
            return None
        data = data[part]
    return data


@cache
def _schema(model: Any) -> dict[str, Any]:
    return TypeAdapter(model).json_schema(by_alias=True)


def _branches(root: dict[str, Any], node: dict[str, Any], data: Any) -> list[dict[str, Any]]:
    """The schemas that a value may answer to: references followed, unions opened, a tag's choice made."""
    if "$ref" in node:
        return _branches(root, root["$defs"][node["$ref"].rsplit("/", 1)[1]], data)
    mapping = node.get("discriminator", {}).get("mapping", {})
    tag = data.get("kind") if isinstance(data, dict) else None
    if isinstance(tag, str) and tag in mapping:
        return _branches(root, {"$ref": mapping[tag]}, data)
    options = node.get("anyOf") or node.get("oneOf")
    if not options:
        return [node]
    return [branch for option in options for branch in _branches(root, option, data)]


def _at(model: Any, path: KeyPath, data: Any) -> list[dict[str, Any]]:
    root = _schema(model)
    nodes = _branches(root, root, data)
    for part in path:
        data = data[part] if has(data, part) else None
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


def words_at(model: Any, path: KeyPath, data: Any) -> list[str]:
    """The few values that alone may stand at `path`; none where it is not so."""
    nodes = _at(model, path, data)
    return [
        str(word) for node in nodes for word in node.get("enum", [node["const"]] if "const" in node else [])
    ]


def form(model: Any, path: KeyPath, data: Any) -> str:
    """The form expected at `path`, in a few words."""
    few = words_at(model, path, data)
    others = dict.fromkeys(_word(node) for node in _at(model, path, data))
    return " or ".join([*([f"one of {listed(few, 40)}"] if few else []), *filter(None, others)])


_WORD: dict[str, Callable[[dict[str, Any]], str]] = {
    "string": lambda node: FORMS.get(node.get("pattern", ""), "text"),
    "integer": lambda node: "a whole number",
    "number": lambda node: "a number",
    "boolean": lambda node: "true or false",
    "array": lambda node: "a list: [a, b]",
    "null": lambda node: "",
}


def _word(node: dict[str, Any]) -> str:
    if "enum" in node or "const" in node:
        return ""
    if node.get("type") == "object":
        properties = node.get("properties", {})
        needed = ["kind"] if "kind" in properties else node.get("required") or list(properties)[:6]
        return "{" + ", ".join(f"{key}: …" for key in needed) + "}"
    return _WORD.get(node.get("type", ""), lambda node: "")(node)
