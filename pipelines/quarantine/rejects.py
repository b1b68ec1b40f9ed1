"""Rows that could not be standardised, on their way to the quarantine: every failure of a row, and the row
as it was.

They are spilled to a file in scratch space while the good rows are written, and go to the quarantine in one
commit afterwards, so that a batch of which every row fails needs no more memory than a good one."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake import scratch
from lake.rejected import FAILURE, SCHEMA
from lake.store import full_disk_is_ours
from pipelines.casting.casts import Cast
from pipelines.casting.text import convert
from pipelines.quarantine.laid import Laid
from schemas.buffers import Flags, flags
from schemas.settings import Settings

MARKERS = ("_row", "_error", "_raw")
"""What a reader adds to the source's columns."""
MALFORMED = "malformed"
"""The rule that a row breaks which the reader itself could not use; it has no field."""
_ROWS = 1000
"""Rows turned into Python objects at a time."""


class Spill:
    """Quarantine rows on local disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = pa.ipc.new_stream(
            str(path), SCHEMA, options=pa.ipc.IpcWriteOptions(compression="zstd")
        )
        self.rows = 0

    def write(self, rows: pa.RecordBatch) -> None:
        with full_disk_is_ours(str(self._path)):
            self._stream.write_batch(rows)
        self.rows += rows.num_rows

    @contextmanager
    def read(self) -> Iterator[pa.RecordBatchReader]:
        """Everything written, as a stream. Nothing can be written any more."""
        self._stream.close()
        with pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as reader:
            yield reader


@contextmanager
def spill(settings: Settings) -> Iterator[Spill]:
    """A spill that leaves nothing behind. Its folder is for its owner only: it holds rows as the source gave
    them."""
    with scratch.folder(settings, "rejects") as folder:
        yield Spill(folder / "rows.arrow")


def failed(raw: pa.RecordBatch, casts: Mapping[str, Cast]) -> Flags:
    """Which rows of a reader's batch are malformed or have a value that did not convert."""
    bad = flags(raw["_error"].is_valid())
    for cast in casts.values():
        if pc.any(cast.failed).as_py():
            bad = bad | flags(cast.failed)
    return bad


def set_aside(
    raw: pa.RecordBatch,
    casts: Mapping[str, Cast],
    bad: Flags,
    *,
    batch: str,
    file: str,
    at: datetime,
    laid: Mapping[str, Laid] = MappingProxyType({}),
) -> Iterator[pa.RecordBatch]:
    """The bad rows in the quarantine's schema, each once with all its failures. `casts` is by field name;
    `data` is JSON of the source's columns, as corrected, or of the raw text of a malformed row."""
    failures = {name: cast for name, cast in casts.items() if pc.any(cast.failed).as_py()}
    places = np.flatnonzero(bad)
    for start in range(0, len(places), _ROWS):
        rows = pa.array(places[start : start + _ROWS])
        some = raw.take(rows)
        fixed = {"batch": batch, "stage": "standardise", "file": file, "at": at}
        columns = {
            **{
                name: pa.repeat(pa.scalar(value, SCHEMA.field(name).type), len(rows))
                for name, value in fixed.items()
            },
            "row": some["_row"],
            "failures": _failures(
                some, {name: cast.failed.take(rows) for name, cast in failures.items()}, failures
            ),
            "data": _data(some, {name: each.among(rows) for name, each in laid.items()}),
        }
        yield pa.RecordBatch.from_pydict(columns, SCHEMA)


def _failures(some: pa.RecordBatch, marks: Mapping[str, pa.Array], casts: Mapping[str, Cast]) -> pa.Array:
    """list<struct<field, rule, expected>> of each row, in the entry's order of fields."""
    malformed = some["_error"].is_valid()
    table = np.column_stack([flags(mark) for mark in (*marks.values(), malformed)])
    rows, kinds = np.nonzero(table)
    kind, reason = pa.array(kinds), some["_error"].take(pa.array(rows))
    named = [[*marks, ""], [*(casts[name].rule for name in marks), MALFORMED]]
    expected = pa.array([*(casts[name].expected for name in marks), None], pa.string()).take(kind)
    parts = [*(pa.array(texts, pa.string()).take(kind) for texts in named), pc.coalesce(expected, reason)]
    offsets = np.concatenate(([0], np.cumsum(table.sum(axis=1)))).astype(np.int32)
    structs = pa.StructArray.from_arrays(parts, fields=list(FAILURE))
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=SCHEMA.field("failures").type)


def _data(some: pa.RecordBatch, corrected: Mapping[str, Mapping[int, str | None]]) -> pa.Array:
    names = [name for name in some.schema.names if name not in MARKERS]
    columns = [shown(some[name]) for name in names]
    for name, column in zip(names, columns, strict=True):
        for place, text in corrected.get(name, {}).items():
            column[place] = text
    raws = some["_raw"].to_pylist() if some["_error"].null_count < len(some) else [None] * len(some)
    texts = [
        _json({"_raw": raw} if raw is not None else dict(zip(names, row, strict=True)))
        for raw, row in zip(raws, zip(*columns, strict=True) if columns else [()] * len(some), strict=True)
    ]
    return pa.array(texts, pa.string())


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def shown(column: pa.Array) -> list[Any]:
    """The values as JSON has them: text, numbers, truth values and null as they are; bytes as base64;
    others, and floats that JSON does not know, as text."""
    if pa.types.is_dictionary(column.type):
        return shown(column.dictionary_decode())
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(column)
    if pa.types.is_floating(kind):
        return [
            value if value is None or math.isfinite(value) else str(value) for value in column.to_pylist()
        ]
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return list(column.to_pylist())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    return list(convert(column, pa.string()).to_pylist())


def _texts(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
        return [None if value is None else value.decode("utf-8", "backslashreplace") for value in values]
