"""What the disclosure gate is told: one red case for each rule."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import COUPLES, MARRIAGE, Edit, Spoil
from tests.schemas.test_subject import ABOUT_MARRIAGES, DIRECT, PERSON, RISKY, SAID

PERSONS: list[Edit] = [PERSON, DIRECT, ABOUT_MARRIAGES, SAID, *RISKY[:1], RISKY[2]]
DAY: Edit = (MARRIAGE, "reg_date: {type: date, grade: 1", "reg_date: {type: date, grade: 1, risk: quasi")


def limits(said: str) -> list[Edit]:
    return [*PERSONS, DAY, (MARRIAGE, "fee]\n", f"fee]\n  disclosure: {{{said}}}\n")]


def ladder(steps: str) -> list[Edit]:
    return [
        *PERSONS,
        (
            MARRIAGE,
            "reg_date: {type: date, grade: 1",
            f"reg_date: {{type: date, grade: 1, risk: quasi, ladder: {steps}",
        ),
    ]


def couples(said: str, fields: str = "registered: {type: integer, grade: 1}") -> list[Edit]:
    return [
        *PERSONS,
        DAY,
        (COUPLES, ", counts: [registered]", said),
        (COUPLES, "registered: {type: integer, grade: 1}", fields),
    ]


NOISE = "registered: {type: integer, grade: 1, mask: {open: {kind: noise, epsilon: 0.5, sensitivity: 1}}}"
DECIMALS = (
    "registered: {{type: decimal, precision: {precision}, scale: 2, grade: 1, "
    "mask: {{open: {{kind: noise, epsilon: 0.5, sensitivity: 1, min: {min}}}}}}}"
)
AT, WRITTEN = "civil_affairs/marriage.yaml:18: ", "theme/couples.yaml:"
CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "all_right": (
        limits("k: 30, l: 3, t: 0.4, release: public, suppress: cells, generalise: [reg_date]"),
        [],
    ),
    "too_few_rows_of_a_class": (
        limits("k: 20"),
        [AT + "open.disclosure.k: is 20: a public release has classes of more rows; expected: 21 or more"],
    ),
    "a_door_that_is_not_there": (
        limits("release: enclave"),
        [
            AT
            + "open.disclosure.release: is enclave, and no door stands before the open zone: policy.yaml asks public; expected: `public`"
        ],
    ),
    "no_quasi_identifier": (
        limits("generalise: [fee]"),
        [
            AT
            + "open.disclosure.generalise: names `fee`, which is no quasi-identifier (risk sensitive); expected: fields with `risk: quasi`"
        ],
    ),
    "not_of_persons": (
        [*PERSONS, DAY, (COUPLES, ", counts: [registered]", ", counts: [registered], disclosure: {k: 30}")],
        [
            WRITTEN
            + "18: open.disclosure: is said, and the rows are not persons'; expected: `subject: person`, or no more than `suppress` beside `counts`"
        ],
    ),
    "cells_of_aggregates": (
        [
            *PERSONS,
            DAY,
            (COUPLES, ", counts: [registered]", ", counts: [registered], disclosure: {suppress: cells}"),
        ],
        [],
    ),
    "a_ladder": (ladder("[month, year]"), []),
    "a_ladder_of_places_for_a_day": (
        ladder("[district]"),
        [
            "civil_affairs/marriage.yaml:22: fields.reg_date.ladder: generalise to district does not fit type date; expected: a division code, of type string"
        ],
    ),
    "a_ladder_down": (
        ladder("[year, month]"),
        [
            "civil_affairs/marriage.yaml:22: fields.reg_date.ladder: does not become coarser from step to step; expected: the finest first"
        ],
    ),
    "aggregates_that_count_nobody": (
        couples(""),
        [
            WRITTEN
            + "18: open.counts: is missing, and the rows are aggregates of persons: a row that counts few would tell of each; expected: the fields that say how many persons a row is made of, or []"
        ],
    ),
    "aggregates_of_no_count": (couples(", counts: []"), []),
    "a_count_that_is_none": (
        couples(", counts: [registered]", "registered: {type: string, grade: 1}"),
        [
            WRITTEN
            + "18: open.counts: names `registered`, which counts nothing; expected: fields of type integer"
        ],
    ),
    "noise": (couples(", counts: [registered], budget: 0.5", NOISE), []),
    "noise_without_a_budget": (
        couples(", counts: [registered]", NOISE),
        [
            WRITTEN
            + "18: open.budget: is missing, and noise is drawn; expected: epsilon of all releases together"
        ],
    ),
    "noise_beyond_its_budget": (
        couples(", counts: [registered], budget: 0.4", NOISE),
        [
            WRITTEN
            + "18: open.budget: is 0.4, and one release spends 0.5; expected: more, or masks with a smaller epsilon"
        ],
    ),
    "noise_on_decimals": (couples(", counts: [], budget: 1", DECIMALS.format(precision=18, min="-1.5")), []),
    "noise_on_decimals_of_more_than_64_bits": (
        couples(", counts: [], budget: 1", DECIMALS.format(precision=19, min=0)),
        [
            WRITTEN
            + "21: fields.registered.precision: is 19, and the field has noise, which is drawn in 64 bits; expected: 18 digits or fewer"
        ],
    ),
    "noise_of_a_min_with_more_digits": (
        couples(", counts: [], budget: 1", DECIMALS.format(precision=4, min=99.996)),
        [
            WRITTEN
            + "21: fields.registered: noise has min 99.996, which is no number of the field's type; expected: a `min` that the field could hold"
        ],
    ),
    "noise_of_a_min_between_whole_numbers": (
        couples(
            ", counts: [registered], budget: 1", NOISE.replace("sensitivity: 1", "sensitivity: 1, min: 0.5")
        ),
        [
            WRITTEN
            + "21: fields.registered: noise has min 0.5, which is no number of the field's type; expected: a `min` that the field could hold"
        ],
    ),
    "noise_that_is_shared": (
        couples(", counts: [registered]", NOISE.replace("open:", "share:")),
        [
            WRITTEN
            + "17: share.policies.default.mask.registered: is noise, and its budget is the public's; expected: another mask where it is shared"
        ],
    ),
    "noise_on_persons": (
        [
            *PERSONS[:-1],
            DAY,
            (
                MARRIAGE,
                "fee: {type: decimal, grade: 1",
                "fee: {type: decimal, grade: 1, risk: sensitive, mask: {open: {kind: noise, epsilon: 1, sensitivity: 9}}",
            ),
            (MARRIAGE, "fee]\n", "fee]\n  budget: 1\n"),
        ],
        [
            "civil_affairs/marriage.yaml:15: open.counts: is missing, and noise is drawn on what counts or sums persons; expected: the fields that say how many persons a row is made of, or []",
            "civil_affairs/marriage.yaml:15: open.mask: has noise on `fee`, and a row is a person's; expected: another mask, or aggregates (another `subject`)",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems
