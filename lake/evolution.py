"""How a table follows its entry: columns are added and types widened, and nothing that holds values is lost."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import DecimalType, DoubleType, FloatType, IcebergType, IntegerType, LongType

from lake.commits import METRICS
from schemas.errors import LakeError


def evolve(table: Table, wanted: pa.Schema) -> None:
    """Add the columns that the table lacks and widen those that grew; does nothing where all is there already.

    A narrower type than the table's is no change: its values fit. LakeError, naming every field, where a type changed
    into one that cannot hold the old values. A table whose batches were all set aside has none to hold: such a column
    is made anew."""
    old = _types(table.schema())
    new = _types(Catalog._convert_schema_if_needed(wanted))
    changed = [name for name, kind in new.items() if name not in old or not _holds(old[name], kind)]
    wrong = [name for name in changed if name in old and not _holds(new[name], old[name])]
    if wrong and _was_empty(table):
        with table.update_schema(allow_incompatible_changes=True) as update:
            for name in wrong:
                update.delete_column(name)
    elif wrong:
        steps = ", ".join(f"{name} from {old[name]} to {new[name]}" for name in wrong)
        raise LakeError(
            f"{'.'.join(table.name())} cannot change {steps} and keep its rows",
            expected="a wider type: a decimal of more digits and the same scale",
            next_step="give the field a new name, with the same `source`: its type is the new one from then on",
        )
    if changed:
        with table.update_schema() as update:
            update.union_by_name(wanted)


def _was_empty(table: Table) -> bool:
    """Whether none of the table's snapshots, of which there is one at least, holds a row."""
    found = [snapshot.summary for snapshot in table.snapshots()]
    return bool(found) and all(each is not None and each["total-records"] == "0" for each in found)


def hide(table: Table, private: Collection[str]) -> None:
    """Let the table keep no bounds of these columns."""
    wanted = {METRICS + name: "none" for name in private}
    if not wanted.items() <= table.properties.items():
        with table.transaction() as transaction:
            transaction.set_properties(wanted)


def _types(schema: Schema) -> dict[str, IcebergType]:
    return {field.name: field.field_type for field in schema.fields}


def _holds(wide: IcebergType, narrow: IcebergType) -> bool:
    """Whether a column of type `wide` can take a value of type `narrow`; nested types are ours alone and stay."""
    if wide.is_primitive and narrow.is_primitive:
        return _promotes(narrow, wide)
    return type(wide) is type(narrow)


def _promotes(narrow: IcebergType, wide: IcebergType) -> bool:
    """Whether every value of `narrow` is one of `wide`: the promotions of the Iceberg specification, "Schema
    Evolution". pyiceberg's own `promote` also lets a decimal's scale and string and binary be exchanged."""
    if isinstance(narrow, DecimalType) and isinstance(wide, DecimalType):
        return narrow.scale == wide.scale and narrow.precision <= wide.precision
    return narrow == wide or (narrow, wide) in {(IntegerType(), LongType()), (FloatType(), DoubleType())}
