"""What another platform shares: one source holds across platforms, and a policy's name is never a grant's."""

from __future__ import annotations

import pytest

from schemas.model import Territory
from tests.schemas.conftest import MARRIAGE, RESIDENT, Edit, Spoil

KEY = "1f0c9a2e4b5d6c7f"
DATABASE = "{kind: database, connection: public_security, table: RK, cursor: updated_at, overlap: 2h}"


def given(**more: str) -> Edit:
    said = {"kind": "exchange", "connection": "province", "dataset": "police.person", "key": KEY} | more
    return RESIDENT, DATABASE, "{" + ", ".join(f'{name}: "{value}"' for name, value in said.items()) + "}"


COLLECTED_AGAIN = (MARRIAGE, "fields:\n", "fields:\n  spouse: {element: person_name}\n")


def test_a_table_of_another_platform_is_a_source(spoil: Spoil) -> None:
    assert spoil(given()) == []


def test_what_is_originated_there_is_not_collected_here(spoil: Spoil) -> None:
    (problem,) = spoil(given(), COLLECTED_AGAIN)
    assert (problem.file.rsplit("/", 1)[-1], problem.key) == ("marriage.yaml", "fields.spouse")
    assert (
        "element `person_name` is originated twice: by public_security/resident.yaml (name)"
        in problem.message
    )
    assert problem.expected.startswith("`from: public_security.resident.name`")


def test_what_flows_back_to_us_stays_originated_here(spoil: Spoil) -> None:
    assert spoil(given(origin="here"), COLLECTED_AGAIN) == []


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        (given(key="1f0c"), "source.key"),
        (given(policy="default; DROP"), "source.policy"),
        (given(policy="default__grant_"), "source.policy"),
        (given(dataset="../police.person"), "source.dataset"),
        (given(origin="elsewhere"), "source.origin"),
        (
            (RESIDENT, "    statistics: {drop", "    default__grant_1: {drop"),
            "share.policies.default__grant_1",
        ),
        ((RESIDENT, "    statistics: {drop", "    two__words: {drop"), "share.policies.two__words"),
    ],
)
def test_red_case(spoil: Spoil, edit: Edit, key: str) -> None:
    (problem,) = spoil(edit)
    assert problem.key == key


def test_a_whole_table_is_not_appended(spoil: Spoil) -> None:
    edit = (RESIDENT, "merge: {kind: upsert, order_by: updated_at}", "merge: {kind: append}")
    (problem,) = spoil(given(), edit)
    assert problem.key == "merge.kind"
    assert "comes whole each time" in problem.message


@pytest.mark.parametrize(("division", "prefix"), [("320102", "320102"), ("320100", "3201"), ("320000", "32")])
def test_a_territory_is_what_its_code_begins_with(division: str, prefix: str) -> None:
    assert Territory(field="district", division=division).prefix == prefix
