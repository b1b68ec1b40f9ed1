"""What the statements of check and merge have in common: the files they read, and a row as people will see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from schemas.model import Entry, Field
from schemas.sql import literal, quote

if TYPE_CHECKING:
    from lake.deletes import Part


def parquet(paths: Sequence[str], options: str = "") -> str:
    """A table function over these files; `options` begin with a comma."""
    return f"read_parquet([{', '.join(map(literal, paths))}]{options})"


FILE = "_lake_file"
AT = "file_row_number"


def left(parts: Sequence[Part]) -> str:
    """A query of the rows of these data files that are not deleted. `_lake_file` and `file_row_number` tell where a
    row lies; a column that a file lacks is null."""
    return undeleted(written(parts), parts)


def written(parts: Sequence[Part]) -> str:
    """The same with the rows that are deleted."""
    options = f", union_by_name = true, filename = {literal(FILE)}, file_row_number = true"
    return f"SELECT * FROM {parquet([part.path for part in parts], options)}"


def undeleted(rows: str, parts: Sequence[Part]) -> str:
    """Of a query of rows of these data files, which tells where each lies, those that are not deleted."""
    gone = sorted({path for part in parts for path in part.deleting})
    if not gone:
        return rows
    return f"SELECT r.* FROM ({rows}) AS r ANTI JOIN {parquet(gone)} AS d ON r.{FILE} = d.file_path AND r.{AT} = d.pos"


def as_json(entry: Entry, relation: str) -> str:
    """The entry's fields of a row of `relation` as the text of a JSON object, for the quarantine."""
    values = (
        f"{quote(name)} := {_value(field, f'{relation}.{quote(name)}')}"
        for name, field in entry.fields.items()
    )
    return f"to_json(struct_pack({', '.join(values)}))::VARCHAR"


def _value(field: Field, column: str) -> str:
    """A decimal as text, since a JSON number would lose digits; bytes in base64; NaN and infinity, which JSON does
    not know, as text."""
    if field.type == "number":
        return f"CASE WHEN isfinite({column}) THEN to_json({column}) ELSE to_json({column}::VARCHAR) END"
    return {"decimal": f"{column}::VARCHAR", "binary": f"to_base64({column})"}.get(field.type, column)


def without_marks(
    rows: Iterable[pa.RecordBatch], schema: pa.Schema, missed: list[int]
) -> Iterator[pa.RecordBatch]:
    """The rows in the schema without the boolean columns after it, whose true values are added up."""
    for batch in rows:
        for number in range(len(missed)):
            missed[number] += pc.sum(batch.column(len(schema) + number)).as_py() or 0
        yield batch.select(schema.names).cast(schema)
