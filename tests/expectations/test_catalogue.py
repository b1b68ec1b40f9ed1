"""Every check of the repository's own catalogue can be made and computed, on a batch without rows."""

from __future__ import annotations

import duckdb
import pytest

from expectations.known import Known, referenced_datasets
from schemas.arrow import entry_schema, standard_schema
from schemas.load import load_catalogue
from tests.expectations.conftest import END

CATALOGUE = load_catalogue()


def test_the_catalogue_is_not_empty() -> None:
    assert sum(len(entry.checks) for entry in CATALOGUE.entries.values()) > 50


@pytest.mark.parametrize("dataset", sorted(CATALOGUE.entries))
def test_its_checks_can_be_computed(connection: duckdb.DuckDBPyConnection, dataset: str) -> None:
    from expectations.run import run

    entry = CATALOGUE.entry(dataset)
    connection.register("batch", standard_schema(entry).empty_table())
    others = frozenset(referenced_datasets(entry))
    for other in others:
        connection.register(f"dataset {other}", entry_schema(CATALOGUE.entry(other)).empty_table())
    codes = {name: [code.code for code in listed] for name, listed in CATALOGUE.codes.items()}
    results = run(entry, connection, Known(END, codes=codes, datasets=others))
    assert [result.expect for result in results] == [check.expect for check in entry.checks]
    assert all(result.failed == 0 for result in results if result.row_level)
