"""What is shared and opened: one red case for each rule."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import MARRIAGE, RESIDENT, Edit, Spoil

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "open_grade": (
        [(MARRIAGE, "fee: {type: decimal, grade: 1", "fee: {type: decimal, grade: 2")],
        [
            "civil_affairs/marriage.yaml:14: open.mask.fee: `fee` (grade 2) is published, and its mask is not decided; expected: `fields.fee.mask.open`, a mask here, or the field left out"
        ],
    ),
    "open_keep": (
        [(MARRIAGE, "fee: {type: decimal, grade: 1", "fee: {type: decimal, grade: 2, mask: {open: keep}")],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.mask.open: keeps `fee` (grade 2): the public gets grade 1 unmasked, no more; expected: a mask other than keep, or the field left out"
        ],
    ),
    "open_keep_policy": (
        [
            (MARRIAGE, "reg_date, fee]", "reg_date, fee]\n  mask: {fee: keep}"),
            (MARRIAGE, "fee: {type: decimal, grade: 1", "fee: {type: decimal, grade: 2"),
        ],
        [
            "civil_affairs/marriage.yaml:17: open.mask.fee: keeps `fee` (grade 2): the public gets grade 1 unmasked, no more; expected: a mask other than keep, or the field left out"
        ],
    ),
    "open_listed_dropped": (
        [(MARRIAGE, "reg_date, fee]", "reg_date, fee, id_no]")],
        [
            "civil_affairs/marriage.yaml:16: open.fields: lists `id_no`, whose mask here is drop; expected: `id_no` left out, or another mask for it"
        ],
    ),
    "open_weaker": (
        [(MARRIAGE, "reg_date, fee]", "reg_date, fee, id_no]\n  mask: {id_no: hmac}")],
        [
            "civil_affairs/marriage.yaml:17: open.mask.id_no: hmac hides less than the drop that the field or its element asks for; expected: `drop` or stronger"
        ],
    ),
    "share_undecided": (
        [(MARRIAGE, "fee: {type: decimal, grade: 1", "fee: {type: decimal, grade: 3, mask: {open: drop}")],
        [
            "civil_affairs/marriage.yaml:13: share.policies.default.mask.fee: `fee` (grade 3) is published, and its mask is not decided; expected: `fields.fee.mask.share`, a mask here, or the field left out",
            "civil_affairs/marriage.yaml:16: open.fields: lists `fee`, whose mask here is drop; expected: `fee` left out, or another mask for it",
        ],
    ),
    "share_keep_unconditional": (
        [
            (
                MARRIAGE,
                "share: {type: unconditional}",
                "share: {type: unconditional, policies: {default: {mask: {name: keep}}}}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:13: share.policies.default.mask.name: keeps `name` (grade 3): an unconditional share gives grade 2 unmasked, no more; expected: a mask other than keep, or the field left out"
        ],
    ),
    "share_keep_four": (
        [(RESIDENT, "{drop: [id_no], mask: {name: hmac}}", "{mask: {id_no: keep}}")],
        [
            "public_security/resident.yaml:15: share.policies.statistics.mask.id_no: keeps `id_no` (grade 4): grade 4 is never published unmasked; expected: a mask other than keep, or the field left out"
        ],
    ),
    "share_keep_four_field": (
        [
            (
                MARRIAGE,
                "fee: {type: decimal, grade: 1",
                "fee: {type: decimal, grade: 4, mask: {share: keep, open: drop}",
            ),
            (MARRIAGE, "reg_date, fee]", "reg_date]"),
            (MARRIAGE, "share: {type: unconditional}", "share: {type: conditional, conditions: {zh: x}}"),
        ],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.mask.share: keeps `fee` (grade 4): grade 4 is never published unmasked; expected: a mask other than keep, or the field left out"
        ],
    ),
    "conditions": (
        [(RESIDENT, "  conditions: {zh: 依申请}\n", "")],
        [
            "public_security/resident.yaml:10: share.conditions: is missing: `type: conditional` states its scope and use (Decree 809, Art. 14); expected: {zh: …, en: …}"
        ],
    ),
    "open_conditions": (
        [(MARRIAGE, "  type: unconditional\n", "  type: conditional\n")],
        [
            "civil_affairs/marriage.yaml:14: open.conditions: is missing: `type: conditional` states its scope and use (Decree 809, Art. 14); expected: {zh: …, en: …}"
        ],
    ),
    "licence_on_conditions": (
        [
            (
                MARRIAGE,
                "open:\n  type: unconditional\n",
                "open:\n  type: conditional\n  conditions: {zh: 依申请}\n",
            ),
            (
                MARRIAGE,
                "reg_date, fee]",
                'reg_date, fee]\n  licence: {zh: 甲, en: A, url: "https://data.city.example/a"}',
            ),
        ],
        [
            "civil_affairs/marriage.yaml:18: open.licence: is for what is opened unconditionally, and this is `type: conditional`; expected: left out: the terms of a conditional opening are its conditions"
        ],
    ),
    "licence_that_cannot_be_read": (
        [(MARRIAGE, "reg_date, fee]", "reg_date, fee]\n  licence: {zh: 甲, en: A}")],
        [
            "civil_affairs/marriage.yaml:17: open.licence: has not the right form; expected: where it is read, url: https://…, or what it says, text: {zh: …, en: …}"
        ],
    ),
    "licence_that_is_a_script": (
        [
            (
                MARRIAGE,
                "reg_date, fee]",
                'reg_date, fee]\n  licence: {zh: 甲, en: A, url: "javascript:alert(1)"}',
            )
        ],
        [
            "civil_affairs/marriage.yaml:17: open.licence.url: the value has not the right form; expected: an address, `https://…`"
        ],
    ),
    "basis": (
        [(RESIDENT, "open: {type: none, basis: {zh: 个人信息}}", "open: {type: none}")],
        [
            "public_security/resident.yaml:16: open.basis: is missing: `type: none` states its reason and legal basis (Decree 809, Art. 15); expected: {zh: …, en: …}"
        ],
    ),
    "share_basis": (
        [(MARRIAGE, "share: {type: unconditional}", "share: {type: none}")],
        [
            "civil_affairs/marriage.yaml:13: share.basis: is missing: `type: none` states its reason and legal basis (Decree 809, Art. 15); expected: {zh: …, en: …}"
        ],
    ),
    "open_fields": (
        [(MARRIAGE, "  fields: [reg_no, reg_date, fee]\n", "")],
        [
            "civil_affairs/marriage.yaml:14: open.fields: is missing: what is not named is not opened; expected: [the fields to open]"
        ],
    ),
    "open_fields_unknown": (
        [(MARRIAGE, "reg_date, fee]", "reg_dat, fee]")],
        [
            "civil_affairs/marriage.yaml:16: open.fields[1]: `reg_dat` is no field of this dataset; did you mean `reg_date`, `reg_no`?; expected: a field under `fields`"
        ],
    ),
    "drop_unknown": (
        [(RESIDENT, "drop: [id_no]", "drop: [idno]")],
        [
            "public_security/resident.yaml:15: share.policies.statistics.drop[0]: `idno` is no field of this dataset; did you mean `id_no`?; expected: a field under `fields`"
        ],
    ),
    "mask_unknown": (
        [(RESIDENT, "mask: {name: hmac}", "mask: {nam: hmac}")],
        [
            "public_security/resident.yaml:15: share.policies.statistics.mask.nam: `nam` is no field of this dataset; did you mean `name`?; expected: a field under `fields`"
        ],
    ),
    "no_policies": (
        [(MARRIAGE, "share: {type: unconditional}", "share: {type: unconditional, policies: {}}")],
        [
            "civil_affairs/marriage.yaml:13: share.policies: is empty, so that nothing is shared; expected: {default: {}}"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems
