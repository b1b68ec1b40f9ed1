"""What is said of each kind of change, and which ones protect less."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lake.contracts import Change, Contract
from pipelines.contracts.compare import changes
from pipelines.contracts.form import UNTOLD, contract_hash, digest, facts_of, identity
from schemas.load import Catalogue
from schemas.model import Code, Entry
from schemas.numbers import default_numbers
from tests.pipelines.building import entry_of

FILE = {"kind": "file", "path": "x.csv", "format": "csv"}
FIELDS: dict[str, Any] = {
    "no": "string",
    "name": {
        "type": "string",
        "grade": 3,
        "risk": "direct",
        "masks": {"share": {"kind": "hmac"}, "open": {"kind": "drop"}},
    },
    "place": {"type": "string", "risk": "quasi", "codes": "places"},
    "age": {"type": "integer", "grade": 2, "risk": "quasi", "masks": {"open": {"kind": "round", "to": 10}}},
}
CHECKS = (
    {
        "expect": "expect_column_values_to_be_between",
        "column": "age",
        "min_value": 0,
        "max_value": 150,
        "mostly": 0.9,
    },
    {"expect": "expect_column_values_to_be_in_set", "column": "place", "value_set": ["甲", "乙"]},
    {"expect": "expect_column_values_to_match_regex", "column": "no", "regex": "^A"},
    {"expect": "expect_table_row_count_to_be_between", "min_value": 5},
)
BASE: dict[str, Any] = {
    "subject": "person",
    "share": {
        "type": "conditional",
        "conditions": {"zh": "某某"},
        "policies": {"default": {}, "few": {"drop": ["name"]}},
    },
    "open": {"type": "unconditional", "fields": ["no", "place", "age"]},
    "checks": tuple({**check, "on_fail": "quarantine"} for check in CHECKS),
}
CODES = {"places": (Code(code="1", zh="甲"), Code(code="2", zh="乙"))}


def entry(fields: dict[str, Any] | None = None, source: dict[str, Any] | None = None, **more: Any) -> Entry:
    changed = {name: field for name, field in {**FIELDS, **(fields or {})}.items() if field}
    return entry_of("police.person", source or FILE, changed, **{**BASE, **more})


def catalogue(own: Entry, codes: dict[str, tuple[Code, ...]] = CODES) -> Catalogue:
    return Catalogue(Path(), {own.id: own}, {}, {}, codes)


def contract(own: Entry, within: Catalogue | None = None, key: str = "k") -> Contract:
    within = within or catalogue(own)

    def keyed(value: Any) -> str:
        return hashlib.sha256(f"{key} {value}".encode()).hexdigest()

    facts = facts_of(within, own, keyed)
    return Contract(
        dataset=own.id, digest=identity(within, own), contract=contract_hash(own), key=key, facts=facts
    )


def said(own: Entry, within: Catalogue | None = None) -> dict[str, bool]:
    found = changes(contract(entry()), contract(own, within))
    assert all(change.zh and change.zh != change.en for change in found)
    return {change.en: change.loosens for change in found}


def check(number: int, **changed: Any) -> dict[str, Any]:
    """The entry's checks, one of them changed, or without it."""
    checks = [{**each, **(changed if at == number else {})} for at, each in enumerate(BASE["checks"])]
    return {"checks": tuple(each for each in checks if each.get("expect"))}


def field(name: str, **changed: Any) -> dict[str, Any]:
    return {"fields": {name: {**FIELDS[name], **changed}}}


BETWEEN = "check column_values_to_be_between(age)"
OPEN_AGE = "published field open/open age"
CASES: list[tuple[dict[str, Any], dict[str, bool]]] = [
    ({}, {}),
    ({"fields": {"born": "date"}}, {"field born added (date grade 1)": False} | {
        f"published field share/{policy} born added (keep)": True for policy in ("default", "few")
    }),
    (field("age", grade=3, masks={"share": {"kind": "keep"}, "open": {"kind": "round", "to": 10}}), {"field age: grade 2 → 3": False}),
    (field("name", grade=2), {"field name: grade 3 → 2": True}),
    (field("age", type="number"), {"field age: type integer → number": False}),
    (field("place", risk="sensitive"), {"field place: risk quasi → sensitive": True}),
    (field("place", risk="direct"), {"field place: risk quasi → direct": False}),
    (field("age", masks={"open": {"kind": "round", "to": 5}}), {f"{OPEN_AGE}: mask round to=10.0 → round to=5.0": True}),
    (field("age", masks={"open": {"kind": "round", "to": 50}}), {f"{OPEN_AGE}: mask round to=10.0 → round to=50.0": False}),
    (field("age", masks={"open": {"kind": "drop"}}), {f"{OPEN_AGE} removed (round to=10.0)": False}),
    (field("age", masks={"open": {"kind": "clip", "max": 90}}), {f"{OPEN_AGE}: mask round to=10.0 → clip max=90.0": True}),
    (field("name", masks={"share": {"kind": "hmac", "domain": "all"}, "open": {"kind": "drop"}}), {
        "published field share/default name: mask hmac → hmac domain=all": True
    }),
    ({"subject": None}, {"entry: subject person → none": True, "disclosure limits open/open removed": True}),
    ({"title": {"zh": "甲", "en": "A"}}, {"entry: title changed": False}),
    ({"owner": "health"}, {"entry: owner police → health": False}),
    ({"source": {**FILE, "path": "y.csv"}}, {"source: path x.csv → y.csv": False}),
    ({"source": {"kind": "database", "connection": "c", "table": "t"}}, {
        "source: kind file → database": False, "source: path x.csv → none": False,
        "source: format csv → none": False, "source: connection none → c": False, "source: table none → t": False,
    }),
    ({"share": {**BASE["share"], "type": "unconditional", "conditions": None}}, {
        "share: type conditional → unconditional": True, "share: conditions … → none": False,
    }),
    ({"share": {**BASE["share"], "policies": {"default": {}}}}, {"published table share/few removed": False}),
    ({"share": {**BASE["share"], "policies": {**BASE["share"]["policies"], "all": {}}}}, {"published table share/all added": True}),
    ({"share": {**BASE["share"], "policies": {"default": {}, "few": {}}}}, {"published field share/few name added (hmac)": True}),
    ({"open": {"type": "none", "basis": {"zh": "某法"}}}, {
        "open: type unconditional → none": False, "open: basis none → …": False, "published table open/open removed": False,
    }),
    ({"open": {**BASE["open"], "licence": {"zh": "甲", "en": "A", "url": "https://data.city.example/a"}}}, {
        "open: licence none → …": False
    }),
    ({"open": {**BASE["open"], "disclosure": {"k": 30}}}, {"disclosure limits open/open: k 21 → 30": False}),
    (check(3, expect=""), {"check table_row_count_to_be_between() removed": True}),
    (check(3, min_value=4), {"check table_row_count_to_be_between(): min_value 5 → 4": True}),
    (check(3, min_value=6), {"check table_row_count_to_be_between(): min_value 5 → 6": False}),
    (check(3, on_fail="warn"), {"check table_row_count_to_be_between(): on_fail quarantine → warn": True}),
    (check(3, on_fail="stop"), {"check table_row_count_to_be_between(): on_fail quarantine → stop": False}),
    (check(0, max_value=200), {f"{BETWEEN}: max_value 150 → 200": True}),
    (check(0, max_value=None), {f"{BETWEEN}: max_value 150 → none": True}),
    (check(0, mostly=0.8), {f"{BETWEEN}: mostly 0.9 → 0.8": True}),
    (check(0, mostly=0.95), {f"{BETWEEN}: mostly 0.9 → 0.95": False}),
    (check(2, mostly=0.95), {"check column_values_to_match_regex(no): mostly none → 0.95": True}),
    (check(2, row_condition="no > 1"), {"check column_values_to_match_regex(no): row_condition none → no > 1": True}),
    (check(1, value_set=["甲", "丙"]), {"check column_values_to_be_in_set(place): value_set changed": True}),
    (check(1, value_set=["甲"]), {"check column_values_to_be_in_set(place): value_set 2 values → 1 values": False}),
    (check(2, regex="^[AB]"), {"check column_values_to_match_regex(no): regex ^A → ^[AB]": True}),
    ({"brake": {**default_numbers().brake.model_dump(), "delete": 0.5}}, {"brake: delete 0.1 → 0.5": True}),
    ({"retention": {**dict(default_numbers().retention), "landing": "700d"}}, {
        "retention: landing 31536000s → 60480000s": True
    }),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "expected"), CASES)
def test_a_change(changed: dict[str, Any], expected: dict[str, bool]) -> None:
    own = entry(**changed)
    assert said(own) == expected
    assert (identity(catalogue(own), own) == identity(catalogue(entry()), entry())) == (expected == {})


def test_the_numbers_of_the_policy_file_count_where_the_gate_judges() -> None:
    numbers = default_numbers()
    looser = numbers.model_copy(update={"disclosure": numbers.disclosure.model_copy(update={"below": 0.1})})
    own = entry()
    assert said(own, replace(catalogue(own), numbers=looser)) == {
        "disclosure limits open/open: k 21 → 20": True,
        "disclosure limits open/open: below 0.05 → 0.1": True,
    }
    thing = entry(subject=None)
    assert identity(replace(catalogue(thing), numbers=looser), thing) == identity(catalogue(thing), thing)


