"""Rows that cannot be used are kept in their place, with their text and a reason; never dropped or repaired.

Every batch of a reader ends in three columns: `_row` int64, the row's number in its file; `_error` string,
null unless the row is malformed; `_raw` string, its text up to `RAW` characters, null unless malformed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CELL = 1 << 20
"""Bytes of UTF-8 in one cell at most (1 MiB); a larger cell is a fault of the export, not data."""
RAW = 4000
MAX_BATCH = 1 << 17
Bad = tuple[int, str, str]
"""A malformed row: its number, why, and its text."""
MARKERS = (pa.field("_row", pa.int64()), pa.field("_error", pa.string()), pa.field("_raw", pa.string()))


def shortened(text: str) -> str:
    """At most about `RAW` characters; what was cut is said. Shortening twice changes nothing."""
    return text if len(text) <= RAW + 40 else f"{text[:RAW]}… [{len(text)} characters]"


def with_markers(batch: pa.RecordBatch, rows: np.ndarray) -> pa.RecordBatch:
    """A batch of good rows and their numbers (int64), with the three columns added."""
    none = pa.nulls(batch.num_rows, pa.string())
    schema = pa.schema([*batch.schema, *MARKERS])
    return pa.RecordBatch.from_arrays([*batch.columns, pa.array(rows, pa.int64()), none, none], schema=schema)


def footers(first: pa.Array, pattern: str | None) -> np.ndarray:
    """Which first cells the pattern (RE2) is found in; null cells are no footers."""
    if pattern is None:
        return np.zeros(len(first), bool)
    found = pc.match_substring_regex(first, pattern).fill_null(False)
    return cast(np.ndarray, found.to_numpy(zero_copy_only=False))


def insert(batch: pa.RecordBatch, bad: Sequence[Bad]) -> pa.RecordBatch:
    """The batch with malformed rows (number, reason, text) at their places; their cells are null."""
    if not bad:
        return batch
    numbers, reasons, texts = zip(*bad, strict=True)
    cells = [pa.nulls(len(bad), field.type) for field in batch.schema][:-3]
    extra = pa.RecordBatch.from_arrays(
        [
            *cells,
            pa.array(numbers, pa.int64()),
            pa.array(reasons, pa.string()),
            pa.array([shortened(text) for text in texts], pa.string()),
        ],
        schema=batch.schema,
    )
    both = pa.concat_batches([batch, extra])
    return both.take(pc.sort_indices(both["_row"]))


def marked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with a NUL byte or a cell beyond `CELL` bytes become malformed: null cells, the row as JSON."""
    if not batch.num_rows:
        return batch
    nul, large = np.zeros(batch.num_rows, bool), np.zeros(batch.num_rows, bool)
    for column in batch.columns[:-3]:
        if pa.types.is_dictionary(column.type):
            _look_few(column, nul, large)
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            _look(column, nul, large)
    if not (nul | large).any():
        return batch
    return _set_aside(batch, nul, large)


def _look_few(column: pa.DictionaryArray, nul: np.ndarray, large: np.ndarray) -> None:
    own = np.zeros((2, len(column.dictionary)), bool)
    _look(column.dictionary, *own)
    if own.any():
        marks = (pa.array(each).take(column.indices).fill_null(False) for each in own)
        own_nul, own_large = (each.to_numpy(zero_copy_only=False) for each in marks)
        nul |= own_nul
        large |= own_large


def _look(column: pa.Array, nul: np.ndarray, large: np.ndarray) -> None:
    data = column.buffers()[2]
    if data is None:
        return
    offsets = np.frombuffer(
        column.buffers()[1], np.int64 if pa.types.is_large_string(column.type) else np.int32
    )[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    if len(text) and not text.all():
        nul |= pc.match_substring(column, "\0").fill_null(False).to_numpy(zero_copy_only=False)
    large |= np.diff(offsets) > CELL


def _set_aside(batch: pa.RecordBatch, nul: np.ndarray, large: np.ndarray) -> pa.RecordBatch:
    bad = nul | large
    at = np.flatnonzero(bad)
    raws = [_as_json(batch.slice(int(i), 1)) for i in at]
    reasons = ["a NUL byte" if nul[i] else f"a cell of more than {CELL} bytes" for i in at]
    good = batch.filter(pa.array(~bad))
    rows = batch["_row"].to_numpy()[at].tolist()
    # Rows that were malformed before stay so: their cells are null and cannot be marked again.
    return insert(good, list(zip(rows, reasons, raws, strict=True)))


def json_text(column: pa.Array) -> pa.Array:
    """Nested values as JSON text."""
    texts = [
        None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


def _as_json(row: pa.RecordBatch) -> str:
    cells = {name: row[name][0].as_py() for name in row.schema.names[:-3]}
    return json.dumps(
        {k: shortened(v) if isinstance(v, str) else v for k, v in cells.items()},
        ensure_ascii=False,
        default=str,
    )


def without_last(batches: Iterable[pa.RecordBatch], count: int) -> Iterator[pa.RecordBatch]:
    """All but the last `count` rows: a footer is known only when the file has ended."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while held and rows - held[0].num_rows >= count:
            rows -= held[0].num_rows
            yield held.pop(0)
    for batch in held:
        keep = min(batch.num_rows, max(0, rows - count))
        rows -= batch.num_rows
        if keep:
            yield batch.slice(0, keep)


def sliced(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of at most `MAX_BATCH` rows, and no empty ones."""
    for batch in batches:
        for start in range(0, batch.num_rows, MAX_BATCH):
            yield batch.slice(start, MAX_BATCH)
