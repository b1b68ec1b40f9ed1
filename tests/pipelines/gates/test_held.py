"""Texts held back until they are many: none is lost, and each comes with all its rows."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from pipelines.gates import held
from pipelines.gates.held import Held


def taken(some: Held) -> Counter[str]:
    texts, rows = some.taken()
    assert len(set(texts.to_pylist())) == len(texts)
    return Counter(dict(zip(texts.to_pylist(), rows.to_pylist(), strict=True)))


def test_batches_are_counted_together() -> None:
    some = Held()
    for batch in (["a", "b", None, "a"], [], ["b", "c"]):
        some.add(pa.array(batch, pa.string()))
    assert taken(some) == {"a": 2, "b": 2, "c": 1}
    assert taken(some) == {}


@pytest.mark.parametrize(("most_texts", "most_bytes"), [(10, 1 << 20), (1000, 100)])
def test_what_repeats_does_not_fill_it(
    monkeypatch: pytest.MonkeyPatch, most_texts: int, most_bytes: int
) -> None:
    """Few texts in many batches are held as few; many are full as soon as they are many."""
    monkeypatch.setattr(held, "MOST_TEXTS", most_texts)
    monkeypatch.setattr(held, "MOST_BYTES", most_bytes)
    some, many = Held(), Held()
    for _ in range(50):
        some.add(pa.array(["a", "b"]))
        assert not some.full
    many.add(pa.array([f"text {n}" for n in range(20)]))
    assert many.full
    assert taken(some) == {"a": 50, "b": 50}
    assert taken(many).total() == 20


def test_a_column_without_any_text_holds_none() -> None:
    some, often = Held(), Held()
    for _ in range(2):
        some.add(pa.nulls(3, pa.string()))
        often.add(pa.nulls(3, pa.string()), pa.array([1, 2, 3]))
    assert taken(some) == taken(often) == {}
    some.add(pa.array(["a"]))
    assert taken(some) == {"a": 1}


def test_texts_that_come_with_how_often() -> None:
    some = Held()
    some.add(pa.array(["a", None, "b", "a"]), pa.array([2, 9, 3, 40]))
    some.add(pa.array(["b"]))
    assert taken(some) == {"a": 42, "b": 4}
