"""The reference and the JSON Schema are those of the model, and the schema takes what the loader takes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from schemas import model, reference
from schemas.draft import validate
from schemas.terms import MODELS, TERMS
from schemas.yamlfile import parse
from tests.schemas.conftest import CITY, COUPLES, MARRIAGE, RESIDENT

STALE = "out of date: run python -m schemas.reference"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(reference.SCHEMA_FILE.read_text(encoding="utf-8")))
CATALOGUE = Path(reference.__file__).parent / "catalogue"
POOL: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    -1,
    1.5,
    "",
    "x",
    "X y",
    "6h",
    "2026-01-01",
    [],
    ["x"],
    [1],
    {},
    {"x": {}},
)


def rich() -> dict[str, Any]:
    """An entry with as many keys as there are, which only its form makes valid."""
    data = parse(CITY[RESIDENT])[0]
    every_mask: list[dict[str, Any]] = [
        {"kind": "keep"},
        {"kind": "hmac", "hash": "sha256", "domain": "x"},
        {"kind": "partial", "first": 1, "last": 2, "char": "#"},
        {"kind": "generalise", "to": "month"},
        {"kind": "generalise", "bins": [0, 1.5]},
        {"kind": "round", "to": 10},
        {"kind": "clip", "min": 0, "max": 1},
        {"kind": "constant", "value": "x"},
        {"kind": "redact", "what": ["phone"]},
    ]
    data["share"]["policies"] = {f"p{n}": {"mask": {"name": mask}} for n, mask in enumerate(every_mask)}
    data["open"] = {"type": "none", "downloads": ["csv"], "drop": ["name"], "fields": None}
    data["fields"]["all"] = {
        **{"element": "x", "title": {"zh": "x", "en": "x"}, "type": "decimal", "grade": 1, "from": "a.b"},
        **{
            "on": "x",
            "required": True,
            "timezone": "UTC",
            "codes": "x",
            "normalise": ["trim"],
            "precision": 3,
        },
        **{"scale": 1, "length": 5, "mask": {"share": "hmac", "open": {"kind": "drop"}}, "formats": ["%Y"]},
    }
    return data


def http() -> dict[str, Any]:
    data = parse(CITY[MARRIAGE])[0]
    paging = {"kind": "cursor", "cursor": "c", "next": "n", "limit": None, "page_size": 5}
    source = {
        "kind": "http",
        "connection": "x",
        "path": "/",
        "params": {"a": "b"},
        "paging": paging,
        "rate": 2,
    }
    return data | {"source": source | {"timeout": "30s", "retries": 2, "total": "t", "records": ""}}


def entries() -> list[dict[str, Any]]:
    return [parse(CITY[name])[0] for name in (RESIDENT, MARRIAGE, COUPLES)] + [rich(), http()]


def paths(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value."""
    yield path
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield from paths(data[key], (*path, key))


def at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def accepted(data: Any) -> bool:
    try:
        validate(model.EntryFile, data)
    except ValidationError:
        return False
    return True


def test_the_reference_is_that_of_the_model() -> None:
    assert reference.REFERENCE_FILE.read_text(encoding="utf-8") == reference.reference(), STALE


def test_the_schema_is_that_of_the_model() -> None:
    assert reference.SCHEMA_FILE.read_text(encoding="utf-8") == reference.schema_text(), STALE
    jsonschema.Draft202012Validator.check_schema(reference.entry_schema())


def test_every_key_has_a_chinese_term_and_every_term_a_key() -> None:
    keys = {
        f"{name}.{info.alias or key}"
        for name in MODELS
        for key, info in getattr(model, name).model_fields.items()
        if not (key == "kind" and name != "Merge")
    }
    assert keys == set(TERMS)


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_the_schema_takes_every_entry_of_the_repository(path: Path) -> None:
    VALIDATOR.validate(parse(path.read_text(encoding="utf-8"))[0])


def test_the_schema_takes_whatever_the_loader_takes() -> None:
    taken = 0
    for entry in entries():
        assert accepted(entry)
        for path in list(paths(entry))[1:]:
            for value in POOL:
                data = copy.deepcopy(entry)
                at(data, path[:-1])[path[-1]] = value
                if accepted(data):
                    taken += 1
                    assert VALIDATOR.is_valid(data), (path, value)
    assert taken > 300


def test_the_schema_refuses_unknown_keys_wherever_the_loader_does() -> None:
    refused = 0
    for entry in entries():
        for path in paths(entry):
            if isinstance(at(entry, path), dict):
                data = copy.deepcopy(entry)
                at(data, path)["no such key"] = "x"
                refused += not accepted(data)
                assert VALIDATOR.is_valid(data) == accepted(data), path
    assert refused > 50
