"""SM3 of many messages at once, held against OpenSSL's of one, and against published vectors."""

from __future__ import annotations

import hmac
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import types

from pipelines.keys import Key
from pipelines.masks import sm3, tokens
from pipelines.masks.tokens import hash_values
from schemas.model import Hmac
from tests.waiting import ran

VECTORS = Path(__file__).parent / "vectors" / "hmac_sm3.json"
"""Keys and messages around the ends of blocks; computed by gmssl 3.2, and by OpenSSL, to the same tags."""
GB_T_32905 = [  # annex A: the two examples
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
]


def tags(key: bytes, messages: list[bytes]) -> list[str]:
    """The compiled tags."""
    offsets = np.cumsum([0, *(len(message) for message in messages)], dtype=np.int64)
    data = np.frombuffer(b"".join(messages), np.uint8)
    return [row.tobytes().hex() for row in sm3.tags(key, offsets, data)]


@pytest.mark.parametrize(("message", "digest"), GB_T_32905)
def test_the_compression_function_is_that_of_gb_t_32905(message: bytes, digest: str) -> None:
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64) + (8 * len(message)).to_bytes(8, "big")
    states = np.repeat(sm3.IV[:, np.newaxis], sm3.LANES, axis=1)
    words, now = np.zeros((68, sm3.LANES), np.uint32), np.zeros((8, sm3.LANES), np.uint32)
    for block in np.frombuffer(padded, ">u4").reshape(-1, 16):
        words[:16] = block[:, np.newaxis]
        sm3._compress(states, words, now)
    assert {states[:, lane].astype(">u4").tobytes().hex() for lane in range(sm3.LANES)} == {digest}


def test_our_own_vectors() -> None:
    cases = json.loads(VECTORS.read_text())
    assert len(cases) == 60
    for case in cases:
        key, message = bytes.fromhex(case["key"]), bytes.fromhex(case["message"])
        assert tags(key, [message]) == [case["tag"]]
        assert hash_values(pa.array([message]), key, "sm3")[0].as_py() == case["tag"][:32]


@given(st.binary(max_size=130), st.lists(st.binary(max_size=200), min_size=1, max_size=20))
def test_all_at_once_gives_what_openssl_gives_for_each(key: bytes, messages: list[bytes]) -> None:
    assert tags(key, messages) == [hmac.digest(key, message, "sm3").hex() for message in messages]


@pytest.mark.parametrize("count", [0, 1, sm3.LANES - 1, sm3.LANES, sm3.LANES + 1, 3 * sm3.LANES])
def test_more_messages_than_lanes_and_fewer(count: int) -> None:
    messages = [bytes([number % 251]) * (number % 150) for number in range(count)]
    assert tags(b"k", messages) == [hmac.digest(b"k", message, "sm3").hex() for message in messages]


def test_many_and_few_give_the_same_tokens() -> None:
    """A slice of an array begins at its own offset."""
    texts = [b"x" * size for size in (0, 1, 55, 54, 3, 20, 56, 200, 57)]
    values = pa.array([b"before", *texts, b"after"]).slice(1, len(texts))
    expected = [hmac.digest(b"key", text, "sm3").hex()[:32] for text in texts]
    assert hash_values(values, b"key", "sm3").to_pylist() == expected
    assert hash_values(values, b"key", "sm3", many=True).to_pylist() == expected


def test_the_compiled_way_is_taken_when_many_were_hashed_or_are_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    real = sm3.tags

    def counted(key: bytes, offsets: Any, data: Any) -> Any:
        seen.append(len(offsets) - 1)
        return real(key, offsets, data)

    mask = Hmac(kind="hmac", hash="sm3")
    first, second = pa.array([f"a{n}" for n in range(5)]), pa.array([f"b{n}" for n in range(7)])
    monkeypatch.setattr(sm3, "tags", counted)
    monkeypatch.setattr(tokens, "MANY", 5)
    monkeypatch.setattr(tokens, "TOGETHER", "not.loaded")
    made = tokens.Tokens(Key("1", bytes(32)), "share/default")
    by_both = [made.of(first, mask), made.of(second, mask)]
    assert seen == [7]
    monkeypatch.setattr(tokens, "MANY", 100)
    made = tokens.Tokens(Key("1", bytes(32)), "share/default", expected=100)
    assert [made.of(first, mask), made.of(second, mask)] == by_both, (
        "the second batch brings new values alone"
    )
    assert seen == [7, 7]
    made = tokens.Tokens(Key("1", bytes(32)), "share/default", expected=100)
    assert [made.of(first, mask), made.of(pa.concat_arrays([first, second]), mask).slice(5)] == by_both
    assert seen == [7, 7], "where values come again there may be few"
    monkeypatch.setattr(tokens, "TOGETHER", sm3.__name__)  # loaded by somebody
    made = tokens.Tokens(Key("1", bytes(32)), "share/default")
    assert [made.of(first, mask), made.of(second, mask)] == by_both
    assert seen == [7, 7, 5, 7]


def test_it_is_not_loaded_for_few() -> None:
    program = (
        "import sys, pyarrow as pa; from pipelines.masks.tokens import hash_values;"
        "hash_values(pa.array([b'x'] * 1000), b'key', 'sm3'); assert 'numba' not in sys.modules"
    )
    ran([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "error", [RuntimeError("no locator available"), OSError(28, "No space left on device")]
)
def test_what_cannot_be_kept_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def njit(*given: object, **options: object) -> object:
        if options.get("cache"):
            raise error
        return lambda function: function

    monkeypatch.setattr(sm3, "njit", njit)
    assert sm3._compiled(types.int64)(len) is len
