"""The leak gate: what it stops, what it lets pass, and that it never says what it saw."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipelines.masks.tokens import Tokens
from schemas.errors import LeakFound
from schemas.model import Hmac
from tests.leaks import bytes_below
from tests.pipelines.gates.making import (
    DROPPED,
    LABELS,
    NONE,
    PERSON,
    REGISTER,
    TEXT,
    Json,
    Row,
    Town,
    derived,
    entry,
    persons,
)

Edit = Callable[[Row], Row]
COUNT = 200
OPEN = {"type": "unconditional", "fields": ["no", "remark"]}


def stopped(
    town: Town, rows: list[Row], zone: Any = "share", dataset: str = REGISTER, day: int = 1
) -> LeakFound:
    """The publication is refused, and the message holds no value of any row."""
    with pytest.raises(LeakFound) as caught:
        town.publish(town.curate(rows, dataset, day), zone)
    said = str(caught.value)
    for row in persons(COUNT):
        assert not any(row[name] in said for name in ("id_no", "name", "phone", "address"))
    return caught.value


def filled(name: str, make: Callable[[Row], str], every: int = 1) -> list[Row]:
    rows = persons(COUNT)
    return [{**row, name: make(row)} if number % every == 0 else row for number, row in enumerate(rows)]


def test_a_clean_register_passes(town: Town) -> None:
    town.write(REGISTER, entry(REGISTER, PERSON, open=OPEN))
    merged = town.curate(persons(COUNT))
    assert town.publish(merged).rows_out == town.publish(merged, "open").rows_out == COUNT


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda row: f"补办{row['id_no']}", "resident ids in 2 row(s)"),
        (lambda row: f"电话{row['phone']}", "mobile numbers in 2 row(s)"),
        (lambda row: f"a{row['no']}@example.com", "e-mail addresses in 2 row(s)"),
        (lambda row: "卡号6222021234567890128", "bank card numbers in 2 row(s)"),
        (lambda row: "车牌苏A12345", "licence plates in 2 row(s)"),
        (lambda row: row["address"], "2 distinct value(s) that are unmasked values of police.person.address"),
    ],
)
def test_an_identifier_in_free_text(town: Town, make: Callable[[Row], str], words: str) -> None:
    rows = filled("remark", make, every=100)
    error = stopped(town, rows)
    assert error.place["field"] == "remark" and words in str(error)
    assert "still stands" in str(error)


def test_the_earlier_publication_stands_and_no_file_is_left(town: Town) -> None:
    town.write(REGISTER, entry(REGISTER, PERSON, open=OPEN))
    first = town.publish(town.curate(persons(COUNT)), "open")
    before = sorted(town.settings.home.rglob("lake/open/**/*.parquet"))
    stopped(town, filled("remark", lambda row: row["id_no"]), "open", day=2)
    assert town.ctx.tables.current_snapshot(("open", "police__person")) == first.snapshot
    assert sorted(town.settings.home.rglob("lake/open/**/*.parquet")) == before
    held = bytes_below(town.settings.home / "lake" / "open") + bytes_below(
        town.settings.home / "lake" / "downloads"
    )
    assert not any(row["id_no"].encode() in held for row in persons(COUNT))


def test_a_mask_for_some_kinds_only(town: Town) -> None:
    rows = filled("remark", lambda row: f"电话{row['phone']}，身份证{row['id_no']}")
    masks = {"share": {"kind": "redact", "what": ["phone"]}, "open": "drop"}
    town.write(REGISTER, entry(REGISTER, {**PERSON, "remark": {**PERSON["remark"], "mask": masks}}))
    assert "resident ids" in str(stopped(town, rows)) and "mobile" not in str(stopped(town, rows))
    town.write(
        REGISTER,
        entry(REGISTER, {**PERSON, "remark": {**PERSON["remark"], "mask": {**masks, "share": "redact"}}}),
    )
    assert town.publish(town.curate(rows)).rows_out == COUNT


def test_an_id_as_a_number_is_seen(town: Town) -> None:
    town.write(REGISTER, entry(REGISTER, {**PERSON, "serial": {"type": "integer", "grade": 1}}))
    rows = [row for row in persons(COUNT) if row["id_no"].isdigit()]
    error = stopped(town, [{**row, "serial": int(row["id_no"])} for row in rows])
    assert error.place["field"] == "serial" and "police.person.id_no" in str(error)
    town.publish(town.curate([{**row, "serial": 2026030200000 + place} for place, row in enumerate(rows)]))


@pytest.mark.parametrize(
    "form",
    [
        {"type": "decimal", "precision": 18, "scale": 2},
        {"type": "decimal", "precision": 11, "scale": 0},
        {"type": "decimal", "precision": 38, "scale": 20},
        {"type": "decimal", "precision": 38, "scale": 27},
    ],
)
def test_a_mobile_number_is_seen_as_whatever_number_it_comes(town: Town, form: Json) -> None:
    town.write(REGISTER, entry(REGISTER, {**PERSON, "serial": {"grade": 1, **form}}))
    error = stopped(town, [{**row, "serial": Decimal(row["phone"])} for row in persons(COUNT)])
    assert error.place["field"] == "serial" and "police.person.phone" in str(error)
    sums = [{**row, "serial": Decimal(place) * 12345} for place, row in enumerate(persons(COUNT))]
    assert town.publish(town.curate(sums)).rows_out == COUNT


def test_a_mobile_number_is_seen_as_a_number_with_a_point(town: Town) -> None:
    town.write(REGISTER, entry(REGISTER, {**PERSON, "serial": {"type": "number", "grade": 1}}))
    error = stopped(town, [{**row, "serial": float(row["phone"])} for row in persons(COUNT)])
    assert error.place["field"] == "serial" and "police.person.phone" in str(error)
    sums = [float("inf"), float("nan"), 1e300, 13987651234.5, None, -1.0]
    some = [{**row, "serial": sums[place % len(sums)]} for place, row in enumerate(persons(COUNT))]
    assert town.publish(town.curate(some)).rows_out == COUNT


@pytest.mark.parametrize(
    ("form", "kind"),
    [({"type": "decimal", "precision": 13, "scale": 2}, Decimal), ({"type": "number"}, float)],
)
def test_a_personal_number_of_any_type_stands_in_no_text(
    town: Town, form: Json, kind: Callable[[int], Any]
) -> None:
    """One of eleven digits without an identifier's form; one of seven with a fraction is a sum."""
    phone = {"grade": 3, "mask": DROPPED, **form}
    town.write(REGISTER, entry(REGISTER, {**PERSON, "phone": phone}))

    def rows(number: Callable[[int], int]) -> list[Row]:
        numbers = map(number, range(COUNT))
        pairs = zip(persons(COUNT), numbers, strict=True)
        return [{**row, "phone": kind(each), "remark": str(each)} for row, each in pairs]

    assert "police.person.phone" in str(stopped(town, rows(lambda place: 92_583_000_000 + place * 7919)))
    assert town.publish(town.curate(rows(lambda place: place * 12345))).rows_out == COUNT


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("name", lambda name: f"{name[0]}\u3000{name[1:]}"),
        ("name", lambda name: f" {name[0]}\u200b{name[1:]}"),
        ("address", lambda address: address.translate({n: n + 0xFEE0 for n in range(0x30, 0x3A)})),
        ("address", lambda address: " ".join(address)),
    ],
)
def test_a_personal_value_is_seen_written_with_blanks_or_full_width(
    town: Town, name: str, written: Callable[[str], str]
) -> None:
    rows = [{**row, "remark": written(row[name])} for row in persons(COUNT)]
    assert f"police.person.{name}" in str(stopped(town, rows))


def test_common_words_of_a_personal_field_may_stand_elsewhere(town: Town) -> None:
    rows = filled("address", lambda row: "暂无备注")
    assert town.publish(town.curate(rows)).rows_out == COUNT
    rows = [{**row, "address": f"望江路{place}号"} for place, row in enumerate(persons(COUNT))]
    rare = [{**row, "remark": "望江路5号"} if place > 100 else row for place, row in enumerate(rows)]
    assert "police.person.address" in str(stopped(town, rare)), "said often, it is still one person's"


# ── what is kept on purpose ───────────────────────────────────────────────────────────────────────────────

KEPT = {"share": "keep", "open": "drop"}
CONDITIONAL = {"type": "conditional", "conditions": TEXT}


def kept(town: Town, name: str) -> None:
    fields = {**PERSON, name: {**PERSON[name], "mask": KEPT}}
    town.write(REGISTER, entry(REGISTER, fields, share=CONDITIONAL))


def test_a_kept_field_may_hold_its_own_values(town: Town) -> None:
    kept(town, "phone")
    assert town.publish(town.curate(persons(COUNT))).rows_out == COUNT


def test_a_kept_field_may_not_hold_those_of_another(town: Town) -> None:
    kept(town, "phone")
    error = stopped(town, filled("phone", lambda row: row["id_no"], every=50))
    assert "column phone" in str(error) and "police.person.id_no" in str(error)


def test_a_public_contact_is_kept_by_a_word_of_the_entry_but_never_an_id(town: Town) -> None:
    rows = filled("remark", lambda row: f"{row['no']}@nanjing.example.com")
    assert "e-mail" in str(stopped(town, rows))
    fields = {**PERSON, "remark": {**PERSON["remark"], "mask": {"share": "keep"}}}
    town.write(REGISTER, entry(REGISTER, fields))
    assert town.publish(town.curate(rows)).rows_out == COUNT
    assert "resident ids" in str(stopped(town, filled("remark", lambda row: row["id_no"])))


def test_a_credit_code_where_it_is_declared_and_where_it_is_not(town: Town) -> None:
    check = {"expect": "expect_column_values_to_be_valid_uscc", "column": "remark", "on_fail": "warn"}
    rows = filled("remark", lambda row: "91350100M000100Y43")
    assert "credit codes" in str(stopped(town, rows))
    town.write(REGISTER, entry(REGISTER, PERSON, checks=[check]))
    assert town.publish(town.curate(rows)).rows_out == COUNT


def test_tokens_must_look_like_tokens(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = {"share": "hmac", "open": "drop"}
    town.write(REGISTER, entry(REGISTER, {**PERSON, "id_no": {**PERSON["id_no"], "mask": masks}}))
    assert town.publish(town.curate(persons(COUNT))).rows_out == COUNT
    monkeypatch.setattr("pipelines.masks.Tokens.of", lambda self, values, mask: values)
    assert f"{COUNT} row(s) without the form of a token" in str(stopped(town, persons(COUNT), day=2))


@pytest.mark.parametrize(
    ("odd", "rows"),
    [
        (["0123456789abcdef0123456789ABCDEF"], 1),
        (["0123456789abcdef0123456789abcde汉", "0123456789abcdef0123456789abcdef"], 1),
        (["0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0"], 2),
        ([""], 1),
        ([None], 0),
        ([None, "0123456789abcdef0123456789abcdeg"], 1),
    ],
)
def test_one_among_many_tokens_must_look_like_a_token_too(
    town: Town, monkeypatch: pytest.MonkeyPatch, odd: list[str | None], rows: int
) -> None:
    masks = {"share": "hmac", "open": "drop"}
    town.write(REGISTER, entry(REGISTER, {**PERSON, "id_no": {**PERSON["id_no"], "mask": masks}}))
    whole = Tokens.of

    def spoilt(self: Tokens, values: pa.Array, mask: Hmac) -> pa.Array:
        tokens = whole(self, values, mask)
        return (
            pa.concat_arrays([pa.array(odd, pa.string()), tokens.slice(len(odd))]) if len(tokens) else tokens
        )

    monkeypatch.setattr("pipelines.masks.Tokens.of", spoilt)
    if rows:
        assert f"{rows} row(s) without the form of a token" in str(stopped(town, persons(COUNT)))
    else:
        assert town.publish(town.curate(persons(COUNT))).rows_out == COUNT


def test_what_is_enciphered_in_place_must_hold_no_other_letters(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = {"share": {"kind": "fpe", "form": "digits"}, "open": "drop"}
    town.write(REGISTER, entry(REGISTER, {**PERSON, "phone": {**PERSON["phone"], "mask": masks}}))
    rows = [
        {**row, "phone": f"{row['name']} {row['phone']}" if place % 2 else row["phone"]}
        for place, row in enumerate(persons(COUNT))
    ]
    shown = [row["phone"] for row in town.rows(town.publish(town.curate(rows)))]
    assert len(shown) == COUNT and shown.count(None) == COUNT // 2
    monkeypatch.setattr("pipelines.masks.Tokens.of", lambda self, values, mask: values)
    error = stopped(town, [{**row, "remark": "新"} for row in rows], day=2)
    assert f"column phone: {COUNT // 2} row(s) without the form of what its mask enciphers" in str(error)


# ── laundered by a query ──────────────────────────────────────────────────────────────────────────────────


def laundered(town: Town, zone: str, rows: list[Row]) -> Any:
    """A derived dataset whose one field is graded 1, whatever its query joins into it."""
    town.curate(persons(COUNT))
    fields = {"label": {"type": "string", "grade": 1}}
    open_ = {"type": "unconditional", "fields": ["label"]} if zone == "open" else NONE
    town.write(
        LABELS, derived(LABELS, "SELECT no AS label FROM police.person", [REGISTER], fields, open=open_)
    )
    return lambda: stopped(town, rows, zone, LABELS)


@pytest.mark.parametrize("zone", ["share", "open"])
@pytest.mark.parametrize(
    ("make", "source"),
    [
        (lambda row: f"{row['name']}的申请", "name"),
        (lambda row: f"申请人：{row['name']}（已办结）", "name"),
        (lambda row: f"{row['no']}{row['name']}", "name"),
        (lambda row: row["name"], "name"),
        (lambda row: f"住在{row['address']}的人", "address"),
        (lambda row: f"案{row['phone']}号", "phone"),
        (lambda row: f"{row['no']}-{row['id_no']}", "id_no"),
    ],
)
def test_a_personal_value_joined_to_a_label(
    town: Town, zone: str, make: Callable[[Row], str], source: str
) -> None:
    rows = [{"label": make(row)} for row in persons(COUNT)]
    error = laundered(town, zone, rows)()
    assert f"police.person.{source}" in str(error) and "column label" in str(error)


@pytest.mark.parametrize(
    "make",
    [
        lambda row: f"望江路{row['no']}地块项目",
        lambda row: f"第{row['no']}号申请，{row['remark']}",
        lambda row: f"{'秦淮方山江畔'[len(row['name']) :]}机械制造{row['no'][-4:]}有限公司",
    ],
)
def test_an_ordinary_label_passes(town: Town, make: Callable[[Row], str]) -> None:
    rows = [{"label": make(row)} for row in persons(COUNT)]
    laundered(town, "open", rows)
    assert town.publish(town.curate(rows, LABELS), "open").rows_out == COUNT


def test_an_empty_table_and_empty_columns_pass(town: Town) -> None:
    assert town.publish(town.curate([])).rows_out == 0
    nothing = [{**row, "remark": None, "address": None} for row in persons(COUNT)]
    assert town.publish(town.curate(nothing, day=2)).rows_out == COUNT
