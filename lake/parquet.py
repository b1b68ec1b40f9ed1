"""How Parquet is written: zstd at the level that costs least, and dictionaries where values repeat.

Measured on the residents of the benchmark: level 1 in place of 3 takes a quarter less time for the same size, and a
dictionary of a column in which nearly every value is another one is built for nothing: without it a file takes a third
less time, and is a sixth smaller. A value that comes three times, as a household's number, is better without too; one
of ten thousand dates is not, which a sample of the size of a row group shows. Pages end by their bytes alone: ending
them by their rows too takes a twelfth more.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

OPTIONS: Final = {
    "compression": "zstd",
    "compression_level": 1,
    "store_decimal_as_integer": True,
    "max_rows_per_page": 1 << 20,
}
SMALL: Final = 64 << 10
"""Bytes, as they are stored, of a dictionary whose numbers are cheaper to read than the values they stand for."""
SAMPLE: Final = 1 << 16
REPEATED: Final = 0.3
"""Distinct values in a sample's rows, up to which a column gets a dictionary."""
FEW: Final = 1 << 12
ALONE: Final = 0.95
"""Distinct values in so few rows, above which the others need no look."""
SALT: Final = "xuanwu:salt"


def options(first: pa.Table, *, statistics: bool | Collection[str] = True) -> dict[str, Any]:
    """The writer's options for a file that begins with these rows; columns that are told in its `statistics`."""
    told = statistics if isinstance(statistics, bool) else list(statistics)
    return OPTIONS | {
        "use_dictionary": _repeated(first),
        "write_statistics": told,
        "store_schema": not any(map(pa.types.is_dictionary, first.schema.types)),
    }


def _repeated(first: pa.Table) -> list[str] | bool:
    """Columns in which values repeat; with no rows to look at it is the library's choice."""
    sample = first.slice(0, SAMPLE)
    if sample.num_rows == 0:
        return True
    return [name for name in sample.column_names if _repeats(sample[name])]


def _repeats(column: pa.ChunkedArray) -> bool:
    if pa.types.is_nested(column.type) or pa.types.is_dictionary(column.type):
        return pa.types.is_dictionary(column.type)
    few = column.slice(0, FEW)
    return _distinct(few) <= ALONE * len(few) and _distinct(column) <= REPEATED * len(column)


def _distinct(column: pa.ChunkedArray) -> int:
    """Null counts as a value: to count what is unique takes Arrow half as long as `count_distinct`."""
    return len(pc.unique(column))


def salted(schema: pa.Schema) -> pa.Schema:
    """The schema of a file whose digest others see: a salt in its footer, another one each time, keeps what a few rows
    hold from being tried against it."""
    return schema.with_metadata({SALT: secrets.token_hex(16)})


def encoded_as(schema: pa.Schema, given: pa.Schema) -> pa.Schema:
    """The schema, of which those columns are numbers in a dictionary that are given so."""
    kinds = {field.name: field.type for field in given if pa.types.is_dictionary(field.type)}
    return pa.schema([f.with_type(kinds.get(f.name, f.type)) for f in schema], schema.metadata)


def few_values(footer: pq.FileMetaData) -> list[str]:
    """Columns of text, not nested, that every row group holds in a small dictionary: read as numbers in it they cost
    little, and are written again without a look at each value. Large ones are dearer to read so than as text."""
    texts = [f.name for f in footer.schema.to_arrow_schema() if pa.types.is_string(f.type)]
    small = set(texts if footer.num_row_groups else ())
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        chunks = (group.column(place) for place in range(group.num_columns))
        small &= {chunk.path_in_schema for chunk in chunks if 0 <= _dictionary_bytes(chunk) <= SMALL}
    return [name for name in texts if name in small]


def _dictionary_bytes(chunk: pq.ColumnChunkMetaData) -> int:
    """Of its page, as it is stored; -1 where there is none."""
    return chunk.data_page_offset - chunk.dictionary_page_offset if chunk.has_dictionary_page else -1


def _encoded(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows as the first ones were given: text, or numbers in a dictionary."""
    if table.schema.types == schema.types:
        return table
    columns = [
        column.dictionary_encode()
        if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type)
        else column.cast(field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


class Writer:
    """A Parquet file on a stream, whose options are chosen by the first rows that come. Text may come as numbers in a
    dictionary, and is written as the first rows had it; for readers it is text."""

    def __init__(self, stream: Any, schema: pa.Schema, *, statistics: bool | Collection[str] = True) -> None:
        self._stream, self._schema, self._statistics = stream, schema, statistics
        self._writer: pq.ParquetWriter | None = None

    def write_table(self, table: pa.Table) -> None:
        """One row group."""
        writer = self._opened(table)
        writer.write_table(_encoded(table, writer.schema).unify_dictionaries())

    def _opened(self, first: pa.Table) -> pq.ParquetWriter:
        if self._writer is None:
            chosen = options(first, statistics=self._statistics)
            self._writer = pq.ParquetWriter(self._stream, encoded_as(self._schema, first.schema), **chosen)
            if self._schema.metadata and not chosen["store_schema"]:  # which would have brought it
                self._writer.add_key_value_metadata(self._schema.metadata)
        return self._writer

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The footer; a file of no rows has one too. Where the rows raised, theirs is the error that is told: that a
        footer found no room says less."""
        if kind is None:
            (self._writer or self._opened(self._schema.empty_table())).close()
        elif self._writer is not None:
            with suppress(Exception):
                self._writer.close()
