"""How a table follows its entry: columns are added and types widened, and nothing that holds values is lost."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import DecimalType, DoubleType, FloatType, IcebergType, IntegerType, LongType

from schemas.errors import LakeError


def evolve(table: Table, wanted: pa.Schema) -> None:
    """Add the columns that the table lacks and widen those that grew; does nothing where all is there already.

    LakeError, naming every field, where a type changed into one that cannot hold the old values."""
    fresh = Catalog._convert_schema_if_needed(wanted)
    changed = [name for name in wanted.names if _differs(table.schema(), fresh, name)]
    wrong = [name for name in changed if not _widens(table.schema(), fresh, name)]
    if wrong:
        steps = ", ".join(f"{n} from {_type(table.schema(), n)} to {_type(fresh, n)}" for n in wrong)
        raise LakeError(
            f"{'.'.join(table.name())} cannot change {steps} and keep its rows",
            expected="a wider type: a decimal of more digits and the same scale",
            next_step="give the field a new name, or rebuild the table from the landing zone",
        )
    if changed:
        with table.update_schema() as update:
            update.union_by_name(wanted)


def _type(schema: Schema, name: str) -> IcebergType | None:
    return schema.find_type(name) if name in schema.column_names else None


def _differs(old: Schema, new: Schema, name: str) -> bool:
    """Nested types are compared by their text without ids; a narrower type than the table's is no change."""
    before, after = _type(old, name), _type(new, name)
    if before is None or after is None:
        return True
    if not before.is_primitive or not after.is_primitive:
        return before.is_primitive != after.is_primitive
    return not _promotes(after, before)


def _widens(old: Schema, new: Schema, name: str) -> bool:
    before, after = _type(old, name), _type(new, name)
    if before is None or after is None:
        return True
    return before.is_primitive and after.is_primitive and _promotes(before, after)


def _promotes(narrow: IcebergType, wide: IcebergType) -> bool:
    """Whether every value of `narrow` is one of `wide`: the promotions of the Iceberg specification, "Schema
    Evolution". pyiceberg's own `promote` also lets a decimal's scale and string and binary be exchanged."""
    if isinstance(narrow, DecimalType) and isinstance(wide, DecimalType):
        return narrow.scale == wide.scale and narrow.precision <= wide.precision
    return narrow == wide or (narrow, wide) in {(IntegerType(), LongType()), (FloatType(), DoubleType())}
