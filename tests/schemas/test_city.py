"""Rules over the whole catalogue, and over the shared files: one red case for each."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import MARRIAGE, RESIDENT, Edit, Spoil

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "two_sources": (
        [
            (
                MARRIAGE,
                "reg_no: {type: string, grade: 1}",
                "reg_no: {type: string, grade: 1}\n  pay: {element: income}",
            ),
            (RESIDENT, "gender:", "pay2: {element: income}\n  gender:"),
        ],
        [
            "civil_affairs/marriage.yaml:19: fields.pay: element `income` is originated twice: by public_security/resident.yaml (pay2) and by civil_affairs/marriage.yaml (pay); it can be had by sharing; expected: `from: public_security.resident.pay2` instead of collecting it"
        ],
    ),
    "two_sources_shared": (
        [
            (
                MARRIAGE,
                "name: {element: person_name, from: public_security.resident}",
                "spouse: {element: person_name}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:20: fields.spouse: element `person_name` is originated twice: by public_security/resident.yaml (name) and by civil_affairs/marriage.yaml (spouse); it can be had by sharing; expected: `from: public_security.resident.name` instead of collecting it"
        ],
    ),
    "circle": (
        [
            (
                RESIDENT,
                "gender: {type: string, grade: 1, codes: gender}",
                "reg_date: {type: date, grade: 1, from: civil_affairs.marriage, on: gender}\n  gender: {type: string, grade: 1, codes: gender}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:20: fields.name.from: datasets wait for each other: civil_affairs.marriage ← public_security.resident ← civil_affairs.marriage; expected: inputs without a circle"
        ],
    ),
    "circle_lake": (
        [
            (
                RESIDENT,
                "gender: {type: string, grade: 1, codes: gender}",
                "registered: {type: integer, grade: 1, from: theme.couples, on: gender}\n  gender: {type: string, grade: 1, codes: gender}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:20: fields.name.from: datasets wait for each other: civil_affairs.marriage ← public_security.resident ← theme.couples ← civil_affairs.marriage; expected: inputs without a circle",
            "public_security/resident.yaml:20: fields.registered.from: datasets wait for each other: public_security.resident ← theme.couples ← public_security.resident; expected: inputs without a circle",
        ],
    ),
    "element_like": (
        [("elements.yaml", "income:\n", "income:\n  like: incme\n")],
        [
            "elements.yaml:17: income.like: no element `incme`; did you mean `income`?; expected: an element of elements.yaml"
        ],
    ),
    "element_circle": (
        [
            ("elements.yaml", "income:\n", "income:\n  like: person_name\n"),
            ("elements.yaml", "person_name:\n", "person_name:\n  like: income\n"),
        ],
        [
            "elements.yaml:18: income.like: elements go in a circle: income → person_name → income; expected: a chain that ends"
        ],
    ),
    "element_codes": (
        [("elements.yaml", "  length: 50\n", "  length: 50\n  codes: namen\n")],
        [
            "elements.yaml:15: person_name.codes: no code list `namen`; expected: a file of codes/, without .csv"
        ],
    ),
    "element_check": (
        [("elements.yaml", "valid_resident_id", "valid_residentid")],
        [
            "elements.yaml:9: resident_id.checks[0].expect: no expectation `expect_column_values_to_be_valid_residentid`; did you mean `expect_column_values_to_be_valid_resident_id`, `expect_column_values_to_be_valid_uscc`, `expect_column_values_to_be_valid_division_code`?; expected: a name of Great Expectations or of expectations/"
        ],
    ),
    "element_mask": (
        [("elements.yaml", "  precision: 12", "  mask: {open: redact}\n  precision: 12")],
        [
            "elements.yaml:20: income.mask.open: redact does not fit type decimal; expected: a field of type string"
        ],
    ),
    "element_scale": (
        [("elements.yaml", "precision: 12", "precision: 1")],
        [
            "elements.yaml:21: income.scale: scale 2 is above precision 1; expected: digits after the point, at most all digits (`precision`)"
        ],
    ),
    "element_key": (
        [("elements.yaml", "  length: 50", "  lenght: 50")],
        [
            "elements.yaml:14: person_name.lenght: unknown key; did you mean `length`?; expected: one of `like`, `title`, `type`, `grade`, `one_source`, `formats`, `codes`, `normalise`, `precision`, `scale`, `length`, `mask`, `risk`, `ladder`, `checks`"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems
