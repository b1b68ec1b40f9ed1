"""How files are written: dictionaries where values repeat, and no bounds where none are to be told."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake import parquet, store
from schemas.errors import CheckFailed

ROWS = 20_000


def _written(table: pa.Table, *groups: pa.Table, **options: bool) -> pq.FileMetaData:
    stream = io.BytesIO()
    with parquet.Writer(stream, table.schema, **options) as writer:
        for group in groups:
            writer.write_table(group)
    assert pq.read_table(stream) == pa.concat_tables([table.slice(0, 0), *groups])
    return pq.read_metadata(stream)


def test_a_column_has_a_dictionary_where_its_values_repeat() -> None:
    table = pa.table(
        {
            "id": [f"{number:018}" for number in range(ROWS)],
            "gender": [str(number % 2) for number in range(ROWS)],
            "empty": pa.nulls(ROWS, pa.string()),
            "several": [["a"]] * ROWS,
        }
    )
    group = _written(table, table).row_group(0)
    dictionaries = {group.column(at).path_in_schema: group.column(at).has_dictionary_page for at in range(4)}
    assert dictionaries == {"id": False, "gender": True, "empty": True, "several.list.element": False}
    assert group.column(0).compression == "ZSTD"


def test_without_statistics_a_footer_holds_no_value() -> None:
    table = pa.table({"name": ["张伟"] * 10})
    assert _written(table, table).row_group(0).column(0).statistics is not None
    assert _written(table, table, statistics=False).row_group(0).column(0).statistics is None


def test_a_file_of_no_rows_is_a_file() -> None:
    assert _written(pa.table({"name": pa.array([], pa.string())})).num_rows == 0


def test_text_as_numbers_in_a_dictionary_is_text_to_readers() -> None:
    """Row groups with dictionaries of their own hold no value of another's, however the batches' dictionaries lie."""
    form = pa.schema([("place", pa.dictionary(pa.int32(), pa.string())), ("year", pa.int64())])
    groups = []
    for begin in (0, 1000):
        values = [[f"place {number % 7 + begin}" for number in range(500)], ["last", None]]
        batches = [
            pa.record_batch([pa.array(each).dictionary_encode(), pa.array(range(len(each)))], schema=form)
            for each in values
        ]
        groups.append(pa.Table.from_batches(batches))
    stream = io.BytesIO()
    text = pa.schema(
        [pa.field("place", pa.string(), metadata={"PARQUET:field_id": "1"}), ("year", pa.int64())]
    )
    with parquet.Writer(stream, text) as writer:
        for group in groups:
            writer.write_table(group)
    found = pq.read_table(stream)
    assert found.schema.field("place").type == pa.string()
    assert found.schema.field("place").metadata == {b"PARQUET:field_id": b"1"}
    assert found["place"].to_pylist() == [each for group in groups for each in group["place"].to_pylist()]
    footer = pq.read_metadata(stream)
    assert footer.row_group(0).column(0).has_dictionary_page
    of_second = footer.row_group(1).column(0)
    assert (of_second.statistics.min, of_second.statistics.max) == ("last", "place 1006")
    pages = pq.ParquetFile(stream, read_dictionary=["place"]).read_row_group(1)["place"]
    assert {value for chunk in pages.chunks for value in chunk.dictionary.to_pylist()} == {
        "last",
        *(f"place {number}" for number in range(1000, 1007)),
    }


@pytest.mark.parametrize("first", ["text", "numbers"])
def test_text_is_written_as_its_first_rows_came(first: str) -> None:
    """A batch of several files may bring both, a dictionary's numbers and text."""
    text = pa.table({"place": ["a", None, "b"], "year": [1, 2, 3]})
    numbers = pa.table({"place": pa.array(["b", "c", None]).dictionary_encode(), "year": [4, 5, 6]})
    groups = [text, numbers, text] if first == "text" else [numbers, text, numbers]
    batches = [batch for group in groups for batch in group.to_batches()]
    stream = io.BytesIO()
    with parquet.Writer(stream, text.schema) as writer:
        for group in store.row_groups(batches, text.schema):
            writer.write_table(group)
    found = pq.ParquetFile(stream)
    assert (found.num_row_groups, found.schema_arrow) == (3, text.schema)
    assert found.read()["place"].to_pylist() == [v for group in groups for v in group["place"].to_pylist()]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_footer_has_its_salt_however_text_comes(encoded: bool) -> None:
    """Arrow writes a schema's metadata where it writes the schema, which it does not of numbers in a dictionary."""
    table = pa.table({"place": ["a", "b", "a"]})
    given = pa.table({"place": table["place"].dictionary_encode()}) if encoded else table
    salted, stream = parquet.salted(table.schema), io.BytesIO()
    with parquet.Writer(stream, salted) as writer:
        writer.write_table(given)
    salt = parquet.SALT.encode()
    assert len(salted.metadata[salt]) == 32
    assert pq.read_metadata(stream).metadata[salt] == salted.metadata[salt]


def test_columns_of_few_values_are_those_of_small_dictionaries_in_every_row_group() -> None:
    rows = 50_000
    unlike = [f"{number:09}{number * 7919 % 100_003}" for number in range(rows)]
    table = pa.table(
        {
            "few": [f"place {number % 7}" for number in range(rows)],
            "number": [number % 7 for number in range(rows)],
            "nested": [{"few": "a"}] * rows,
            "many": unlike,
            "large": [text * 3 for text in unlike],
            "later many": ["a"] * (rows // 2) + unlike[rows // 2 :],
            "null": pa.nulls(rows, pa.string()),
        }
    )
    stream = io.BytesIO()
    repeated = [name for name in table.column_names if name != "many"]
    pq.write_table(table, stream, use_dictionary=repeated, row_group_size=rows // 2)
    assert parquet.few_values(pq.read_metadata(stream)) == ["few", "null"]
    empty = io.BytesIO()
    pq.write_table(table.slice(0, 0), empty)
    assert parquet.few_values(pq.read_metadata(empty)) == []


# ── the first error is the one that is told ───────────────────────────────────────────────────────────────

NUMBERS = pa.table({"number": range(10)})


class _Disk(io.BytesIO):
    """As long as it is not `full` it takes what comes."""

    full = False

    def write(self, data: object) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_full_disk_does_not_hide_the_error_of_the_rows() -> None:
    disk = _Disk()
    with pytest.raises(CheckFailed, match="the rows"), parquet.Writer(disk, NUMBERS.schema) as writer:
        writer.write_table(NUMBERS)
        disk.full = True
        raise CheckFailed("the rows")


def test_nor_does_what_a_buffer_still_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Iterator[pa.Table]:
        yield NUMBERS
        raise CheckFailed("the rows")

    disk = _Disk()
    disk.full = True
    monkeypatch.setattr(store.Digested, "write", lambda _, data: disk.write(data))
    with pytest.raises(CheckFailed, match="the rows"):
        store.write_parquet(str(tmp_path / "a.parquet"), rows(), NUMBERS.schema)
    assert list(tmp_path.iterdir()) == []


def test_a_footer_that_finds_no_room_is_an_error_where_the_rows_were_whole() -> None:
    disk = _Disk()
    with pytest.raises(OSError, match="No space left"), parquet.Writer(disk, NUMBERS.schema) as writer:
        writer.write_table(NUMBERS)
        disk.full = True
