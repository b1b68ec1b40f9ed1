"""The lines of an answer: protocol, metadata, files, in the formats `parquet` and `delta` (API Response Actions)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import pyarrow as pa

from exchange.access import Access
from exchange.errors import Unfit
from lake.shown import Plain, Version

Format = Literal["parquet", "delta"]
Line = dict[str, Any]
_TYPES: Final = {
    pa.string(): "string",
    pa.int64(): "long",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.binary(): "binary",
    pa.timestamp("us", "UTC"): "timestamp",
}


def format_of(capabilities: str) -> Format:
    """The format of a `delta-sharing-capabilities` header: `parquet`, unless nothing but `delta` is accepted."""
    pairs = (each.partition("=")[::2] for each in capabilities.lower().replace(" ", "").split(";"))
    wanted = dict(pairs).get("responseformat", "")
    accepted = [each for each in wanted.split(",") if each]
    if not accepted or "parquet" in accepted:
        return "parquet"
    if "delta" in accepted:
        return "delta"
    raise Unfit("no such response format", expected="responseformat=parquet or delta")


def protocol(form: Format) -> Line:
    if form == "parquet":
        return {"protocol": {"minReaderVersion": 1}}
    return {"protocol": {"deltaProtocol": {"minReaderVersion": 1, "minWriterVersion": 2}}}


def metadata(form: Format, ident: str, right: Access, schema: pa.Schema, version: Version) -> Line:
    """`ident` is the table's own; fields carry the catalogue's titles as comments."""
    said: Line = {
        "id": ident,
        "name": f"{right.entry.id}.{right.policy}",
        "description": f"{right.entry.title.zh} {right.entry.title.en}",
        "format": {"provider": "parquet"},
        "schemaString": json.dumps(_struct(right, schema), ensure_ascii=False),
        "partitionColumns": [],
        "configuration": {},
    }
    if form == "parquet":
        return {"metaData": said | {"version": version.number, "accessModes": ["url"]}}
    said["format"]["options"] = {}
    return {"metaData": {"version": version.number, "deltaMetadata": said | {"createdTime": version.at}}}


def _struct(right: Access, schema: pa.Schema) -> Line:
    fields = []
    for field in schema:
        known = right.entry.fields.get(field.name)
        comment = {"comment": f"{known.title.zh} {known.title.en}"} if known else {}
        said = {"name": field.name, "type": _type(field.type), "nullable": True, "metadata": comment}
        fields.append(said)
    return {"type": "struct", "fields": fields}


def _type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _TYPES[kind]


@dataclass(frozen=True)
class Link:
    """Where a file can be fetched, and until when (seconds of Unix time)."""

    url: str
    until: int


def file(form: Format, plain: Plain, link: Link, version: Version | None) -> Line:
    """A file. `version` is told where the reader asked for one."""
    stats = json.dumps(_stats(plain), ensure_ascii=False)
    if form == "delta":
        add = {
            "path": link.url,
            "partitionValues": {},
            "size": plain.size,
            "modificationTime": version.at if version else 0,
            "dataChange": True,
            "stats": stats,
        }
        held: Line = {"id": plain.id, "deltaSingleAction": {"add": add}}
    else:
        held = {
            "url": link.url,
            "id": plain.id,
            "partitionValues": {},
            "size": plain.size,
            "stats": stats,
        }
    told = {"version": version.number, "timestamp": version.at} if version else {}
    return {"file": held | told | {"expirationTimestamp": link.until * 1000}}


def _stats(plain: Plain) -> Line:
    """Rows, bounds and NULLs of a file, of columns whose values are not private (Per-file Statistics)."""
    return {
        "numRecords": plain.rows,
        "minValues": _bounds(plain.least),
        "maxValues": _bounds(plain.most),
        "nullCount": dict(plain.nulls),
    }


def _bounds(bounds: Mapping[str, Any]) -> Line:
    """Bounds that have an exact form in JSON: moments, of which the protocol keeps milliseconds, have none."""
    return {
        name: float(value) if isinstance(value, Decimal) else str(value) if isinstance(value, date) else value
        for name, value in bounds.items()
        if isinstance(value, str | int | Decimal | date) and not isinstance(value, bool | datetime)
    }


def moment(text: str) -> int:
    """Milliseconds of Unix time of a text in the protocol's Timestamp Format. Unfit for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Unfit("a timestamp is malformed", expected="such as 2026-01-01T00:00:00Z") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return int(found.timestamp() * 1000)
