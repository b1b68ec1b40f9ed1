"""Loading: elements applied, defaults filled in, and every problem of every file at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from schemas.errors import CatalogueError, XuanwuError
from schemas.load import Catalogue, check_catalogue, load_catalogue
from schemas.model import Drop, Hmac, Partial, SharedFrom
from tests.conftest import write_catalogue
from tests.schemas.conftest import CITY, COUPLES, MARRIAGE, RESIDENT, Spoil, edited


@pytest.fixture
def city(make_catalogue: Callable[[dict[str, str]], Catalogue]) -> Catalogue:
    return make_catalogue(CITY)


def test_the_city_is_valid(spoil: Spoil) -> None:
    assert spoil() == []


def test_the_catalogue_of_the_repository_is_valid_and_not_empty() -> None:
    assert len(load_catalogue().entries) >= 12


def test_a_field_inherits_from_its_element(city: Catalogue) -> None:
    field = city.entry("public_security.resident").fields["id_no"]
    assert (field.type, field.grade, field.source, field.title.en) == ("string", 4, "GMSFHM", "Resident id")
    assert (field.masks.share, field.masks.open, field.normalise) == (Hmac(), Drop(), ("trim", "upper"))


def test_defaults(city: Catalogue) -> None:
    resident, marriage = city.entry("public_security.resident"), city.entry("civil_affairs.marriage")
    assert resident.schedule is not None and resident.schedule.start == date(2026, 3, 2)
    assert resident.schedule.late_after == timedelta(hours=4)
    assert resident.fields["gender"].source == "gender"
    assert resident.fields["gender"].title.zh == "gender"
    assert list(marriage.share.policies) == ["default"]
    assert (marriage.fields["fee"].precision, marriage.fields["fee"].scale) == (8, 2)


def test_a_field_obtained_by_sharing_is_never_collected(city: Catalogue) -> None:
    marriage = city.entry("civil_affairs.marriage")
    shared = SharedFrom(dataset="public_security.resident", field="name", on="id_no", key="id_no")
    assert marriage.fields["name"].shared_from == shared
    assert marriage.fields["name"].source is None
    assert "name" not in marriage.collected
    assert marriage.inputs == ("public_security.resident",)
    assert marriage.fields["name"].masks.share == Partial(first=1)


def test_checks_are_the_own_then_the_elements_then_not_null(city: Catalogue) -> None:
    checks = city.entry("public_security.resident").checks
    assert [(check.expect, check.arguments, check.on_fail) for check in checks] == [
        ("expect_column_values_to_be_unique", {"column": "id_no"}, "stop"),
        ("expect_column_values_to_be_valid_resident_id", {"column": "id_no"}, "quarantine"),
        ("expect_column_values_to_not_be_null", {"column": "id_no"}, "quarantine"),
        ("expect_column_values_to_not_be_null", {"column": "name"}, "quarantine"),
    ]


def test_an_own_not_null_check_is_not_doubled(make_catalogue: Callable[[dict[str, str]], Catalogue]) -> None:
    own = "  - {expect: expect_column_values_to_not_be_null, column: reg_no, on_fail: stop}\nchecks:\n"
    files = edited((MARRIAGE, "checks:\n", "checks:\n" + own.removesuffix("checks:\n")))
    checks = make_catalogue(files).entry("civil_affairs.marriage").checks
    assert [c.on_fail for c in checks if c.arguments.get("column") == "reg_no" and "null" in c.expect] == [
        "stop"
    ]


def test_like_gives_what_an_element_leaves_out(make_catalogue: Callable[[dict[str, str]], Catalogue]) -> None:
    spouse = "spouse_id:\n  like: resident_id\n  title: {zh: 配偶, en: Spouse}\n  mask: {share: drop}\nresident_id:\n"
    field = "  spouse_id: {element: spouse_id}\n  name:"
    files = edited(("elements.yaml", "resident_id:\n", spouse), (MARRIAGE, "  name:", field))
    loaded = make_catalogue(files)
    element = loaded.elements["spouse_id"]
    assert (element.grade, element.title.en, element.one_source) == (4, "Spouse", False)
    assert element.mask is not None and (element.mask.share, element.mask.open) == (Drop(), Drop())
    checks = loaded.entry("civil_affairs.marriage").checks
    assert {"column": "spouse_id"} in [check.arguments for check in checks]


def test_codes_and_departments(city: Catalogue) -> None:
    assert [(c.code, c.en, c.aliases) for c in city.codes["gender"]] == [
        ("1", "Male", ("M", "男性")),
        ("2", "Female", ("F",)),
    ]
    assert city.departments["civil_affairs"].limit == 2


def test_order_puts_inputs_first(city: Catalogue) -> None:
    assert city.order() == ["public_security.resident", "civil_affairs.marriage", "theme.couples"]


LOOKS = "  - {expect: expect_column_values_to_exist_in_dataset, column: id_no, dataset: %s, field: %s, on_fail: warn}\n"


def test_order_puts_what_checks_look_into_first(
    make_catalogue: Callable[[dict[str, str]], Catalogue],
) -> None:
    arrival = CITY[RESIDENT].replace("public_security.resident", "civil_affairs.arrival")
    arrival = arrival.replace("owner: public_security", "owner: civil_affairs").replace("301001/", "301009/")
    arrival = arrival.replace("name: {element: person_name,", "name: {type: string, grade: 1,")
    looking = arrival.replace("checks:\n", "checks:\n" + LOOKS % ("public_security.resident", "id_no"))
    loaded = make_catalogue({**CITY, "civil_affairs/arrival.yaml": looking})
    order = loaded.order()
    assert order.index("public_security.resident") < order.index("civil_affairs.arrival")


def test_registers_that_are_checked_against_each_other_have_an_order(
    make_catalogue: Callable[[dict[str, str]], Catalogue],
) -> None:
    look = "checks:\n" + LOOKS % ("civil_affairs.marriage", "id_no")
    loaded = make_catalogue(edited((RESIDENT, "checks:\n", look)))
    assert loaded.order() == ["public_security.resident", "civil_affairs.marriage", "theme.couples"]


def test_an_unknown_dataset_has_near_misses(city: Catalogue) -> None:
    with pytest.raises(XuanwuError, match=r"no dataset `theme.couple`.*did you mean `theme.couples`"):
        city.entry("theme.couple")


# ── every problem at once ─────────────────────────────────────────────────────────────────────────────────


def test_problems_of_all_files_and_of_all_parts_of_a_file_come_in_one_go(spoil: Spoil) -> None:
    problems = spoil(
        (RESIDENT, "owner: public_security", "owner: police"),
        (RESIDENT, "key: [id_no]\n", ""),
        (RESIDENT, "{type: string, grade: 1, codes: gender}", "{type: text, codes: gender}"),
        (RESIDENT, "drop: [id_no]", "drop: [id]"),
        (
            MARRIAGE,
            "  - {expect: expect_column_values_to_match_regex",
            "  - {expects: expect_column_values_to_match_regex",
        ),
        (MARRIAGE, "min_value: 1", "min_val: 1"),
        (MARRIAGE, "  type: unconditional\n", "  type: conditional\n"),
        (COUPLES, "id: theme.couples", "id: theme.couples\n\tx"),
    )
    assert [(p.file, p.line, p.key) for p in problems] == [
        (MARRIAGE, 14, "open.conditions"),
        (MARRIAGE, 24, "checks[0].expect"),
        (MARRIAGE, 25, "checks[1].min_val"),
        (RESIDENT, 1, "key"),
        (RESIDENT, 5, "owner"),
        (RESIDENT, 14, "share.policies.statistics.drop[0]"),
        (RESIDENT, 19, "fields.gender.type"),
        (COUPLES, 2, "(file)"),
    ]


@pytest.mark.parametrize("text", ["", "\t", "- a", "id: [", "id: public_security.resident\n", "fields: 3\n"])
def test_a_file_that_cannot_be_read_makes_no_other_file_wrong(spoil: Spoil, text: str) -> None:
    assert {problem.file for problem in spoil(**{RESIDENT: text})} == {RESIDENT}


def test_an_unreadable_shared_file_makes_no_entry_wrong(spoil: Spoil) -> None:
    shared = {"elements.yaml": "a: [", "departments.yaml": "\t", "codes/gender.csv": "wrong,header\n"}
    assert {problem.file for problem in spoil(**shared)} == set(shared)


def test_an_unreadable_element_or_department_is_told_once(spoil: Spoil) -> None:
    problems = spoil(
        ("elements.yaml", "  one_source: false\n", "  one_source: maybe\n"),
        **{"departments.yaml": "public_security: {title: {zh: a, en: b}}\ncivil_affairs: {}\n"},
    )
    assert [(p.file, p.key) for p in problems] == [
        ("departments.yaml", "public_security.uscc"),
        ("departments.yaml", "civil_affairs.title"),
        ("departments.yaml", "civil_affairs.uscc"),
        ("elements.yaml", "resident_id.one_source"),
    ]


def test_load_raises_what_check_returns(tmp_path: Path) -> None:
    root = write_catalogue(tmp_path, edited((RESIDENT, "owner:", "ownr:"), (MARRIAGE, "key:", "keys:")))
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(root)
    assert caught.value.problems == check_catalogue(root)
    assert len(caught.value.problems) == 4


def test_files_in_the_wrong_place(spoil: Spoil) -> None:
    more = {
        "loose.yaml": "a: 1",
        "civil_affairs/x.yml": "a: 1",
        "civil_affairs/a/b.yaml": "a: 1",
        ".git/a/b.yaml": "a",
    }
    problems = spoil(**more)
    assert [(p.file, p.message) for p in problems] == [
        (name, "this is no place of an entry")
        for name in ("civil_affairs/a/b.yaml", "civil_affairs/x.yml", "loose.yaml")
    ]


def test_a_folder_that_is_not_there_or_empty(tmp_path: Path) -> None:
    assert [p.message for p in check_catalogue(tmp_path / "none")] == ["there is no such folder"]
    assert [p.message for p in check_catalogue(tmp_path)] == ["holds no dataset"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(spoil: Spoil, tmp_path: Path) -> None:
    spoil()
    (tmp_path / RESIDENT).chmod(0)
    assert [p.file for p in check_catalogue(tmp_path)] == [RESIDENT]


CODES = {
    "a code twice": ("code,zh\n1,男\n1,女\n", [(3, "code `1` stands here twice")]),
    "an empty label": ("code,zh\n1,\n2,女\n", [(2, "a code or its Chinese label is empty")]),
    "a ragged row": ("code,zh\n1,男,M\n", [(2, "the row has more or fewer columns than the header")]),
    "another header": ("code,label\n1,男\n", [(1, "the columns are not those of a code list")]),
    "an alias of two": ("code,zh,aliases\n1,男,X\n2,女,X\n", [(3, "alias `X` means both 1 and 2")]),
    "an alias that is a label": (
        "code,zh,en,aliases\n1,男,M,女|m\n2,女,F,\n",
        [(2, "alias `女` of 1 is also the code or the label of 2")],
    ),
    "an alias that is a code": (
        "code,zh,aliases\n1,男,\n2,女,1|2\n",
        [(3, "alias `1` of 2 is also the code or the label of 1")],
    ),
    "nothing": ("", [(1, "the columns are not those of a code list")]),
    "no row": ("code,zh\n", [(1, "the code list is empty")]),
}


@pytest.mark.parametrize("case", CODES)
def test_code_lists(spoil: Spoil, case: str) -> None:
    text, expected = CODES[case]
    problems = spoil(**{"codes/gender.csv": text})
    assert [(p.file, p.line, p.message) for p in problems] == [
        ("codes/gender.csv", *each) for each in expected
    ]


def test_departments_have_right_credit_codes_of_their_own(spoil: Spoil) -> None:
    row = "{title: {zh: 部门, en: Department}, uscc: %s}"
    wrong = (
        "public_security: "
        + row % "11320100MB9032906X"
        + "\ncivil_affairs: "
        + row % "11320100MB9032906X"
        + "\n"
    )
    assert [(p.line, p.key, p.message) for p in spoil(**{"departments.yaml": wrong})] == [
        (1, "public_security.uscc", "`11320100MB9032906X` is no unified social credit code"),
        (2, "civil_affairs.uscc", "`11320100MB9032906X` is no unified social credit code"),
        (2, "civil_affairs.uscc", "is also that of `public_security`"),
    ]


def test_onward_sharing_names_the_first_source(spoil: Spoil) -> None:
    onward = (
        MARRIAGE,
        "  reg_date:",
        "  couple: {element: person_name, from: civil_affairs.other.name, on: reg_no}\n  reg_date:",
    )
    other = (
        CITY[MARRIAGE]
        .replace("civil_affairs.marriage", "civil_affairs.other")
        .replace("301002/000001", "301003/000001")
    )
    problems = spoil(onward, **{"civil_affairs/other.yaml": other})
    assert [(p.key, p.expected) for p in problems] == [
        ("fields.couple.from", "`from: public_security.resident.name`")
    ]
