"""One YAML file as plain data, fast, and the lines of its keys when there is something to say about them.

What is read is YAML 1.2's core: only `true` and `false` are booleans (so that `on:` and `no:` are names),
dates stay text, keys are text, and anchors and tags are not used. Duplicate keys are errors.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from schemas.findings import Finding, KeyPath

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, "true": True, "false": False} | dict.fromkeys(
    ("null", "Null", "NULL")
)
_WORDS |= {"True": True, "TRUE": True, "False": False, "FALSE": False}
_DIGITS = 300
_ANCHOR = re.compile(r"[&*][A-Za-z0-9_-]")
"""What may be an anchor or an alias; a cron's `* */5 *` is none."""


class Unreadable(Exception):
    """The file is not YAML that can be read at all."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.message)


class _Odd(Exception):
    """Something stands in the file that has to be told."""


class _Composer(CParser):
    """libyaml's composer without tag resolution, which takes half its time: `_plain` does it for scalars."""

    def resolve(self, kind: type, value: str, implicit: Any) -> None:
        return None

    def descend_resolver(self, parent: Any, index: Any) -> None:
        return None

    def ascend_resolver(self) -> None:
        return None


@lru_cache(maxsize=20_000)
def _plain(value: str) -> Any:
    """A scalar without quotes: null, boolean, integer, float, else text."""
    if value in _WORDS:
        return _WORDS[value]
    if value[0] in "-+.0123456789" and len(value) < _DIGITS:
        if _INTEGER.fullmatch(value):
            return int(value)
        if _FLOAT.fullmatch(value):
            return float(value)
    return value


def _build(node: Any) -> Any:
    """Plain data, or _Odd where a tag, a duplicate or a strange key has to be told."""
    if node.tag is not None and node.tag != "!":
        raise _Odd
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _plain(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item) for item in node.value]
    out = {key.value: _build(value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if len(out) != len(node.value):
        raise _Odd
    return out


def _tell(node: Any, findings: list[Finding], path: KeyPath) -> Any:
    """The same, slower: what is odd is told, and the rest read on."""
    if node.tag is not None and node.tag != "!":
        line = node.start_mark.line + 1
        findings.append(Finding(path, "a YAML tag (`!…`) is not used here", "the plain value", line))
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _plain(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_tell(item, findings, (*path, i)) for i, item in enumerate(node.value)]
    out: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name in out or not isinstance(key, yaml.ScalarNode):
            findings.append(_bad_key(key, (*path, name)))
        out[name] = _tell(value, findings, (*path, name))
    return out


def _bad_key(key: Any, path: KeyPath) -> Finding:
    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode):
        return Finding(path, "a key is a name, not a list or a mapping", "`name: value`", line)
    return Finding(path, "this key stands here twice", "each key once", line)


def decode(raw: bytes) -> str:
    """The text of a file's bytes.

    Raises Unreadable where they are not UTF-8 (a BOM is allowed).
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        finding = Finding((), "the file is not UTF-8", "save the file in UTF-8", line)
        raise Unreadable(finding) from None


def _compose(text: str) -> Any:
    composer = _Composer(text)
    try:
        return composer.get_single_node()
    finally:
        composer.dispose()


def parse(text: str) -> tuple[dict[str, Any], list[Finding]]:
    """The mapping that a file holds, and the duplicate keys and tags found in it.

    Raises Unreadable where the text is not YAML, is empty, or is no mapping.
    """
    try:
        if _ANCHOR.search(text):
            _refuse_anchors(text)
        node = _compose(text)
        findings: list[Finding] = []
        if node is None:
            _unreadable("the file is empty", "keys and values", 1)
        if not isinstance(node, yaml.MappingNode):
            _unreadable("the top level is not a mapping", "`key: value` lines", node.start_mark.line + 1)
        return _mapping(node, findings), findings
    except yaml.YAMLError as error:
        raise Unreadable(_syntax(text, error)) from None
    except RecursionError:
        raise Unreadable(Finding((), "lists or mappings are nested too deep", "a few levels", 1)) from None


def _mapping(node: Any, findings: list[Finding]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = _build(node)
    except _Odd:
        found = _tell(node, findings, ())
    return found


def _unreadable(message: str, expected: str, line: int) -> NoReturn:
    raise Unreadable(Finding((), message, expected, line))


def _refuse_anchors(text: str) -> None:
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            line = event.start_mark.line + 1 if event.start_mark else 1
            _unreadable(f"an anchor or alias (`{anchor}`) is not used here", "the values themselves", line)


def _syntax(text: str, error: yaml.YAMLError) -> Finding:
    """A libyaml error in plain words."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        position = getattr(error, "position", 0)
        line = text.encode().count(b"\n", 0, position) + 1 if isinstance(position, int) else 1
        return Finding((), "a character that YAML does not allow", "printable text", line)
    lines = text.splitlines()
    here = lines[mark.line] if mark.line < len(lines) else ""
    indent = here[: len(here) - len(here.lstrip())]
    if "\t" in indent or here[mark.column : mark.column + 1] == "\t":
        return Finding((), "a tab", "spaces", mark.line + 1)
    problem = getattr(error, "problem", None) or "not YAML"
    context = getattr(error, "context", None)
    why = f"{problem} ({context})" if context else problem
    return Finding((), f"this is not YAML: {why}", _hint(problem), mark.line + 1)


def _hint(problem: str) -> str:
    if "mapping values are not allowed" in problem:
        return "quotes around a text that holds `: `, and keys of one level at one indent"
    if "expected <block end>" in problem or "did not find expected" in problem:
        return "keys of one level at one indent; every bracket and quote closed"
    if "cannot start any token" in problem:
        return "quotes around a text that begins with %, @ or `"
    return "YAML"


def read_bytes(path: Path) -> bytes:
    """The file's bytes; Unreadable where the system refuses them."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(
            Finding((), f"the file cannot be read: {error.strerror}", "a readable file", 1)
        ) from None


class Lines:
    """The line of each key of a text. Composes the text again, so make one only where there is a problem."""

    def __init__(self, text: str) -> None:
        try:
            self._root = _compose(text)
        except (yaml.YAMLError, RecursionError):
            self._root = None

    def of(self, path: KeyPath) -> int:
        """1-based line of the last key of the path that is there; of the file's first line where none is."""
        node, line = self._root, 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            line, node = found
        return line


def _child(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(part, int):
        if isinstance(node, yaml.SequenceNode) and part < len(node.value):
            return node.value[part].start_mark.line + 1, node.value[part]
        return None
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                return key.start_mark.line + 1, value
    return None
