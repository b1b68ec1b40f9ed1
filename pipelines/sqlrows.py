"""What the statements of check and merge have in common: the files they read, and a row as people will see it."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.model import Entry, Field
from schemas.sql import literal, quote


def parquet(paths: Sequence[str], options: str = "") -> str:
    """A table function over these files; `options` begin with a comma."""
    return f"read_parquet([{', '.join(map(literal, paths))}]{options})"


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
