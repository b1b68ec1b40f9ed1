"""Arrow types of fields, of standardised rows and of published ones."""

from __future__ import annotations

import pyarrow as pa
import pytest

from schemas.arrow import entry_schema, field_type, masked_type, published_schema, standard_schema
from schemas.load import load_catalogue
from schemas.model import (
    Clip,
    Constant,
    Drop,
    Field,
    Generalise,
    Hmac,
    Keep,
    Mask,
    Partial,
    Redact,
    Round,
    Title,
)
from schemas.policy import mask_plan
from tests.conftest import write_catalogue
from tests.schemas.conftest import CITY

TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "decimal": pa.decimal128(12, 3),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "binary": pa.binary(),
}


def field(kind: str) -> Field:
    return Field.model_validate(
        {"name": "x", "title": Title(zh="x", en="x"), "type": kind, "grade": 1, "precision": 12, "scale": 3}
    )


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_its_arrow_type(kind: str) -> None:
    assert field_type(field(kind)) == TYPES[kind]


@pytest.mark.parametrize("mask", [Keep(), Round(to=10), Clip(max=1)])
def test_masks_that_keep_the_type(mask: Mask) -> None:
    assert masked_type(field("decimal"), mask) == pa.decimal128(12, 3)


@pytest.mark.parametrize("mask", [Hmac(), Partial(), Generalise(to="year"), Constant(value="x"), Redact()])
def test_masks_that_give_text(mask: Mask) -> None:
    assert masked_type(field("date"), mask) == pa.string()


def test_a_dropped_field_has_no_published_type() -> None:
    with pytest.raises(ValueError, match="x is dropped"):
        masked_type(field("string"), Drop())


def test_schemas_keep_the_entrys_order(tmp_path) -> None:
    entry = load_catalogue(write_catalogue(tmp_path, CITY)).entry("civil_affairs.marriage")
    assert entry_schema(entry).names == ["reg_no", "id_no", "name", "reg_date", "fee"]
    assert standard_schema(entry).names[-3:] == ["_seq", "_file", "_row"]
    assert standard_schema(entry).types[-3:] == [pa.int64(), pa.string(), pa.int64()]
    published = published_schema(entry, mask_plan(entry, "share", entry.share.policies["default"]))
    assert dict(zip(published.names, published.types, strict=True)) == {
        "reg_no": pa.string(),
        "id_no": pa.string(),
        "name": pa.string(),
        "reg_date": pa.date32(),
        "fee": pa.decimal128(8, 2),
    }
    opened = published_schema(entry, mask_plan(entry, "open", entry.open))
    assert opened.names == ["reg_no", "reg_date", "fee"]
