"""Tokens against published vectors, and what joins with what."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.hashes import Hash

from pipelines.keys import HashName, Key, algorithm
from pipelines.masks import apply
from pipelines.masks import tokens as tokens_module
from pipelines.masks.tokens import Tokens, canonical, hash_values
from schemas.arrow import field_type
from schemas.model import Fpe, Hmac, Narrowed, TypeName
from schemas.policy import domain_of
from tests.pipelines.masks.fields import field

KEY = Key("1", bytes(range(32)))
SM3_VECTORS = [  # (key, message, first 128 bits of HMAC-SM3): from Wycheproof's hmac_sm3_test.json
    (
        "1e225cafb90339bba1b24076d4206c3e79c355805d851682bc818baa4f5a7779",
        "",
        "f9938b1b2515117f25dcd636c9a6a0e7",
    ),
    (
        "8159fd15133cd964c9a6964c94f0ea269a806fd9f43f0da58b6cd1b33d189b2a",
        "77",
        "51aaf64843b6d2fc7a244ab9cda9b7b5",
    ),
    (
        "48f3029334e55cfbd574ccc765fb2c3685aab1f4837d23370874a3e634c3a76d",
        "c7b8b2",
        "b3ec0e003175bd0495292ecf43effb85",
    ),
]
RFC_4231 = [  # (key, message, first 128 bits of HMAC-SHA-256): test cases 1, 2, 3, 4 and 6
    ("0b" * 20, b"Hi There".hex(), "b0344c61d8db38535ca8afceaf0bf12b"),
    (b"Jefe".hex(), b"what do ya want for nothing?".hex(), "5bdcc146bf60754e6a042426089575c7"),
    ("aa" * 20, "dd" * 50, "773ea91e36800e46854db8ebd09181a7"),
    (bytes(range(1, 26)).hex(), "cd" * 50, "82558a389a443c0ea4cc819899f2083a"),
    (
        "aa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First".hex(),
        "60e431591ee0b67f0d8a26aacbf5b77f",
    ),
]


def tokens(
    values: Any, mask: Hmac | None = None, domain: str = "share", kind: TypeName = "string"
) -> list[str]:
    subject = field(kind)
    column = pa.array(values, field_type(subject))
    return list(apply(column, mask or Hmac(), subject, Tokens(KEY, domain)).to_pylist())


def hashed(key: str, message: str, name: HashName) -> str:
    return str(hash_values(pa.array([bytes.fromhex(message)]), bytes.fromhex(key), name)[0])


def test_sm3_is_that_of_gb_t_32905() -> None:
    state = Hash(algorithm("sm3"))
    state.update(b"abc")
    assert state.finalize().hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


@pytest.mark.parametrize(("key", "message", "expected"), SM3_VECTORS)
def test_hmac_sm3(key: str, message: str, expected: str) -> None:
    assert hashed(key, message, "sm3") == expected


@pytest.mark.parametrize(("key", "message", "expected"), RFC_4231)
def test_hmac_sha256(key: str, message: str, expected: str) -> None:
    assert hashed(key, message, "sha256") == expected


def test_wycheproof(shared: Path) -> None:
    groups = json.loads((shared / "std-wycheproof" / "hmac_sm3_test.json").read_text())["testGroups"]
    cases = [(group["tagSize"], case) for group in groups for case in group["tests"]]
    assert len(cases) > 100
    for bits, case in cases:
        cut = min(bits // 4, 32)
        matches = hashed(case["key"], case["msg"], "sm3")[:cut] == case["tag"][:cut]
        if case["result"] == "valid":
            assert matches, case["tcId"]
        elif cut == bits // 4:  # of a longer tag the bits that differ may lie behind the token's end
            assert not matches, case["tcId"]


def test_a_token_can_be_computed_again_with_other_software() -> None:
    derived = KEY.derive("token/share", "sha256")
    expected = hmac.new(derived, "张三".encode(), hashlib.sha256).hexdigest()[:32]
    assert tokens(["张三"], Hmac(hash="sha256")) == [expected]


def test_a_domain_is_a_recipient_s_in_share_and_a_dataset_s_own_in_open() -> None:
    granted = Narrowed(of="statistics", grant=7, recipient="education")
    for dataset in ("transport.bus_ride", "health.visit"):
        assert domain_of("share", dataset, "statistics") == "share/statistics"
        assert domain_of("share", dataset, "g7", granted) == "share/statistics/education"
        assert domain_of("open", dataset, "open") == f"open/{dataset}"


def test_tokens_join_within_a_domain_and_nowhere_else() -> None:
    assert (
        tokens(["x"]) == tokens(["x"], domain="share") == tokens(["x"], Hmac(domain="share"), domain="open")
    )
    different = [
        tokens(["x"]),
        tokens(["x"], domain="open"),
        tokens(["x"], Hmac(domain="health")),
        tokens(["x"], Hmac(hash="sha256")),
    ]
    assert len({tuple(found) for found in different}) == 4


def test_equal_quantities_join_however_typed() -> None:
    five = [
        tokens(["5"]),
        tokens([5], kind="integer"),
        tokens([Decimal("5.00")], kind="decimal"),
        tokens([5.0], kind="number"),
        tokens([b"5"], kind="binary"),
    ]
    assert len({tuple(found) for found in five}) == 1


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("decimal", Decimal("10.50"), "10.5"),
        ("decimal", Decimal("100.00"), "100"),
        ("decimal", Decimal("0.00"), "0"),
        ("decimal", Decimal("-0.10"), "-0.1"),
        ("number", -0.0, "0"),
        ("number", 0.1, "0.1"),
        ("number", 1e300, "1e+300"),
        ("number", float("nan"), "nan"),
        ("boolean", True, "true"),
        ("date", date(2026, 3, 4), "2026-03-04"),
        ("timestamp", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC), "2026-03-04T05:06:07Z"),
        ("timestamp", datetime(2026, 3, 4, 5, 6, 0, 120000, tzinfo=UTC), "2026-03-04T05:06:00.12Z"),
        ("string", "𠮷", "𠮷"),
    ],
)
def test_the_text_that_is_hashed(kind: TypeName, value: Any, expected: str) -> None:
    values = pa.array([value, None], field_type(field(kind)))
    assert canonical(values).to_pylist() == [expected.encode(), None]


def test_small_decimals_have_no_exponent() -> None:
    values = pa.array([Decimal("0.00000001"), Decimal(0), None], pa.decimal128(18, 8))
    assert canonical(values).to_pylist() == [b"0.00000001", b"0", None]


MASKS = [Hmac(), Hmac(hash="sha256"), Fpe(form="alphanumeric")]


@pytest.mark.parametrize("bound", [{"CACHED": 5}, {"CACHED_BYTES": 25}, {"CACHED_BYTES": 3}], ids=str)
@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: mask.kind)
def test_the_cache_is_bounded_and_changes_nothing(
    mask: Hmac | Fpe, bound: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in bound.items():
        monkeypatch.setattr(tokens_module, name, most)
    state = Tokens(KEY, "share")
    batches = [
        ["a", "b", None, "a"],
        ["b", "c", "d"],
        ["e", "f", "a", None],
        ["g"] * 3,
        ["a", "g"],
        ["h"],
        ["i"],
    ]
    for batch in batches:
        column = pa.array([value and f"{value.upper()}0000" for value in batch], pa.string())
        assert state.of(column, mask).to_pylist() == Tokens(KEY, "share").of(column, mask).to_pylist()
    assert all(len(known.values) == len(known.results) <= 5 for known in state._known.values())


@pytest.mark.parametrize("many", [30, 100])
def test_of_long_texts_so_many_bytes_are_remembered(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no batch is kept in memory for those of its texts that are."""
    monkeypatch.setattr(tokens_module, "CACHED_BYTES", 50_000)
    state = Tokens(KEY, "share")
    for number in range(3):
        texts = [f"{max(0, n - number)}".ljust(1000) for n in range(many)]
        state.of(pa.array(texts), Hmac())
        (known,) = state._known.values()
        assert len(known.values) == len(known.results) == min(many, 50)
        assert known.values.get_total_buffer_size() <= 51_000
    state.of(pa.array(["x" * 60_000]), Hmac())
    assert [len(known.values) for known in state._known.values()] == [0]


def test_each_distinct_value_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spied(monkeypatch)
    state = Tokens(KEY, "share")
    for batch in (["a", "b", "a"], ["a", "c"]):
        state.of(pa.array(batch), Hmac())
    assert seen == [2, 1]


def test_a_column_that_never_repeats_is_not_looked_up_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spied(monkeypatch)
    state = Tokens(KEY, "share")
    for number in range(10):
        state.of(pa.array([f"{number}{letter}" for letter in "abc"]), Hmac())
    assert all(known.resting > 0 for known in state._known.values())
    assert seen == [3] * 10


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many values each call hashed."""
    seen: list[int] = []
    real = hash_values
    monkeypatch.setattr(
        tokens_module,
        "hash_values",
        lambda values, *rest, **named: seen.append(len(values)) or real(values, *rest, **named),
    )
    return seen
