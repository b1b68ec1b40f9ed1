"""What was judged before a dataset was catalogued (Decree 809, Art. 13): one red case for each rule, and the city's own
entries."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.load import check_catalogue, load_catalogue
from schemas.model import PERSONAL
from tests.conftest import write_catalogue
from tests.schemas.conftest import CITY, COUPLES, RESIDENT, Edit, Spoil

SECRECY = 'secrecy: {day: "2026-01-05", number: 保审1号}'
IMPACT = 'impact: {day: "2026-01-06", number: 评1号}, '
APPROVED = 'approved: {day: "2026-01-07", number: 审1号}'
WHOLE = f"assessed: {{{SECRECY}, {IMPACT}{APPROVED}}}\n"
AT = "public_security/resident.yaml:24: assessed"
FORM = "`{day: …, number: …}`"

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "all_said": ([], []),
    "missing": (
        [(RESIDENT, WHOLE, "")],
        [
            "public_security/resident.yaml:1: assessed: is missing, and `id_no`, `name` have a grade of 3 or more (Decree "
            f"809, Art. 13); expected: secrecy, approved and, from grade 3 on, impact, each {FORM}"
        ],
    ),
    "not_needed_below_grade_three": ([(COUPLES, WHOLE, "")], []),
    "without_impact": (
        [(RESIDENT, IMPACT, "")],
        [
            f"{AT}.impact: is missing, and `id_no`, `name` are graded 3 or more (Decree 809, Art. 13); expected: {FORM} "
            "of the personal-information impact assessment"
        ],
    ),
    "no_impact_below_grade_three": ([(COUPLES, IMPACT, "")], []),
    "without_approval": (
        [(RESIDENT, f", {APPROVED}", "")],
        [f"{AT}.approved: is missing; expected: {{day: …, number: …}}"],
    ),
    "approved_before": (
        [(RESIDENT, '"2026-01-06"', '"2026-01-08"')],
        [
            f"{AT}.impact.day: is after the day of the approval, 2026-01-07; expected: what was there when the head "
            "approved it"
        ],
    ),
    "to_come": (
        [(RESIDENT, '"2026-01-07"', '"2996-01-07"')],
        [f"{AT}.approved.day: is a day to come; expected: the day of the document"],
    ),
    "a_name": (
        [(RESIDENT, "number: 审1号", "number: 某某")],
        [
            f"{AT}.approved.number: the value has not the right form; expected: the number of a document, such as 宁民保审〔2026〕3号"
        ],
    ),
    "a_number_of_a_person": (
        [(RESIDENT, "评1号", "评320102199001011234")],
        [
            f"{AT}.impact.number: may be the number of a person, and goes into a log that is never changed; expected: "
            "the document's number"
        ],
    ),
}


@pytest.mark.parametrize(("edits", "expected"), CASES.values(), ids=CASES)
def test_red_case(spoil: Spoil, edits: list[Edit], expected: list[str]) -> None:
    assert [str(problem) for problem in spoil(*edits)] == expected


@pytest.mark.parametrize(("grade", "found"), [(1, 3), (3, 2), (4, 2)])
def test_a_city_says_from_which_grade_on(tmp_path: Path, grade: int, found: int) -> None:
    """1: of every dataset, as the decree asks it."""
    files = {name: text.replace(WHOLE, "") for name, text in CITY.items()}
    policy = {"policy.yaml": f"catalogue: {{assess_from: {grade}}}\n"}
    problems = check_catalogue(write_catalogue(tmp_path, files | policy))
    assert [problem.key for problem in problems] == ["assessed"] * found


def test_every_dataset_of_the_city_was_assessed() -> None:
    entries = load_catalogue().entries.values()
    assert len(entries) >= 12
    for entry in entries:
        assert entry.assessed is not None, entry.id
        personal = any(field.grade >= PERSONAL for field in entry.fields.values())
        assert (entry.assessed.impact is not None) == personal, entry.id
