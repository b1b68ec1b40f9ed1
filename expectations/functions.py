"""SQL functions of the checks: the Arrow kernels of `schemas.identifiers`, so that each rule exists once, and
two readers of text that no SQL engine has. They run on a vector of values at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import duckdb
import jsonschema
import pyarrow as pa
from dateutil import parser
from duckdb.func import ARROW
from duckdb.sqltypes import BOOLEAN, VARCHAR

from schemas import identifiers

KERNELS = {
    "is_resident_id": identifiers.is_resident_id,
    "is_uscc": identifiers.is_uscc,
    "is_mobile": identifiers.is_mobile,
    "is_division_code": identifiers.is_division_code,
}


def register_kernels(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the kernels known to the connection's database: each takes text and gives a boolean, NULL for NULL."""
    for name, kernel in KERNELS.items():
        connection.create_function(name, _vectorised(kernel), [VARCHAR], BOOLEAN, type=ARROW)


def register_readers(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the readers of text known to the connection's database, likewise."""
    connection.create_function("is_dateutil", _per_distinct(_is_dateutil), [VARCHAR], BOOLEAN, type=ARROW)
    connection.create_function(
        "matches_json_schema", _matches_json_schema, [VARCHAR, VARCHAR], BOOLEAN, type=ARROW
    )


def _vectorised(kernel: Callable[..., Any]) -> Callable[..., Any]:
    return lambda values: pa.array(kernel(values), pa.bool_())


def _per_distinct(test: Callable[[str], bool]) -> Callable[..., Any]:
    """A test in Python, once for each distinct value of the vector."""

    def function(values: pa.ChunkedArray) -> pa.Array:
        encoded = values.combine_chunks().dictionary_encode()
        verdicts = [test(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(verdicts, pa.bool_()).take(encoded.indices)

    return function


def _is_dateutil(value: str) -> bool:
    try:
        parser.parse(value)
    except (ValueError, OverflowError):
        return False
    return True


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    document = json.loads(schema)
    return jsonschema.validators.validator_for(document)(document)


def _matches_json_schema(values: pa.ChunkedArray, schemas: pa.ChunkedArray) -> pa.Array:
    validator = _validator(schemas[0].as_py())

    def valid(value: str) -> bool:
        try:
            return bool(validator.is_valid(json.loads(value)))
        except ValueError:
            return False

    return _per_distinct(valid)(values)
