"""How the tests of casts say what goes in and what should come out."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.casting.casts import Cast, Codebook, cast
from schemas.model import Field, Title

FAILS = "fails"
"""Stands for a value that is set aside."""


def field(kind: str, **options: Any) -> Field:
    return Field.model_validate(
        {"name": "f", "title": Title(zh="字段", en="Field"), "type": kind, "grade": 1, **options}
    )


def result(values: Any, to: Field, codes: Codebook | None = None, *, excel: bool = False) -> list[Any]:
    """Values after the cast, `FAILS` where one failed; checks what every cast promises."""
    column = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    done = cast(column, to, codes, excel=excel)
    done.values.validate(full=True)
    assert len(done.values) == len(done.failed) == len(column)
    assert done.failed.type == pa.bool_() and done.failed.null_count == 0
    assert done.rule and done.expected
    return [outcome(done, row) for row in range(len(column))]


def outcome(done: Cast, row: int) -> Any:
    value, failed = done.values[row].as_py(), done.failed[row].as_py()
    assert not (failed and value is not None)
    return FAILS if failed else value
