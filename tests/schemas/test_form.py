"""The form of a file: unknown, missing and malformed keys, each with its line and the form expected."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import MARRIAGE, RESIDENT, Edit, Spoil

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "unknown_key": (
        [(RESIDENT, "owner:", "ownr:")],
        [
            "public_security/resident.yaml:1: owner: is missing; expected: a name, of lower-case a-z, 0-9 and _, such as `reg_date`",
            "public_security/resident.yaml:5: ownr: unknown key; did you mean `owner`?; expected: one of `id`, `title`, `summary`, `code`, `owner`, `subject`, `assessed`, `source`, `schedule`, `key`, `merge`, `brake`, `retention`, `engine`, `share`, `open`, `fields`, `checks`",
        ],
    ),
    "unknown_nested": (
        [(RESIDENT, "cron:", "corn:")],
        [
            "public_security/resident.yaml:7: schedule.corn: unknown key; did you mean `cron`?; expected: one of `cron`, `timezone`, `late_after`, `start`, `catchup`",
            "public_security/resident.yaml:7: schedule.cron: is missing; expected: text",
        ],
    ),
    "missing_grade": (
        [(RESIDENT, "{type: string, grade: 1, codes", "{type: string, codes")],
        [
            "public_security/resident.yaml:20: fields.gender.grade: is missing, and no element gives it; expected: 1 public, 2 internal, 3 personal or commercial, 4 sensitive (GB/T 43697)"
        ],
    ),
    "missing_type": (
        [(RESIDENT, "{type: string, grade: 1, codes", "{grade: 1, codes")],
        [
            "public_security/resident.yaml:20: fields.gender.type: is missing, and no element gives it; expected: string, integer, decimal, number, boolean, date, timestamp or binary"
        ],
    ),
    "missing_key": (
        [(RESIDENT, "key: [id_no]\n", "")],
        ["public_security/resident.yaml:1: key: is missing; expected: a list: [a, b]"],
    ),
    "missing_share": (
        [(MARRIAGE, "share: {type: unconditional}\n", "")],
        ["civil_affairs/marriage.yaml:1: share: is missing; expected: {type: …}"],
    ),
    "missing_open": (
        [(RESIDENT, "open: {type: none, basis: {zh: 个人信息}}\n", "")],
        ["public_security/resident.yaml:1: open: is missing; expected: {type: …}"],
    ),
    "missing_checks": (
        [
            (
                RESIDENT,
                "checks:\n  - {expect: expect_column_values_to_be_unique, column: id_no, on_fail: stop}\n",
                "",
            )
        ],
        ["public_security/resident.yaml:1: checks: is missing; expected: a list: [a, b]"],
    ),
    "no_checks": (
        [
            (
                RESIDENT,
                "checks:\n  - {expect: expect_column_values_to_be_unique, column: id_no, on_fail: stop}\n",
                "checks: []\n",
            )
        ],
        ["public_security/resident.yaml:22: checks: is empty; expected: at least one"],
    ),
    "id_double_underscore": (
        [(RESIDENT, "id: public_security.resident", "id: public_security.resident__old")],
        [
            "public_security/resident.yaml:1: id: the value has not the right form; expected: `department.dataset`, words of lower-case a-z and 0-9 with single _ between them (`__` joins them in the names of tables)"
        ],
    ),
    "id_underscore_last": (
        [(RESIDENT, "id: public_security.resident", "id: public_security_.resident")],
        [
            "public_security/resident.yaml:1: id: the value has not the right form; expected: `department.dataset`, words of lower-case a-z and 0-9 with single _ between them (`__` joins them in the names of tables)"
        ],
    ),
    "id_too_long": (
        [(RESIDENT, "id: public_security.resident", f"id: public_security.{'r' * 80}")],
        ["public_security/resident.yaml:1: id: is out of bounds; expected: 83 character(s) at most"],
    ),
    "grade": (
        [(RESIDENT, "grade: 1, codes", "grade: 7, codes")],
        ["public_security/resident.yaml:20: fields.gender.grade: is out of bounds; expected: at most 4"],
    ),
    "grade_text": (
        [(RESIDENT, "grade: 1, codes", 'grade: "1", codes')],
        [
            "public_security/resident.yaml:20: fields.gender.grade: is of the wrong kind; expected: a whole number"
        ],
    ),
    "grade_bool": (
        [(RESIDENT, "grade: 1, codes", "grade: true, codes")],
        [
            "public_security/resident.yaml:20: fields.gender.grade: is of the wrong kind; expected: a whole number"
        ],
    ),
    "code_number": (
        [(RESIDENT, '"301001/000001"', "301001")],
        [
            "public_security/resident.yaml:4: code: is of the wrong kind; expected: text (in quotes where it looks like a number)"
        ],
    ),
    "duration": (
        [(RESIDENT, "4h", "4 hours")],
        [
            "public_security/resident.yaml:7: schedule.late_after: has not the right form; expected: a number and a unit: 30s, 15m, 6h or 2d"
        ],
    ),
    "date": (
        [(RESIDENT, "2026-03-02", "2026-02-30")],
        [
            "public_security/resident.yaml:7: schedule.start: is of the wrong kind; expected: a date: 2026-01-31"
        ],
    ),
    "mask_kind": (
        [(RESIDENT, "mask: {name: hmac}", "mask: {name: hmacc}")],
        [
            "public_security/resident.yaml:15: share.policies.statistics.mask.name: is not one of the values allowed; did you mean `hmac`?; expected: one of `keep`, `drop`, `hmac`, `redact` or {kind: …}"
        ],
    ),
    "mask_kind2": (
        [(RESIDENT, "mask: {name: hmac}", "mask: {name: {kind: partail}}")],
        [
            "public_security/resident.yaml:15: share.policies.statistics.mask.name.kind: is not one of the values allowed; did you mean `partial`?; expected: one of `keep`, `drop`, `hmac`, `fpe`, `partial`, `generalise`, `round`, `clip`, `constant`, `noise`, `redact`"
        ],
    ),
    "mask_no_kind": (
        [(RESIDENT, "mask: {name: hmac}", "mask: {name: {first: 1}}")],
        [
            "public_security/resident.yaml:15: share.policies.statistics.mask.name.kind: is missing; expected: one of `keep`, `drop`, `hmac`, `fpe`, `partial`, `generalise`, `round`, `clip`, `constant`, `noise`, `redact`"
        ],
    ),
    "check_on_fail": (
        [(MARRIAGE, "min_value: 1, on_fail: stop", "min_value: 1")],
        [
            "civil_affairs/marriage.yaml:25: checks[1].on_fail: is missing; expected: one of `stop`, `quarantine`, `warn`"
        ],
    ),
    "check_on_fail2": (
        [(MARRIAGE, "min_value: 1, on_fail: stop", "min_value: 1, on_fail: halt")],
        [
            "civil_affairs/marriage.yaml:25: checks[1].on_fail: is not one of the values allowed; expected: one of `stop`, `quarantine`, `warn`"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems
