"""Lineage of columns: what a field is made from, and who would feel a change."""

from __future__ import annotations

import pytest

from schemas.lineage import Column, Origin, origins, query_origins, readers
from schemas.load import Catalogue, load_catalogue

INPUTS = {
    "a.person": ("id", "name", "age", "home"),
    "a.house": ("id", "place", "rooms"),
    "b.other": ("id", "x"),
}


def made(sql: str, output: str = "out") -> set[tuple[str, str]]:
    """`(dataset.field, how)` of one output column."""
    return {(".".join(o.column), o.how) for o in query_origins(sql, INPUTS, [output])[output]}


@pytest.fixture(scope="module")
def city() -> Catalogue:
    return load_catalogue()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT name AS out FROM a.person", {("a.person.name", "IDENTITY")}),
        ("SELECT (p.name) AS OUT FROM a.person p", {("a.person.name", "IDENTITY")}),
        ("SELECT upper(name) AS out FROM a.person", {("a.person.name", "TRANSFORMATION")}),
        ("SELECT sum(age) AS out FROM a.person", {("a.person.age", "AGGREGATION")}),
        (
            "WITH q AS (SELECT max(age) AS m FROM a.person) SELECT m + 1 AS out FROM q",
            {("a.person.age", "AGGREGATION")},
        ),
        (
            "SELECT name AS out FROM a.person WHERE age > 3",
            {("a.person.name", "IDENTITY"), ("a.person.age", "FILTER")},
        ),
        (
            "SELECT name AS out FROM a.person UNION ALL SELECT place FROM a.house",
            {("a.person.name", "IDENTITY"), ("a.house.place", "IDENTITY")},
        ),
        ("SELECT (SELECT max(x) FROM b.other) AS out FROM a.person", {("b.other.x", "AGGREGATION")}),
        ("SELECT count(*) AS out FROM a.person", set()),
        ("SELECT 1 AS out FROM a.person GROUP BY home", {("a.person.home", "GROUP_BY")}),
    ],
)
def test_a_column_of_a_query(sql: str, expected: set[tuple[str, str]]) -> None:
    assert made(sql) == expected


def test_a_join_reaches_every_column_through_the_query_below() -> None:
    sql = """
    WITH h AS (SELECT id AS key, rooms FROM a.house UNION SELECT id, x FROM b.other)
    SELECT p.name AS out FROM a.person p LEFT JOIN h ON h.key = p.home
    """
    assert made(sql) == {
        ("a.person.name", "IDENTITY"),
        ("a.person.home", "JOIN"),
        ("a.house.id", "JOIN"),
        ("b.other.id", "JOIN"),
    }


def test_the_filter_of_an_aggregate_is_part_of_its_value_and_of_no_other() -> None:
    sql = "SELECT count(*) FILTER (age > 3) AS old, count(*) AS everyone FROM a.person"
    found = query_origins(sql, INPUTS, ["old", "everyone"])
    assert found == {"old": {Origin(Column("a.person", "age"), "AGGREGATION")}, "everyone": set()}


def test_what_cannot_be_read_is_made_from_everything() -> None:
    assert len(made("SELEC name AS out FRM a.person")) == sum(map(len, INPUTS.values()))


def test_fields_obtained_by_sharing(city: Catalogue) -> None:
    found = origins(city, city.entry("civil_affairs.marriage"))
    resident = "public_security.resident"
    assert found["name"] == (
        Origin(Column(resident, "id_no"), "JOIN"),
        Origin(Column(resident, "name"), "IDENTITY"),
    )
    assert found["reg_date"] == ()


def test_every_field_of_the_citys_derived_datasets_comes_from_its_inputs(city: Catalogue) -> None:
    derived = [entry for entry in city.entries.values() if entry.source.kind == "lake"]
    assert derived
    for entry in derived:
        for field, given in origins(city, entry).items():
            assert given, f"{entry.id}.{field}"
            assert {origin.column.dataset for origin in given} <= set(entry.inputs)
            assert all(origin.column.field in city.entry(origin.column.dataset).fields for origin in given)


def test_readers_are_found_through_other_datasets(city: Catalogue) -> None:
    found = {
        (reader.column, reader.how): reader.steps
        for reader in readers(city, "human_resources.social_insurance", "status")
    }
    assert found[Column("base.population", "insured"), "AGGREGATION"] == 1
    assert found[Column("theme.district_statistics", "insured"), "AGGREGATION"] == 2
    assert not any(column.dataset == "education.school" for column, _ in found)


def test_nobody_reads_the_last_dataset_of_the_way(city: Catalogue) -> None:
    assert readers(city, "theme.district_statistics") == []
