"""The policy file: the house's numbers, a catalogue's own over them, an entry's over those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import CatalogueError
from schemas.load import Catalogue, load_catalogue
from schemas.model import Open
from schemas.numbers import default_numbers
from tests.conftest import write_catalogue
from tests.pipelines.merging.making import entry_yaml

ENTRY = entry_yaml("snapshot", {"id": {"type": "string"}}, ["id"], None)


def loaded(root: Path, entry: str = ENTRY, policy: str | None = None) -> Catalogue:
    files = {"dept/data.yaml": entry} | ({"policy.yaml": policy} if policy is not None else {})
    return load_catalogue(write_catalogue(root, files))


def test_what_nobody_says_is_as_the_house_says(tmp_path: Path) -> None:
    catalogue = loaded(tmp_path)
    assert catalogue.numbers == default_numbers()
    assert catalogue.entry("dept.data").brake == default_numbers().brake


def test_a_catalogues_own_file_changes_one_number_and_an_entry_another(tmp_path: Path) -> None:
    entry = ENTRY.replace('"key":', '"brake": {"delete": 0.75},\n "key":')
    catalogue = loaded(tmp_path, entry, "brake: {change: 0.25}\n")
    brake = catalogue.entry("dept.data").brake
    house = default_numbers().brake
    assert (brake.delete, brake.change, brake.arrive) == (0.75, 0.25, house.arrive)
    assert catalogue.numbers.quarantine == default_numbers().quarantine


@pytest.mark.parametrize(
    ("policy", "line", "key"),
    [
        ("brake:\n  change: 2.0\n", 2, "brake.change"),
        ("quarantine:\n  correct_within: many\n", 2, "quarantine.correct_within"),
        ("braek: {}\n", 1, "braek"),
        ("brake: 3\n", 1, "brake"),
        ("brake: [", 2, None),
        ("retention:\n  curated: 89d\n", 2, "retention.curated"),
        ("retention:\n  landing: 0d\n", 2, "retention.landing"),
        ("retention:\n  landing: for ever\n", 2, "retention.landing"),
        ("open:\n  licence: {zh: 甲, en: A}\n", 2, "open.licence"),
        ("open:\n  licence:\n    zh: 甲\n    en: A\n    url: data.city.example\n", 5, "open.licence.url"),
        ("open:\n  license: null\n", 2, "open.license"),
        ("incidents:\n  remind_before: soon\n", 2, "incidents.remind_before"),
        ("incidents:\n  levels: {}\n", 2, "incidents.levels"),
        ("incidents:\n  levels: {red: {zh: 红, en: red}}\n", 1, "incidents"),
        ("incidents:\n  told: {press: {zh: 媒体, en: press}}\n", 1, "incidents"),
    ],
)
def test_what_is_wrong_has_its_line(tmp_path: Path, policy: str, line: int, key: str | None) -> None:
    with pytest.raises(CatalogueError) as caught:
        loaded(tmp_path, policy=policy)
    (problem,) = caught.value.problems
    assert problem.file.endswith("policy.yaml") and problem.line == line and key in (problem.key, None)
    assert problem.expected


def test_how_long_data_are_kept_of_persons_no_longer_than_the_policy_says(tmp_path: Path) -> None:
    """The policy keeps originals for a year."""
    own = ENTRY.replace('"key":', '"retention": {"landing": "800d", "standard": "10d"},\n "key":')
    kept = loaded(tmp_path / "things", own).entry("dept.data").retention
    assert (kept.landing.days, kept.standard.days, kept.curated.days) == (800, 10, 90)
    of_persons = own.replace('"key":', '"subject": "person",\n "key":')
    with pytest.raises(CatalogueError) as caught:
        loaded(tmp_path / "persons", of_persons)
    (problem,) = [each for each in caught.value.problems if each.key.startswith("retention")]
    assert (problem.key, problem.expected) == ("retention.landing", "365d or less")


CITY = "open: {licence: {zh: 某市许可, en: The city's, text: {zh: 须注明来源}}}\n"
OPENED = {"type": "unconditional", "fields": ["id"], "mask": {"id": {"kind": "constant", "value": "x"}}}


def opened(root: Path, said: dict[str, Any], policy: str | None = CITY) -> Open:
    return loaded(root, json.dumps(json.loads(ENTRY) | {"open": said}), policy).entry("dept.data").open


def test_the_licence_is_the_citys_where_an_entry_says_none(tmp_path: Path) -> None:
    citys = opened(tmp_path / "city", OPENED).licence
    assert citys is not None and citys.zh == "某市许可"
    licence = {"zh": "甲", "en": "A", "url": "https://data.city.example/a"}
    own = opened(tmp_path / "own", OPENED | {"licence": licence}).licence
    assert own is not None and own.zh == "甲"


def test_without_a_licence_and_on_conditions_nothing_is_claimed(tmp_path: Path) -> None:
    assert opened(tmp_path / "none", OPENED, None).licence is None
    on_conditions = OPENED | {"type": "conditional", "conditions": {"zh": "须注明来源"}}
    assert opened(tmp_path / "conditions", on_conditions).licence is None
