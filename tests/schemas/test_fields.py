"""Fields against their element, their origin and their type: one red case for each rule."""

from __future__ import annotations

import pytest

from tests.schemas.conftest import MARRIAGE, RESIDENT, Edit, Spoil

CASES: dict[str, tuple[list[Edit], list[str]]] = {
    "loosen_grade": (
        [(MARRIAGE, "{element: resident_id}", "{element: resident_id, grade: 2}")],
        [
            "civil_affairs/marriage.yaml:19: fields.id_no.grade: loosens element `resident_id`: grade 2 is below its 4; expected: 4 or more, or no `grade`"
        ],
    ),
    "reserved": (
        [(MARRIAGE, "  reg_no: {", "  file_row_number: {type: integer, grade: 1}\n  reg_no: {")],
        [
            "civil_affairs/marriage.yaml:18: fields.file_row_number: the engine needs this name for a column of its own; expected: another name here, and `source: file_row_number`"
        ],
    ),
    "loosen_type": (
        [(MARRIAGE, "{element: resident_id}", "{element: resident_id, type: integer}")],
        [
            "civil_affairs/marriage.yaml:19: fields.id_no.type: loosens element `resident_id`: integer is not its string; expected: `string`, or no `type`"
        ],
    ),
    "loosen_length": (
        [(RESIDENT, "required: true", "length: 80")],
        [
            "public_security/resident.yaml:19: fields.name.length: loosens element `person_name`: 80 is more than its 50; expected: 50 at most"
        ],
    ),
    "loosen_mask": (
        [(RESIDENT, "required: true", "mask: {share: {kind: partial, first: 2}}")],
        [
            "public_security/resident.yaml:19: fields.name.mask.share: loosens element `person_name`: partial hides less than its partial; expected: `partial` or stronger"
        ],
    ),
    "loosen_mask2": (
        [(RESIDENT, "required: true", "mask: {open: hmac}")],
        [
            "public_security/resident.yaml:19: fields.name.mask.open: loosens element `person_name`: hmac hides less than its drop; expected: `drop` or stronger"
        ],
    ),
    "loosen_normalise": (
        [(MARRIAGE, "{element: resident_id}", "{element: resident_id, normalise: [trim]}")],
        [
            "civil_affairs/marriage.yaml:19: fields.id_no.normalise: loosens element `resident_id`: leaves out its upper; expected: all of [trim, upper]"
        ],
    ),
    "loosen_from": (
        [
            (
                MARRIAGE,
                "name: {element: person_name, from: public_security.resident}",
                "name: {type: string, grade: 1, from: public_security.resident}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:20: fields.name.grade: loosens its origin: grade 1 is below the 3 of `public_security.resident.name`; expected: 3 or more"
        ],
    ),
    "from_type": (
        [
            (
                MARRIAGE,
                "name: {element: person_name, from: public_security.resident}",
                "name: {type: integer, grade: 3, mask: {share: hmac}, from: public_security.resident}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:20: fields.name.type: integer is not the type of `public_security.resident.name`; expected: `type: string`"
        ],
    ),
    "from_unknown": (
        [(MARRIAGE, "from: public_security.resident", "from: public_security.residnt")],
        [
            "civil_affairs/marriage.yaml:20: fields.name.from: no dataset `public_security.residnt`; did you mean `public_security.resident`?; expected: a dataset of the catalogue"
        ],
    ),
    "from_field": (
        [(MARRIAGE, "from: public_security.resident", "from: public_security.resident.nam")],
        [
            "civil_affairs/marriage.yaml:20: fields.name.from: `public_security.resident` has no field `nam`; did you mean `name`?; expected: `public_security.resident.<field>`"
        ],
    ),
    "from_form": (
        [(MARRIAGE, "from: public_security.resident", "from: resident")],
        [
            "civil_affairs/marriage.yaml:20: fields.name.from: has not the right form; expected: `department.dataset` or `department.dataset.field`"
        ],
    ),
    "from_on_unknown": (
        [(MARRIAGE, "from: public_security.resident", "from: public_security.resident, on: id_nr")],
        [
            "civil_affairs/marriage.yaml:20: fields.name.on: `id_nr` is no field of this dataset; did you mean `id_no`?; expected: a field that this dataset's own source gives"
        ],
    ),
    "from_on_shared": (
        [(MARRIAGE, "from: public_security.resident", "from: public_security.resident, on: name")],
        [
            "civil_affairs/marriage.yaml:20: fields.name.on: `name` is itself obtained by sharing; expected: a field that this dataset's own source gives"
        ],
    ),
    "from_ambiguous": (
        [
            (
                MARRIAGE,
                "id_no: {element: resident_id}",
                "id_no: {element: resident_id}\n  spouse_id: {element: resident_id}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:21: fields.name.on: `id_no`, `spouse_id` may each hold the key `id_no` of `public_security.resident`; expected: `on:` with the field here that holds the key `id_no` of `public_security.resident`"
        ],
    ),
    "from_absent": (
        [(MARRIAGE, "  id_no: {element: resident_id}\n", "")],
        [
            "civil_affairs/marriage.yaml:19: fields.name.on: no field here has the element of the key `id_no` of `public_security.resident`; expected: `on:` with the field here that holds the key `id_no` of `public_security.resident`"
        ],
    ),
    "from_two_keys": (
        [(RESIDENT, "key: [id_no]", "key: [id_no, gender]")],
        [
            "civil_affairs/marriage.yaml:20: fields.name.from: `public_security.resident` has a key of 2 fields, and sharing joins on one; expected: a dataset whose key is one field"
        ],
    ),
    "from_source": (
        [(MARRIAGE, "from: public_security.resident", "from: public_security.resident, source: XM")],
        [
            "civil_affairs/marriage.yaml:20: fields.name.source: a field has either `from:` or `source:`: it is obtained by sharing, never collected; expected: no `source`"
        ],
    ),
    "on_alone": (
        [(MARRIAGE, "id_no: {element: resident_id}", "id_no: {element: resident_id, on: name}")],
        [
            "civil_affairs/marriage.yaml:19: fields.id_no.on: says nothing without `from:`; expected: `from:` too, or no `on`"
        ],
    ),
    "element_unknown": (
        [(MARRIAGE, "{element: resident_id}", "{element: resident}")],
        [
            "civil_affairs/marriage.yaml:19: fields.id_no.element: no element `resident`; did you mean `resident_id`?; expected: an element of elements.yaml"
        ],
    ),
    "mask_type": (
        [(RESIDENT, "grade: 1, codes", "grade: 1, mask: {share: {kind: round, to: 10}}, codes")],
        [
            "public_security/resident.yaml:20: fields.gender.mask.share: round does not fit type string; expected: a field of type integer or decimal or number"
        ],
    ),
    "mask_month": (
        [(RESIDENT, "grade: 1, codes", "grade: 1, mask: {share: {kind: generalise, to: month}}, codes")],
        [
            "public_security/resident.yaml:20: fields.gender.mask.share: generalise to month does not fit type string; expected: a field of type date or timestamp"
        ],
    ),
    "mask_city": (
        [
            (
                MARRIAGE,
                "fee: {type: decimal, grade: 1",
                "fee: {type: decimal, grade: 1, mask: {share: {kind: generalise, to: city}}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.mask.share: generalise to city does not fit type decimal; expected: a division code, of type string"
        ],
    ),
    "mask_bins": (
        [
            (
                MARRIAGE,
                "fee: {type: decimal, grade: 1",
                "fee: {type: decimal, grade: 1, mask: {share: {kind: generalise, bins: [5, 1]}}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.mask.share: bins are not rising; expected: lower bounds, rising: [0, 18, 60]"
        ],
    ),
    "mask_bins_text": (
        [(RESIDENT, "grade: 1, codes", "grade: 1, mask: {share: {kind: generalise, bins: [1, 5]}}, codes")],
        [
            "public_security/resident.yaml:20: fields.gender.mask.share: bins do not fit type string; expected: a field of type integer or decimal or number"
        ],
    ),
    "mask_nothing": (
        [
            (
                MARRIAGE,
                "fee: {type: decimal, grade: 1",
                "fee: {type: decimal, grade: 1, mask: {share: {kind: generalise}}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.mask.share: generalise needs `to` or `bins`, one of them; expected: {kind: generalise, to: month}"
        ],
    ),
    "mask_clip": (
        [
            (
                MARRIAGE,
                "fee: {type: decimal, grade: 1",
                "fee: {type: decimal, grade: 1, mask: {share: {kind: clip}}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.mask.share: clip needs `min`, `max` or both; expected: {kind: clip, max: 100}"
        ],
    ),
    "mask_clip2": (
        [
            (
                MARRIAGE,
                "fee: {type: decimal, grade: 1",
                "fee: {type: decimal, grade: 1, mask: {share: {kind: clip, min: 5, max: 1}}",
            )
        ],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.mask.share: clip has min 5 not below max 1; expected: min below max"
        ],
    ),
    "mask_policy": (
        [(RESIDENT, "mask: {name: hmac}", "mask: {updated_at: {kind: partial, first: 1}}")],
        [
            "public_security/resident.yaml:15: share.policies.statistics.mask.updated_at: partial does not fit type timestamp; expected: a field of type string"
        ],
    ),
    "scale": (
        [(MARRIAGE, "precision: 8, scale: 2", "precision: 2, scale: 8")],
        [
            "civil_affairs/marriage.yaml:22: fields.fee.scale: scale 8 is above precision 2; expected: digits after the point, at most all digits (`precision`)"
        ],
    ),
    "precision_string": (
        [(RESIDENT, "grade: 1, codes", "grade: 1, precision: 5, codes")],
        [
            "public_security/resident.yaml:20: fields.gender.precision: says nothing to type string; expected: a field of type decimal"
        ],
    ),
    "formats": (
        [(MARRIAGE, '"%Y%m%d", ', '"%Q", ')],
        [
            "civil_affairs/marriage.yaml:21: fields.reg_date.formats[0]: the form `%Q` cannot be read; expected: directives among %Y, %y, %m, %d, %H, %I, %M, %S, %f, %p, %b, %z, each once"
        ],
    ),
    "formats_type": (
        [(RESIDENT, "grade: 1, codes", 'grade: 1, formats: ["%Y%m%d"], codes')],
        [
            "public_security/resident.yaml:20: fields.gender.formats: says nothing to type string; expected: a field of type date or timestamp"
        ],
    ),
    "timezone": (
        [(RESIDENT, "timezone: Asia/Shanghai", "timezone: Asia/Nanjing")],
        [
            "public_security/resident.yaml:21: fields.updated_at.timezone: no time zone `Asia/Nanjing`; expected: such as Asia/Shanghai or UTC"
        ],
    ),
    "codes": (
        [(RESIDENT, "codes: gender", "codes: gendr")],
        [
            "public_security/resident.yaml:20: fields.gender.codes: no code list `gendr`; did you mean `gender`?; expected: a file of codes/, without .csv"
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_red_case(spoil: Spoil, case: str) -> None:
    edits, problems = CASES[case]
    assert [str(problem) for problem in spoil(*edits)] == problems
