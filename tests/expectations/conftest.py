"""A batch of hand-written rows as the view that checks read, and an entry that has just those fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from expectations.known import Known
from schemas.model import Check, Entry, Field, FileSource, Merge, Open, Share, Title
from schemas.numbers import default_numbers
from schemas.verdict import CheckResult

TITLE = Title(zh="测试", en="Test")
END = datetime(2026, 3, 3, 16, tzinfo=UTC)
Outcome = tuple[list[CheckResult], dict[int, list[int]]]
Judge = Callable[..., Outcome]


def entry_of(
    types: dict[str, str], checks: list[dict[str, Any]], grades: dict[str, int] | None = None
) -> Entry:
    fields = {
        name: Field(name=name, title=TITLE, type=type_, grade=(grades or {}).get(name, 2))
        for name, type_ in types.items()
    }
    return Entry(
        id="test.batch", title=TITLE, summary=TITLE, code="3010203/1", owner="test",
        source=FileSource(kind="file", path="x.csv", format="csv"), schedule=None, key=(next(iter(fields)),),
        merge=Merge(kind="append"), brake=default_numbers().brake,
        retention=default_numbers().retention, share=Share(type="unconditional"), open=Open(type="none"), fields=fields,
        checks=tuple(Check(**{"on_fail": "quarantine", **check}) for check in checks), file="test/batch.yaml",
    )  # fmt: skip


def type_of(values: pa.Array) -> str:
    kind = str(values.type)
    names = {"int64": "integer", "double": "number", "date32[day]": "date", "bool": "boolean"}
    return "timestamp" if kind.startswith("timestamp") else names.get(kind, "string")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(
        config={"autoload_known_extensions": False, "autoinstall_known_extensions": False}
    ) as made:
        made.execute("SET TimeZone = 'UTC'")
        yield made


@pytest.fixture
def judge(connection: duckdb.DuckDBPyConnection) -> Judge:
    """judge(columns, checks, ...) → results, and check number → failing `_seq`s."""

    def judge(
        columns: dict[str, Any],
        checks: list[dict[str, Any]],
        known: Known | None = None,
        grades: dict[str, int] | None = None,
    ) -> Outcome:
        from expectations.run import run

        arrays = {name: v if isinstance(v, pa.Array) else pa.array(v) for name, v in columns.items()}
        arrays = {name: v.cast(pa.string()) if pa.types.is_null(v.type) else v for name, v in arrays.items()}
        entry = entry_of({name: type_of(v) for name, v in arrays.items()}, checks, grades)
        rows = len(next(iter(arrays.values())))
        table = pa.table(
            {**arrays, "_seq": list(range(rows)), "_file": ["f"] * rows, "_row": [i + 2 for i in range(rows)]}
        )
        connection.register("arrow_batch", table)
        connection.execute("CREATE TABLE batch AS SELECT * FROM arrow_batch")
        results = run(entry, connection, known or Known(END))
        failing: dict[int, list[int]] = {}
        for number, seq in connection.execute("SELECT number, seq FROM failures ORDER BY ALL").fetchall():
            failing.setdefault(number, []).append(seq)
        return list(results), failing

    return judge
