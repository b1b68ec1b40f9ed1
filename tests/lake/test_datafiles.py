"""Batches as a table wants them: text may stay numbers in a dictionary, nothing else may."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lake.datafiles import conform
from schemas.errors import LakeError

SCHEMA = pa.schema([pa.field("place", pa.string(), metadata={"PARQUET:field_id": "1"}), ("year", pa.int64())])


def test_text_in_a_dictionary_stays_there_and_keeps_its_field_id() -> None:
    places = pa.array(["b", None, "b"]).dictionary_encode()
    found = conform(pa.record_batch({"year": [1, 2, 3], "place": places}), SCHEMA)
    assert found.column("place").equals(places)
    assert found.schema.names == SCHEMA.names
    assert found.schema.field("place").metadata == SCHEMA.field("place").metadata


def test_a_dictionary_of_another_type_is_cast_to_the_columns() -> None:
    years = pa.array([2026, 2025, 2026], pa.int32()).dictionary_encode()
    found = conform(pa.record_batch({"place": ["a", "b", "c"], "year": years}), SCHEMA)
    assert found.schema.equals(SCHEMA)
    assert found.column("year").to_pylist() == [2026, 2025, 2026]


def test_a_dictionary_whose_values_do_not_fit_is_refused_without_a_value() -> None:
    words = pa.array(["secret", "secret"]).dictionary_encode()
    with pytest.raises(LakeError, match="does not fit the column") as refused:
        conform(pa.record_batch({"place": ["a", "b"], "year": words}), SCHEMA)
    assert "secret" not in str(refused.value)
