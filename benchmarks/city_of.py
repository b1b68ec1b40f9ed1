"""A catalogue of any number of datasets: the sample city's own entries, once for each of many districts.

    python -m benchmarks.city_of 10000 /tmp/catalogue

Nothing is made simpler: every district has its own departments, and data elements of its own (each `like:` the
city's) wherever a datum may have one source only, so that every rule of the catalogue has its full work to do.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.rules.shared import is_uscc
from schemas.settings import HERE
from schemas.yamlfile import parse

_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@dataclass(frozen=True)
class _City:
    """The shipped catalogue as texts. `folders` are departments and theme folders; `owned` the elements that one
    dataset originates."""

    entries: dict[str, str]
    folders: frozenset[str]
    departments: dict[str, Any]
    elements: dict[str, Any]
    owned: frozenset[str]


def write_catalogue(root: Path, datasets: int) -> None:
    """Exactly so many entries below `root`, which is emptied first; valid as a whole."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    city = _read()
    districts = -(-datasets // len(city.entries))
    written = 0
    for district in range(1, districts + 1):
        for place, text in _entries(city, district):
            if written < datasets:
                path = root / place
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
                written += 1
    (root / "departments.yaml").write_text("\n".join(_departments(city, districts)) + "\n", encoding="utf-8")
    own = (HERE / "elements.yaml").read_text(encoding="utf-8")
    more = "\n".join(_elements(city, districts))
    (root / "elements.yaml").write_text(f"{own}\n{more}\n", encoding="utf-8")


def _read() -> _City:
    """The city's entries, each after those that it reads, so that a cut-off catalogue is whole."""
    from schemas.load import load_catalogue

    root = HERE / "catalogue"
    names = load_catalogue(root).order()
    entries = {name: (root / f"{name.replace('.', '/')}.yaml").read_text(encoding="utf-8") for name in names}
    departments, _ = parse((HERE / "departments.yaml").read_text(encoding="utf-8"))
    elements, _ = parse((HERE / "elements.yaml").read_text(encoding="utf-8"))
    folders = frozenset({name.partition(".")[0] for name in entries} | departments.keys())
    owned = frozenset(name for name, element in elements.items() if element.get("one_source", True))
    return _City(entries, folders, departments, elements, owned)


def _entries(city: _City, district: int) -> Iterator[tuple[str, str]]:
    folders, owned = "|".join(sorted(city.folders)), "|".join(sorted(city.owned))
    for name, text in city.entries.items():
        department, _, dataset = name.partition(".")
        own = re.sub(rf"\b({folders})\.(?=[a-z])", rf"\1_{district}.", text)
        own = re.sub(rf"^owner: ({folders})$", rf"owner: \1_{district}", own, flags=re.MULTILINE)
        own = re.sub(rf"\belement: ({owned})\b", rf"element: \1_{district}", own)
        own = re.sub(r'^code: "(\d+)/\d+"$', rf'code: "\1/{district:06}"', own, flags=re.MULTILINE)
        yield f"{department}_{district}/{dataset}.yaml", own


def _departments(city: _City, districts: int) -> Iterator[str]:
    number = 0
    for district in range(1, districts + 1):
        for name, department in city.departments.items():
            number += 1
            title = _title(department, district)
            yield f"{name}_{district}: {{title: {title}, uscc: {_uscc(number)}, limit: 2}}"


def _title(named: dict[str, Any], district: int) -> str:
    """JSON, which is YAML too."""
    said = {language: f"{text} {district}" for language, text in named["title"].items()}
    return json.dumps(said, ensure_ascii=False)


def _uscc(number: int) -> str:
    """An invented code with a right check character (GB 32100)."""
    body = f"11320100MC{number:07}"
    return next(body + letter for letter in _USCC if is_uscc(body + letter))


def _elements(city: _City, districts: int) -> Iterator[str]:
    for district in range(1, districts + 1):
        for name in sorted(city.owned):
            yield f"{name}_{district}: {{like: {name}, title: {_title(city.elements[name], district)}}}"


if __name__ == "__main__":
    write_catalogue(Path(sys.argv[2]), int(sys.argv[1]))
