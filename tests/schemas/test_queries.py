"""Derived datasets together: their queries share tables and statements, and each is judged as if it were alone."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from schemas.house import House, read_house
from schemas.rules import queries
from schemas.rules.queries import Derived, query_findings
from tests.conftest import write_catalogue
from tests.schemas.conftest import CITY, COUPLES, MARRIAGE, Edit, edited

INPUTS = "inputs: [civil_affairs.marriage, public_security.resident]"
MARRIED = "SELECT year(reg_date) AS reg_year, count(*) AS registered FROM civil_affairs.marriage GROUP BY 1"
BOTH = f"{MARRIED} HAVING max(name) < (SELECT max(name) FROM public_security.resident)"
OUT_OF_SCOPE = """
SELECT 1 AS reg_year, 2 AS registered
FROM (WITH resident AS (SELECT reg_no FROM civil_affairs.marriage) SELECT * FROM resident), resident
"""
NOBODY = "SELECT nobody AS reg_year, 1 AS registered FROM public_security.resident"


def derived(number: int, sql: str) -> tuple[str, str]:
    """A derived dataset like COUPLES with a query of its own, and the file that it stands in."""
    inputs = [name for name in ("civil_affairs.marriage", "public_security.resident") if name in sql]
    start, rest = CITY[COUPLES].split("  sql: |\n")
    named = start.replace("theme.couples", f"theme.couples{number}").replace(
        INPUTS, f"inputs: [{', '.join(inputs)}]"
    )
    return f"theme/couples{number}.yaml", f"{named}  sql: {json.dumps(sql)}\n{rest[rest.index('key:') :]}"


def house_of(tmp_path: Path, *queries: str, edits: tuple[Edit, ...] = ()) -> tuple[House, list[Derived]]:
    files = edited(*edits) | dict(derived(number, sql) for number, sql in enumerate(queries))
    house = read_house(write_catalogue(tmp_path, {k: v for k, v in files.items() if k != COUPLES}))
    drafts = [draft for place, draft in house.drafts.items() if place.startswith("theme.")]
    return house, [(draft.written.source, draft) for draft in drafts]


class Listening:
    """DuckDB, and what it is told."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection, self.told = connection, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.connection, name)

    def execute(self, statement: str) -> duckdb.DuckDBPyConnection:
        self.told.append(statement)
        return self.connection.execute(statement)


def judged(house: House, found: list[Derived]) -> tuple[list[tuple[str, str]], list[str]]:
    """What is wrong with each query, and the statements that it took."""
    with duckdb.connect() as connection:
        listening = Listening(connection)
        findings = [(draft.place, f.message) for draft, f in query_findings(listening, found, house)]
    return findings, listening.told


def test_an_input_has_one_table_for_all_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    created = queries._created
    monkeypatch.setattr(queries, "_created", lambda name, fields: made.append(name) or created(name, fields))
    house, found = house_of(tmp_path, MARRIED, BOTH, MARRIED, BOTH)
    findings, told = judged(house, found)
    assert findings == []
    assert sorted(made) == ["civil_affairs.marriage", "public_security.resident"]
    assert [statement.split()[0] for statement in told] == ["SELECT", "CREATE", *["DESCRIBE"] * 4]


def test_many_queries_are_read_by_one_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_AT_ONCE", 2)
    house, found = house_of(tmp_path, MARRIED, f"{MARRIED}\0", f"{MARRIED} FROM", BOTH, MARRIED)
    findings, told = judged(house, found)
    assert [place for place, _ in findings] == ["theme.couples1", "theme.couples2"]
    assert [draft.columns is not None for _, draft in found] == [True, False, False, True, True]
    assert sum("json_serialize_sql" in statement for statement in told) == 3


def test_a_message_names_no_table_of_another_query(tmp_path: Path) -> None:
    alone, _ = judged(*house_of(tmp_path / "alone", OUT_OF_SCOPE))
    among, _ = judged(*house_of(tmp_path / "among", OUT_OF_SCOPE, BOTH))
    assert among == alone
    assert len(alone) == 1 and "Table with name resident does not exist!" in alone[0][1]
    assert "public_security" not in alone[0][1]


def test_an_input_that_can_have_no_table_hides_nothing_of_another_query(tmp_path: Path) -> None:
    edit = (MARRIAGE, "precision: 8, scale: 2", "precision: 1, scale: 2")
    found, _ = judged(*house_of(tmp_path, MARRIED, NOBODY, edits=(edit,)))
    assert len(found) == 1 and found[0][0] == "theme.couples1" and "nobody" in found[0][1]
