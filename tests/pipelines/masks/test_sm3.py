"""SM3 of many messages at once, held against OpenSSL's of one, and against published vectors."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.masks import sm3, tokens
from pipelines.masks.tokens import hash_values

VECTORS = Path(__file__).parent / "vectors" / "hmac_sm3.json"
"""Keys and messages around the ends of blocks; computed by gmssl 3.2, and by OpenSSL, to the same tags."""
GB_T_32905 = [  # annex A: the two examples
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
]


def tags(key: bytes, messages: list[bytes]) -> list[str]:
    """The vectorised tags, whatever the messages' lengths."""
    lengths = np.array([len(message) for message in messages], np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    data = np.frombuffer(b"".join(messages), np.uint8)
    found = np.empty((len(messages), sm3.DIGEST), np.uint8)
    for size in np.unique(sm3.blocks(lengths)):
        rows = np.flatnonzero(sm3.blocks(lengths) == size)
        found[rows] = sm3.Keyed(key).tags(data, starts[rows], lengths[rows])
    return [row.tobytes().hex() for row in found]


@pytest.mark.parametrize(("message", "digest"), GB_T_32905)
def test_the_compression_function_is_that_of_gb_t_32905(message: bytes, digest: str) -> None:
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64) + (8 * len(message)).to_bytes(8, "big")
    rows = np.frombuffer(padded, np.uint8).reshape(-1, 64)
    state = sm3.IV[:, np.newaxis]
    for row in rows:
        state = sm3._compress(state, sm3._words(row[np.newaxis]))
    assert state.astype(">u4").tobytes().hex() == digest


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


def test_lanes_are_cut_and_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm3, "LANES", 3)
    messages = [bytes([number]) * (number % 50) for number in range(10)]
    assert tags(b"k", messages) == [hmac.digest(b"k", message, "sm3").hex() for message in messages]


def test_a_column_of_many_and_of_few_of_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short ones together, the three long ones one by one; a slice of an array begins at its own offset."""
    monkeypatch.setattr(tokens, "TOGETHER", 5)
    texts = [b"x" * size for size in (0, 1, 55, 54, 3, 20, 56, 200, 57)]
    values = pa.array([b"before", *texts, b"after"]).slice(1, len(texts))
    expected = [hmac.digest(b"key", text, "sm3").hex()[:32] for text in texts]
    assert hash_values(values, b"key", "sm3").to_pylist() == expected
