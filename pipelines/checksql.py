"""The statements of a check's end: which rows are set aside, and why. See `expectations.sqltables` for the
relations."""

from __future__ import annotations

from collections.abc import Sequence

from expectations.sqltables import BATCH, FAILURES
from pipelines.sqlrows import as_json
from schemas.model import Entry

BITS = 62
"""Checks per BIGINT of a row's failures: a sum of bits has a fixed size, so that DuckDB can spill millions of
them."""


def _of(numbers: Sequence[int]) -> str:
    return f"number IN ({', '.join(map(str, numbers)) or 'NULL'})"


def count_rejects(numbers: Sequence[int]) -> str:
    return f"SELECT count(DISTINCT seq) FROM {FAILURES} WHERE {_of(numbers)}"


def rejects(numbers: Sequence[int]) -> str:
    """`_seq` of every row that failed one of these checks, once, rising."""
    return f"SELECT DISTINCT seq AS _seq FROM {FAILURES} WHERE {_of(numbers)} ORDER BY _seq"


def words(checks: int) -> list[str]:
    """The columns that hold the bits of so many checks."""
    return [f"bits{number}" for number in range(-(-checks // BITS))]


def failed(numbers: Sequence[int]) -> str:
    """`seq` of every row that failed one of these checks, once, and which as bits: the check at place n of `numbers` is
    bit n % BITS of the column `bits<n // BITS>`."""
    columns: list[str] = []
    for name, start in zip(words(len(numbers)), range(0, len(numbers), BITS), strict=True):
        cases = " ".join(
            f"WHEN {number} THEN {1 << bit}" for bit, number in enumerate(numbers[start : start + BITS])
        )
        columns.append(f"bit_or(CASE number {cases} ELSE 0 END::BIGINT) AS {name}")
    return f"SELECT seq, {', '.join(columns)} FROM {FAILURES} WHERE {_of(numbers)} GROUP BY seq"


def set_aside(entry: Entry, numbers: Sequence[int]) -> str:
    """file, row, data (the entry's fields as a JSON object), and the failed checks as bits (see `failed`), in the
    batch's order."""
    return (
        f"SELECT b._file AS file, b._row AS row, {as_json(entry, 'b')} AS data, "
        f"f.* EXCLUDE (seq) FROM {BATCH} AS b JOIN ({failed(numbers)}) AS f ON b._seq = f.seq "
        "ORDER BY b._seq"
    )


def places(number: int, most: int) -> str:
    """The first rows that failed a check: file and row as a person sees them."""
    return (
        f"SELECT b._file, b._row FROM {BATCH} AS b JOIN {FAILURES} AS f ON b._seq = f.seq "
        f"WHERE f.number = {number} ORDER BY b._seq LIMIT {most}"
    )
