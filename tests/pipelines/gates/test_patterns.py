"""Identifiers are told from ordinary numbers. The numbers are nobody's: examples of standards, and computed ones."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.gates.patterns import Tally
from sample.people import people


def held(*texts: str | None) -> dict[str, int]:
    tally = Tally()
    for start in range(0, len(texts), 700):
        counted = pc.value_counts(pa.array(texts[start : start + 700], pa.string()).drop_null())
        tally.look(counted.field(0), counted.field(1))
    return dict(tally.counts)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("身份证11010519491231002X。", "resident_id"),
        ("11010519491231002x", "resident_id"),
        ("１１０１０５１９４９１２３１００２Ｘ", "resident_id"),
        ("旧号110105491231002", "resident_id"),
        ("请致电138 1234 5678", "phone"),
        ("13812345678", "phone"),
        ("邮箱zhang.san@example.com。", "email"),
        ("卡4111 1111 1111 1111", "bank_card"),
        ("6222021234567890128", "bank_card"),
        ("苏A·12345停在路边", "plate"),
        ("施工单位91350100M000100Y43", "uscc"),
    ],
)
def test_one_is_enough(text: str, kind: str) -> None:
    assert held("无", text, None, text) == {kind: 2}


@pytest.mark.parametrize(
    "form",
    [
        "NJ20260302{:06}",
        "R20260302{:010}",
        "3201260302{:06}",
        "62220212{:08}",
        "6222021234{:09}",
        "320102202603{:06}",
        "3201041990{:05}",
        "1{:010}",
        "合同62号{:04}",
        "2026-03-02 10:00:{:05}",
        "118.{:012}",
        "{:032x}",
        "320102GB{:07}",
    ],
)
def test_ordinary_numbers_are_left_alone(form: str) -> None:
    step = 7919
    assert held(*(form.format(number * step) for number in range(1, 3000))) == {}


def test_a_column_of_identifiers_is_seen_though_some_are_misspelt() -> None:
    ids = people(np.arange(1000), 329).id_no.to_pylist()
    assert held(*ids, *("320102199001010000" for _ in range(300))) == {"resident_id": 1000}
    assert held(*(f"154{number * 7919:08}" for number in range(1000))) == {"phone": 1000}


def test_a_card_number_that_letters_touch_is_none() -> None:
    assert held("合同HT4111111111111111") == {}
    assert held("货款4111111111111111，已付") == {"bank_card": 1}
    assert held("合同号4111111111111111，已付") == {}
    assert held("第1111111111111117号") == {}, "no payment scheme begins with 1"


def test_a_row_with_several_is_one_row() -> None:
    several = "致电13812345678或13912345678，再试13712345678"
    assert held(several, several, "致电13612345678") == {"phone": 3}


def test_resident_ids_among_serial_numbers_are_seen_where_chance_does_not_make_so_many() -> None:
    ids = people(np.arange(10), 329).id_no.to_pylist()
    serials = [f"2026030212345{number:05}" for number in range(80)]
    assert held(*ids, *serials) == {"resident_id": 10}
    assert held(*ids[:8], *serials) == {}
