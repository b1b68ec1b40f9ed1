"""Ids, codes and names of fields: one red case for each rule."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import MARRIAGE, RESIDENT, Edit, Spoil

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "key_unknown": (
        [(RESIDENT, "key: [id_no]", "key: [idno]")],
        [
            "public_security/resident.yaml:8: key[0]: `idno` is no field of this dataset; did you mean `id_no`?; expected: a field under `fields`"
        ],
    ),
    "key_twice": (
        [(MARRIAGE, "key: [reg_no]", "key: [reg_no, reg_no]")],
        ["civil_affairs/marriage.yaml:11: key[1]: `reg_no` stands here twice; expected: each field once"],
    ),
    "key_optional": (
        [(MARRIAGE, "reg_no: {type: string, grade: 1}", "reg_no: {type: string, grade: 1, required: false}")],
        [
            "civil_affairs/marriage.yaml:18: fields.reg_no.required: a field of the key is always required; expected: no `required: false`"
        ],
    ),
    "upsert_order": (
        [(RESIDENT, ", order_by: updated_at", "")],
        [
            "public_security/resident.yaml:9: merge.order_by: is missing: an upsert keeps the newest row by it; expected: a field that grows with each change"
        ],
    ),
    "order_elsewhere": (
        [(MARRIAGE, "{kind: snapshot}", "{kind: snapshot, order_by: reg_date}")],
        [
            "civil_affairs/marriage.yaml:12: merge.order_by: says nothing to a merge of kind snapshot; expected: `kind: upsert`, or no `order_by`"
        ],
    ),
    "order_unknown": (
        [(RESIDENT, "order_by: updated_at", "order_by: update_at")],
        [
            "public_security/resident.yaml:9: merge.order_by: `update_at` is no field of this dataset; did you mean `updated_at`?; expected: a field under `fields`"
        ],
    ),
    "department": (
        [(RESIDENT, "owner: public_security", "owner: public_securty")],
        [
            "public_security/resident.yaml:5: owner: no department `public_securty`; did you mean `public_security`?; expected: a department of departments.yaml"
        ],
    ),
    "same_code": (
        [(MARRIAGE, "301002/000001", "301001/000001")],
        [
            "public_security/resident.yaml:4: code: is also the code of civil_affairs/marriage.yaml; expected: a code of its own"
        ],
    ),
    "id_place": (
        [(RESIDENT, "id: public_security.resident", "id: public_security.residents")],
        [
            "public_security/resident.yaml:1: id: `public_security.residents` does not match the file's place; expected: `public_security.resident`, or the file as public_security/residents.yaml"
        ],
    ),
    "id_twin": (
        [(RESIDENT, "id: public_security.resident", "id: civil_affairs.marriage")],
        [
            "public_security/resident.yaml:1: id: two datasets have the id `civil_affairs.marriage`: civil_affairs/marriage.yaml and this; expected: `public_security.resident`"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems
