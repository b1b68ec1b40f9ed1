"""A recipient's database of each kind, and orders of rows that a test makes up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy.engine import make_url

from exchange.receipts import Counts
from pipelines.delivering import mariadb as into_mariadb
from pipelines.delivering import postgresql as into_postgresql
from pipelines.delivering.order import Change, Order
from tests.pipelines.sources.conftest import Department, mariadb, postgresql

__all__ = ["mariadb", "postgresql"]
SCHEMA = pa.schema([("no", pa.string()), ("name", pa.string()), ("fee", pa.int64())])
Rows = Sequence[tuple[Any, ...]]


@pytest.fixture(params=["postgresql", "mariadb"])
def recipient(request: pytest.FixtureRequest) -> Department:
    found: Department = request.getfixturevalue(request.param)
    return found


def push(recipient: Department, order: Order, url: str = "") -> Counts:
    found = make_url(url or recipient.url)
    return (into_postgresql if found.get_backend_name() == "postgresql" else into_mariadb).push(found, order)


def reader(rows: Rows, schema: pa.Schema = SCHEMA, batches: int = 1) -> pa.RecordBatchReader:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    table = pa.table(
        [pa.array(each, field.type) for each, field in zip(columns, schema, strict=True)], schema=schema
    )
    return table.to_reader(max_chunksize=max(1, -(-table.num_rows // batches)))


def order(
    rows: Rows,
    snapshot: int = 1,
    *,
    schema: pa.Schema = SCHEMA,
    keys: tuple[str, ...] = (),
    before: dict[int, Rows] | None = None,
    still: Callable[[], object] = lambda: None,
    **other: Any,
) -> Order:
    """`before` are the rows of snapshots of which it is known what changed since."""

    def change(since: int) -> Change | None:
        if before is None or since not in before:
            return None
        only = pa.schema([schema.field(key) for key in keys])
        at = [schema.names.index(key) for key in keys]
        went = [tuple(row[place] for place in at) for row in before[since] if row not in rows]
        return Change(reader([row for row in rows if row not in before[since]], schema), reader(went, only))

    known: dict[str, Any] = {
        "name": "health.visit default 1",
        "place": "visits",
        "snapshot": snapshot,
        "schema": schema,
        "rows": len(rows),
        "whole": lambda: reader(rows, schema, 4),
        "change": change,
        "still": still,
        "keys": keys,
    }
    return Order(**known | other)


def rows_of(
    recipient: Department, table: str = "visits", columns: str = "no, name, fee"
) -> list[tuple[Any, ...]]:
    with recipient.engine.begin() as connection:
        found = connection.exec_driver_sql(f"SELECT {columns} FROM {table}").all()
    return sorted((tuple(row) for row in found), key=lambda row: (row[0] is not None, row[0]))
