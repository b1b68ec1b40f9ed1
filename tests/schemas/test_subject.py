"""What a row is about and what its fields tell of a person: one red case for each rule, and the city's own entries."""

from __future__ import annotations

import pytest

from schemas.load import load_catalogue
from tests.schemas.conftest import COUPLES, MARRIAGE, RESIDENT, Edit, Spoil

PERSON: Edit = (RESIDENT, "owner: public_security\n", "owner: public_security\nsubject: person\n")
DIRECT: Edit = (
    "elements.yaml",
    "  grade: 4\n  one_source",
    "  grade: 4\n  risk: direct\n  one_source",
)
ABOUT_MARRIAGES: Edit = (
    MARRIAGE,
    "owner: civil_affairs\nsource:",
    "owner: civil_affairs\nsubject: person\nsource:",
)
SAID: Edit = (COUPLES, "owner: civil_affairs\n", "owner: civil_affairs\nsubject: thing\n")
RISKY: tuple[Edit, ...] = (
    (MARRIAGE, "reg_no: {type: string, grade: 1", "reg_no: {type: string, grade: 1, risk: none"),
    (MARRIAGE, "reg_date: {type: date, grade: 1", "reg_date: {type: date, grade: 1, risk: quasi"),
    (MARRIAGE, "fee: {type: decimal, grade: 1", "fee: {type: decimal, grade: 1, risk: sensitive"),
)

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "all_said": ([PERSON, DIRECT, ABOUT_MARRIAGES, SAID, *RISKY], []),
    "direct_without_subject": (
        [DIRECT, PERSON, SAID],
        [
            "civil_affairs/marriage.yaml:1: subject: is missing, and `id_no` identifies a person directly (GB/T 42460); expected: `subject: person`"
        ],
    ),
    "direct_of_an_organisation": (
        [
            DIRECT,
            (RESIDENT, "owner: public_security\n", "owner: public_security\nsubject: organisation\n"),
            ABOUT_MARRIAGES,
            SAID,
            *RISKY,
        ],
        [
            "public_security/resident.yaml:6: subject: is organisation, and `id_no` identifies a person directly (GB/T 42460); expected: `subject: person`"
        ],
    ),
    "derived_of_persons": (
        [PERSON],
        [
            "theme/couples.yaml:1: subject: is missing, and the SQL reads `public_security.resident`, where a row is a person's; expected: `person`, or `organisation` or `thing` where rows are aggregates"
        ],
    ),
    "opened_without_risk": (
        [ABOUT_MARRIAGES, SAID, *RISKY[1:]],
        [
            "civil_affairs/marriage.yaml:19: fields.reg_no.risk: is opened, is of a person, and nobody says what it tells of them (GB/T 42460); expected: direct, quasi, sensitive or none"
        ],
    ),
    "loosened": (
        [
            DIRECT,
            PERSON,
            ABOUT_MARRIAGES,
            SAID,
            *RISKY,
            (
                RESIDENT,
                "id_no: {element: resident_id, source",
                "id_no: {element: resident_id, risk: quasi, source",
            ),
        ],
        [
            "public_security/resident.yaml:19: fields.id_no.risk: loosens element `resident_id`: risk quasi is below its direct; expected: `direct` or more, or no `risk`"
        ],
    ),
    "loosened_origin": (
        [
            PERSON,
            SAID,
            (RESIDENT, "name: {element: person_name", "name: {element: person_name, risk: direct"),
            (MARRIAGE, "name: {element: person_name", "name: {element: person_name, risk: none"),
        ],
        [
            "civil_affairs/marriage.yaml:20: fields.name.risk: loosens its origin `public_security.resident.name`: risk none is below its direct; expected: `direct`"
        ],
    ),
    "no_share_of_rows": (
        [(MARRIAGE, "reg_date, fee]", "reg_date, fee]\n  disclosure: {suppress_up_to: 1.0}")],
        [
            "civil_affairs/marriage.yaml:17: open.disclosure.suppress_up_to: is out of bounds; expected: less than 1"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems


def test_the_city_opens_nothing_of_persons_whose_risk_is_not_said() -> None:
    entries = load_catalogue().entries.values()
    opened = [each for each in entries if each.subject == "person" and each.open.type != "none"]
    assert len(opened) >= 2
    assert all(each.fields[name].risk for each in opened for name in each.open.fields or ())
    assert sum(each.subject == "person" for each in entries) >= 8
