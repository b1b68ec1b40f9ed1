"""Identifiers judged by the Arrow kernels before the checks: the SQL functions say what the kernels say."""

from __future__ import annotations

import random

import duckdb
import pyarrow as pa
import pytest

from expectations import kernels
from expectations.functions import KERNELS, register_kernels
from expectations.kernels import Asked, judge
from schemas.identifiers import resident_id_check


def ids(count: int, seed: int) -> list[str | None]:
    """Right and wrong ones, some of them null, some twice."""
    draw = random.Random(seed)
    bodies = [
        f"320102{draw.randint(1930, 2020)}{draw.randint(1, 12):02}15{draw.randint(0, 999):03}"
        for _ in range(count)
    ]
    letters = resident_id_check(pa.array(bodies)).to_pylist()
    made: list[str | None] = [
        draw.choice([body + letter, body + letter, body + "0", body, "", "中文", None])
        for body, letter in zip(bodies, letters, strict=True)
    ]
    return made + made[: count // 4]


@pytest.mark.parametrize("rows", [3, 64, 1 << 20])
def test_they_say_what_the_functions_of_single_vectors_say(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(kernels, "ROWS", rows)
    columns = {"one": ids(400, 1), "other": ids(400, 2), "phone": ["13800138000", "12345", None, ""] * 125}
    batch = pa.table(columns)
    connection.register("batch", batch)
    questions = [
        Asked("is_resident_id", "one"),
        Asked("is_resident_id", "other"),
        Asked("is_mobile", "phone"),
    ]
    judge(connection, questions)
    with duckdb.connect() as plain:
        register_kernels(plain)
        plain.register("batch", batch)
        for kernel, column in questions:
            query = f"SELECT {column}, {kernel}({column}) FROM batch"
            found, expected = connection.execute(query).fetchall(), plain.execute(query).fetchall()
            assert found == expected
            assert {verdict for _, verdict in found} == {True, False, None}


def test_numbers_are_judged_as_they_are_written(connection: duckdb.DuckDBPyConnection) -> None:
    connection.register("batch", pa.table({"phone": pa.array([13800138000, 5, None], pa.int64())}))
    judge(connection, [Asked("is_mobile", "phone")])
    assert connection.execute("SELECT is_mobile(phone) FROM batch").fetchall() == [(True,), (False,), (None,)]


def test_a_batch_without_rows(connection: duckdb.DuckDBPyConnection) -> None:
    connection.register("batch", pa.table({"phone": pa.array([], pa.string())}))
    judge(connection, [Asked("is_mobile", "phone")])
    assert connection.execute("SELECT count(*) FROM batch WHERE NOT is_mobile(phone)").fetchall() == [(0,)]


def test_what_nobody_asked_is_no_function(connection: duckdb.DuckDBPyConnection) -> None:
    """Rather than one that takes every value."""
    judge(connection, [])
    with pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT is_mobile('1')")


def test_the_column_is_read_once_whatever_is_asked_of_it(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = KERNELS["is_mobile"]
    monkeypatch.setitem(KERNELS, "is_mobile", lambda values: seen.append(len(values)) or real(values))
    connection.register("batch", pa.table({"phone": ["13800138000", "1"] * 50}))
    judge(connection, [Asked("is_mobile", "phone")])
    assert connection.execute("SELECT count(*) FROM batch WHERE NOT is_mobile(phone)").fetchall() == [(50,)]
    assert connection.execute("SELECT count(*) FROM batch WHERE is_mobile(phone)").fetchall() == [(50,)]
    assert seen == [100]
