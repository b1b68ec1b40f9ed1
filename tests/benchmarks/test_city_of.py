"""A catalogue of any number of datasets is a valid one, and exactly as large as was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.city_of import write_catalogue
from schemas.load import check_catalogue, load_catalogue


@pytest.mark.parametrize("datasets", [1, 17, 45])
def test_so_many_valid_entries(tmp_path: Path, datasets: int) -> None:
    write_catalogue(tmp_path / "city", 60)
    write_catalogue(tmp_path / "city", datasets)
    assert check_catalogue(tmp_path / "city") == []
    catalogue = load_catalogue(tmp_path / "city")
    assert len(catalogue.entries) == datasets
    assert len({entry.code for entry in catalogue.entries.values()}) == datasets
    if datasets > 17:
        resident = catalogue.entry("public_security_2.resident")
        assert resident.fields["name"].element == "person_name_2"
        assert catalogue.elements["person_name_2"].like == "person_name"
        assert catalogue.entry("civil_affairs_2.marriage").inputs == ("public_security_2.resident",)