def test_so_does_the_least_count_of_aggregates() -> None:
    numbers = default_numbers()
    looser = numbers.model_copy(
        update={"disclosure": numbers.disclosure.model_copy(update={"smallest_count": 3})}
    )
    own = entry(subject=None, open={**BASE["open"], "counts": ["age"]})
    found = changes(contract(own), contract(own, replace(catalogue(own), numbers=looser)))
    assert [(each.en, each.loosens) for each in found] == [
        ("disclosure limits open/open: smallest_count 10 → 3", True)
    ]


def test_what_was_judged_in_another_way_is_compared_all_the_same() -> None:
    """Persons that became aggregates, and a mask of other software: no batch stops for it."""
    counted = entry(subject=None, open={**BASE["open"], "counts": ["age"]})
    found = {each.en: each.loosens for each in changes(contract(entry()), contract(counted))}
    assert found["disclosure limits open/open: k 21 → none"] is True
    older = contract(entry())
    older.facts["mask"]["share/default no"]["mask"] = {"kind": "scramble", "by": 3}
    (change,) = changes(older, contract(entry()))
    assert change.en == "published field share/default no: mask scramble by=3 → keep" and change.loosens


def test_codes_of_a_field_of_grade_three_are_counted() -> None:
    def of(grade: int, *codes: str) -> Contract:
        own = entry(
            **field("place", grade=grade, masks={"share": {"kind": "keep"}, "open": {"kind": "keep"}})
        )
        return contract(own, catalogue(own, {"places": tuple(Code(code=code, zh=code) for code in codes)}))

    told = [change.en for change in changes(of(2, "1", "2"), of(2, "1", "3"))]
    assert told == ["code list places: codes added 3; removed 2", "code list places: labels changed"]
    assert [change.en for change in changes(of(3, "1", "2"), of(3, "1", "2", "3"))] == [
        "code list places: codes 2 values → 3 values",
        "code list places: labels changed",
    ]
    assert UNTOLD in of(3, "1").facts["codes"]["places"]["codes"]


def test_what_checks_name_of_a_field_of_grade_three_is_not_told() -> None:
    def of(**arguments: Any) -> Contract:
        named = {"expect": "expect_column_values_to_be_in_set", "column": "name", "on_fail": "warn"}
        return contract(entry(checks=({**named, **arguments},)))

    before, after = (
        of(value_set=["王某", "李某"], min_value=7341),
        of(value_set=["王某", "张某"], min_value=7342),
    )
    assert [(change.en, change.loosens) for change in changes(before, after)] == [
        ("check column_values_to_be_in_set(name): value_set changed", True),
        ("check column_values_to_be_in_set(name): min_value changed", True),
    ]
    text = before.model_dump_json()
    assert "王某" not in text and "李某" not in text and "7341" not in text
    assert '"count":2' in text


def test_a_condition_that_names_a_field_of_grade_three_is_not_told() -> None:
    """Although the check itself is on a field of grade 1."""
    told = contract(entry(**check(2, row_condition="place == '甲某'")))
    hidden = contract(entry(**check(2, row_condition="name == '王某'")))
    assert "甲某" in told.model_dump_json() and "王某" not in hidden.model_dump_json()


def test_another_signing_key_is_no_change_of_what_is_not_told() -> None:
    before, after = contract(entry(), key="one"), contract(entry(), key="two")
    assert before.facts != after.facts and changes(before, after) == []
    renamed = contract(entry(owner="health", title={"zh": "甲", "en": "A"}), key="two")
    assert [change.en for change in changes(before, renamed)] == ["entry: owner police → health"]


def test_grants_and_the_engine_are_no_part_of_it() -> None:
    own = entry(engine="spark")
    assert identity(catalogue(own), own) == identity(catalogue(entry()), entry())
    assert changes(contract(entry()), contract(own)) == []


def test_the_certificates_digest_is_what_it_was() -> None:
    """An older certificate names the same contract as a new one."""
    own = entry()
    told = own.model_dump(mode="json", exclude={"file", "engine", "assessed"})
    assert contract_hash(own) == digest(told) and "licence" not in told["open"]


def test_a_change_is_said_in_both_languages() -> None:
    (found,) = changes(contract(entry()), contract(entry(**field("name", grade=2))))
    assert found == Change(zh="字段 name：分级 3 → 2", en="field name: grade 3 → 2", loosens=True)
    added = [change.zh for change in changes(contract(entry()), contract(entry({"born": "date"})))]
    assert added[0] == "增加字段 born（date 1 级）"
    assert added[1] == "增加发布字段 share/default born（保留）"
