"""Parquet: its own types, in batches; damaged files said in words."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.readers import read
from pipelines.readers.malformed import CELL
from schemas.errors import SourceError
from tests.pipelines.readers.files import good, landed, rows, source


def test_types_order_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "d": pa.array([decimal.Decimal("1.10"), None], pa.decimal128(10, 2)),
            "when": pa.array([dt.datetime(2026, 3, 1, tzinfo=dt.UTC)] * 2, pa.timestamp("us", "UTC")),
            "s": pa.array(["玄武", "a\0b"]).dictionary_encode(),
            "nested": [{"x": [1]}, None],
        }
    )
    pq.write_table(table, path)
    found = rows(path, "parquet", ["s", "d", "when", "nested"])
    assert found[0] | {"when": None} == {
        "s": "玄武",
        "d": decimal.Decimal("1.10"),
        "when": None,
        "nested": '{"x": [1]}',
        "_row": 1,
        "_error": None,
        "_raw": None,
    }
    assert (found[1]["_row"], found[1]["_error"], found[1]["d"]) == (2, "a NUL byte", None)
    batch = next(read(landed(path, "parquet"), source("parquet"), ["d", "when"]))
    assert batch.schema.types[:2] == [pa.decimal128(10, 2), pa.timestamp("us", "UTC")]


def test_a_column_of_few_values_is_read_as_numbers_and_looked_at_once_for_each(tmp_path: Path) -> None:
    """Which of its rows are malformed is the same."""
    path = tmp_path / "a.parquet"
    texts = ["玄武", "a\0b", None, "x" * (CELL + 1)]
    pq.write_table(pa.table({"s": texts * 20, "n": range(80)}), path)
    batch = next(read(landed(path, "parquet"), source("parquet"), ["n", "s"]))
    assert batch.schema.types[:2] == [pa.int64(), pa.dictionary(pa.int32(), pa.string())]
    assert batch["s"].to_pylist() == ["玄武", None, None, None] * 20
    assert batch["n"].to_pylist() == [n if n % 4 in (0, 2) else None for n in range(80)]
    assert batch["_error"].to_pylist() == [None, "a NUL byte", None, f"a cell of more than {CELL} bytes"] * 20


def test_missing_and_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1], "extra": [2]}), path)
    notes: list[str] = []
    rows(path, "parquet", ["id"], notes)
    assert notes == ["a.parquet: 1 column(s) not collected: extra"]
    with pytest.raises(SourceError, match="column extr is missing"):
        rows(path, "parquet", ["id", "extr"])


@pytest.mark.parametrize("cut", [0, 3, 8, 1000, -1, -20])
def test_truncated(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [str(i) for i in range(10_000)]}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceError, match="damaged or was cut short"):
        rows(path, "parquet", ["a"])


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [str(i) for i in range(100_000)]}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[200:3000] = b"\xff" * 2800
    path.write_bytes(bytes(data))
    with pytest.raises(SourceError, match="damaged or was cut short"):
        rows(path, "parquet", ["a"])


def test_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(300_000))}), path, row_group_size=70_000)
    found = good(path, "parquet", ["a"])
    assert found == [(i,) for i in range(300_000)]
