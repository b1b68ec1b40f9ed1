"""Checks against the signatures of expectations.yaml: one red case for each rule."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import MARRIAGE, RESIDENT, Edit, Spoil

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "check_name": (
        [(RESIDENT, "expect_column_values_to_be_unique", "expect_column_values_to_be_uniq")],
        [
            "public_security/resident.yaml:23: checks[0].expect: no expectation `expect_column_values_to_be_uniq`; did you mean `expect_column_values_to_be_unique`, `expect_column_values_to_be_null`, `expect_column_values_to_be_in_set`?; expected: a name of Great Expectations or of expectations/"
        ],
    ),
    "check_argument": (
        [(RESIDENT, "column: id_no, on_fail: stop", "colum: id_no, on_fail: stop")],
        [
            "public_security/resident.yaml:23: checks[0].colum: `expect_column_values_to_be_unique` takes no `colum`; did you mean `column`?; expected: one of `column`, `mostly`, `row_condition`",
            "public_security/resident.yaml:23: checks[0].column: is missing: `expect_column_values_to_be_unique` needs it; expected: `column: …`",
        ],
    ),
    "check_column": (
        [(RESIDENT, "column: id_no, on_fail: stop", "column: idno, on_fail: stop")],
        [
            "public_security/resident.yaml:23: checks[0].column: `idno` is no field of this dataset; did you mean `id_no`?; expected: a field under `fields`"
        ],
    ),
    "check_engine": (
        [
            (RESIDENT, "key: [id_no]", "engine: spark\nkey: [id_no]"),
            (RESIDENT, "expect_column_values_to_be_unique", "expect_column_values_to_be_increasing"),
        ],
        [
            "public_security/resident.yaml:8: engine: spark does not do `expect_column_values_to_be_increasing`; expected: `local`, or another check"
        ],
    ),
    "check_quarantine": (
        [(MARRIAGE, "min_value: 1, on_fail: stop", "min_value: 1, on_fail: quarantine")],
        [
            "civil_affairs/marriage.yaml:25: checks[1].on_fail: `expect_table_row_count_to_be_between` names no rows, so none can be set aside; expected: `stop` or `warn`"
        ],
    ),
    "check_regex": (
        [(MARRIAGE, '"^J\\\\d{8}$"', '"("')],
        [
            "civil_affairs/marriage.yaml:24: checks[0].regex: is no regular expression; expected: a regex as RE2 reads it, without look-ahead, look-behind and back-references"
        ],
    ),
    "check_regex_look_around": (
        [(MARRIAGE, '"^J\\\\d{8}$"', '"^(?!J0)J"')],
        [
            "civil_affairs/marriage.yaml:24: checks[0].regex: is a regex of Perl's or Python's kind, which RE2 does not read; expected: a regex as RE2 reads it, without look-ahead, look-behind and back-references"
        ],
    ),
    "check_regex_list_back_reference": (
        [
            (
                MARRIAGE,
                'to_match_regex, column: reg_no, regex: "^J\\\\d{8}$"',
                "to_match_regex_list, column: reg_no, regex_list: ['(J)\\1', '^J']",
            )
        ],
        [
            "civil_affairs/marriage.yaml:24: checks[0].regex_list: is a regex of Perl's or Python's kind, which RE2 does not read; expected: a regex as RE2 reads it, without look-ahead, look-behind and back-references"
        ],
    ),
    "check_regex_script": ([(MARRIAGE, '"^J\\\\d{8}$"', "'^\\p{Han}+$'")], []),
    "check_bound": (
        [(MARRIAGE, "min_value: 1, on_fail: stop", "min_value: one, on_fail: stop")],
        [
            "civil_affairs/marriage.yaml:25: checks[1].min_value: is no bound; expected: a number, a date or a time: `0`, `2026-03-01`"
        ],
    ),
    "check_bounds_crossed": (
        [(MARRIAGE, "min_value: 1, on_fail: stop", "min_value: 10, max_value: 9.5, on_fail: stop")],
        [
            "civil_affairs/marriage.yaml:25: checks[1].max_value: is below `min_value`, so nothing can pass; expected: the higher one"
        ],
    ),
    "check_bounds_of_days": (
        [
            (
                MARRIAGE,
                "min_value: 1, on_fail: stop",
                "min_value: '2026-03-01', max_value: 2026-03-02, on_fail: stop",
            )
        ],
        [],
    ),
    "check_mostly": (
        [(RESIDENT, "column: id_no, on_fail: stop", "column: id_no, mostly: 95, on_fail: stop")],
        [
            "public_security/resident.yaml:23: checks[0].mostly: is not a share of the rows; expected: more than 0, at most 1"
        ],
    ),
    "check_codes": (
        [
            (
                RESIDENT,
                "expect_column_values_to_be_unique, column: id_no",
                "expect_column_values_to_be_in_code_list, column: gender, codes: gendre",
            )
        ],
        [
            "public_security/resident.yaml:23: checks[0].codes: no code list `gendre`; did you mean `gender`?; expected: a file of codes/, without .csv"
        ],
    ),
    "check_dataset": (
        [
            (
                MARRIAGE,
                "expect_table_row_count_to_be_between, min_value: 1",
                "expect_column_values_to_exist_in_dataset, column: id_no, dataset: public_security.residents, field: id_no",
            )
        ],
        [
            "civil_affairs/marriage.yaml:25: checks[1].dataset: no dataset `public_security.residents`; did you mean `public_security.resident`?; expected: a dataset of the catalogue"
        ],
    ),
    "check_field": (
        [
            (
                MARRIAGE,
                "expect_table_row_count_to_be_between, min_value: 1",
                "expect_column_values_to_exist_in_dataset, column: id_no, dataset: public_security.resident, field: idno",
            )
        ],
        [
            "civil_affairs/marriage.yaml:25: checks[1].field: `public_security.resident` has no field `idno`; did you mean `id_no`?; expected: a field of `public_security.resident`"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems
