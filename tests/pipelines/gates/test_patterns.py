"""Identifiers are told from ordinary numbers. The numbers are nobody's: examples of standards, and computed ones."""

from __future__ import annotations

import hashlib
import uuid

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
        ("013812345678", "phone"),
        ("邮箱zhang.san@example.com。", "email"),
        ("卡4111 1111 1111 1111", "bank_card"),
        ("6222021234567890128", "bank_card"),
        ("护照号E12345678", "passport"),
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


PHONES = tuple(
    f"{first}{number * 7919 % 10**8:08}"
    for number, first in enumerate((130, 138, 139, 150, 158, 176, 186, 189) * 3, 11)
)
LANDLINES = tuple(f"0258{number * 7919 % 10**7:07}" for number in range(1, 300))


def test_mobile_numbers_among_landlines_are_seen() -> None:
    """Landlines do not count against them, however many there are, nor does what stands for none."""
    assert held(*LANDLINES) == {}
    assert held(*LANDLINES, *PHONES[:5]) == {"phone": 5}
    assert held(*LANDLINES, PHONES[0]) == {"phone": 1}
    assert held(*PHONES[:5], *["00000000000"] * 100, *["99999999999"] * 40) == {"phone": 5}


def test_more_than_a_tenth_of_other_numbers_are_seen_where_operators_have_them() -> None:
    members = [f"80{number:09}" for number in range(200)]
    assert held(*members, *PHONES) == {"phone": 24}
    assert held(*members, *PHONES[:20]) == {}, "a tenth and no more"
    assert held(*members, *(f"138{number:08}" for number in range(40))) == {}, (
        "all begin alike: so do serials"
    )


@pytest.mark.parametrize(
    "codes",
    [
        pytest.param([f"{1980 + n % 47}{n * 7919 % 10**7:07}" for n in range(3000)], id="years"),
        pytest.param([f"{n % 24:02}{n % 60:02}{n * 7919 % 10**7:07}" for n in range(3000)], id="hours"),
        pytest.param([f"{11 + n % 16}{n % 12 + 1:02}{n % 28 + 1:02}{n:05}" for n in range(3000)], id="days"),
        pytest.param([f"{11 + n % 55}{n % 13:02}{n % 30:02}{n:05}" for n in range(3000)], id="divisions"),
        pytest.param([f"{11 + n % 16}{n:09}" for n in range(3000)], id="years of two digits"),
        pytest.param([f"{n * 2654435761 % 10**11:011}" for n in range(3000)], id="at random"),
        pytest.param(
            [f"{n % 2}{n * 2654435761 % 10**10:010}" for n in range(3000)], id="0 or 1 and the rest at random"
        ),
    ],
)
def test_codes_of_which_some_look_like_mobile_numbers_are_left_alone(codes: list[str]) -> None:
    assert held(*codes) == {}
    assert sum(each[0] == "1" and each[1] >= "3" for each in codes) > 100


def test_uuids_and_digests_hold_mobile_numbers_by_chance_alone() -> None:
    for digits in (32, 40, 64):
        digests = [hashlib.sha256(f"{n}".encode()).hexdigest()[:digits] for n in range(30000)]
        assert pc.sum(pc.match_substring_regex(pa.array(digests), "[a-f]1[3-9][0-9]{9}[a-f]")).as_py() > 0
        assert held(*digests) == {}
    uuids = [str(uuid.UUID(bytes=hashlib.md5(f"{n}".encode()).digest(), version=4)) for n in range(30000)]
    assert held(*uuids) == held(*map(str.upper, uuids)) == {}
    padded = [f"{each[:24]}a{phone}" for each, phone in zip(uuids, PHONES * 40, strict=False)]
    assert held(*padded) == {"phone": len(padded)}
    assert held(*uuids[:1000], *padded[:30])["phone"] >= 30
    assert held(*padded[:2]) == {} and held(*padded[:3]) == {"phone": 3}
    assert held(*uuids, f"{'ab' * 5}440524188001010014{'cd' * 18}") == {"resident_id": 1}
    assert held(*uuids, f"{uuids[0]}，13812345678") == {"phone": 1}


def test_addresses_of_machines_decimals_and_versions_are_no_numbers_in_groups() -> None:
    assert held(*(f"192.168.{10 + n % 90}.{10 + n // 90}" for n in range(3000))) == {}
    assert held(*(f"13{n % 10}.{n * 7919 % 10**8:08}" for n in range(3000))) == {}
    assert held(*(f"{n % 9 + 17}.{130 + n % 60}.{n * 7919 % 10**4:04}.{n:04}" for n in range(3000))) == {}


def test_numbers_in_groups_are_told_as_those_that_are_written_whole() -> None:
    accounts = [f"6001.{n % 90:04}.{n * 7919 % 10**4:04}.{n:04}" for n in range(1000)]
    ids = people(np.arange(10), 329).id_no.to_pylist()
    assert held(*accounts) == {}
    assert held(*(f"{each[:6]}/{each[6:14]}/{each[14:]}" for each in ids)) == {"resident_id": 10}
    assert held(*(f"{each[:3]}.{each[3:7]}.{each[7:]}" for each in PHONES)) == {"phone": 24}
    assert held("13812345678/13912345678", "138.1234.5678，一三八一二三四五六七八") == {"phone": 2}
