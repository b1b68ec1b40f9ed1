"""The data dictionary that comes with every release: each field, what was done to it, and what its codes
mean."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.masks.words import words_of
from schemas.arrow import masked_type
from schemas.load import Catalogue
from schemas.model import Entry, Field, Keep, Mask

Json = dict[str, Any]
COLUMNS = ("field", "title_zh", "title_en", "type", "mask_zh", "mask_en", "codes")


def dictionary(catalogue: Catalogue, entry: Entry, plan: dict[str, Mask], key_version: str | None) -> Json:
    """The dictionary as JSON. Codes are listed where the field is kept: masked values are not codes any
    more."""
    return {
        "dataset": entry.id,
        "title": entry.title.model_dump(),
        "summary": entry.summary.model_dump(),
        "fields": [_field(catalogue, entry.fields[name], mask, key_version) for name, mask in plan.items()],
    }


def _field(catalogue: Catalogue, field: Field, mask: Mask, key_version: str | None) -> Json:
    codes = catalogue.codes.get(field.codes or "", ()) if isinstance(mask, Keep) else ()
    zh, en = words_of(mask, key_version)
    return {
        "field": field.name,
        "title": field.title.model_dump(),
        "type": type_word(masked_type(field, mask)),
        "mask": {"kind": mask.kind, "zh": zh, "en": en},
        "codes": [{"code": code.code, "zh": code.zh, "en": code.en} for code in codes],
    }


def type_word(kind: pa.DataType) -> str:
    """The catalogue's word for a type: `string`, `integer`, `decimal(12,2)`, `timestamp (UTC)` …"""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    words = {"int64": "integer", "double": "number", "bool": "boolean", "date32[day]": "date"}
    return "timestamp (UTC)" if pa.types.is_timestamp(kind) else words.get(str(kind), str(kind))


def flat(words: Json) -> pa.Table:
    """The dictionary as a table, one row a field; codes as `1 男 Male; 2 女 Female`."""
    rows = [
        {
            "field": field["field"],
            "title_zh": field["title"]["zh"],
            "title_en": field["title"]["en"],
            "type": field["type"],
            "mask_zh": field["mask"]["zh"],
            "mask_en": field["mask"]["en"],
            "codes": "; ".join(" ".join(filter(None, code.values())) for code in field["codes"]),
        }
        for field in words["fields"]
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in COLUMNS]))
