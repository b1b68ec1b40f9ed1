"""Columns obtained by sharing (`from:`): looked up in the other dataset's curated table, never collected here
(law 1).

The last step of standardise. A left join by the other dataset's one key: rows neither multiply nor vanish,
and where there is no partner the column is null and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from lake import store
from pipelines.context import Context
from pipelines.engine import engine, engine_errors
from pipelines.sqlrows import without_marks
from pipelines.views import create_view, current, sql_type, view_name
from schemas.arrow import field_type, standard_schema
from schemas.errors import LakeError
from schemas.model import Entry, SharedFrom
from schemas.sql import literal, quote

BATCH_ROWS = 65536

Lookup = tuple[str, str, str]
"""Another dataset, our field that holds its key, and that key: one join, however many columns it gives."""


def enrich(ctx: Context, entry: Entry, path: str) -> dict[str, int]:
    """Fill the entry's `from:` fields in the standardised Parquet at `path`, which is replaced whole; its
    rows keep their order. Returns, per such field, the rows that found no partner (a null in `on` never
    does).

    Raises SourceError where the other dataset has no curated table yet, LakeError where one key is there twice, and
    EngineError where the engine failed.
    """
    shared = {name: field.shared_from for name, field in entry.fields.items() if field.shared_from}
    if not shared:
        return {}
    failing = engine_errors("join what is shared", "standardise", dataset=entry.id)
    with failing, engine(ctx.settings) as connection:
        for dataset in dict.fromkeys(origin.dataset for origin in shared.values()):
            other = ctx.catalogue.entry(dataset)
            create_view(connection, ctx.tables, other, current(ctx.tables, other, entry.id))
        return _rewrite(ctx, connection, entry, shared, path)


def _rewrite(
    ctx: Context,
    connection: duckdb.DuckDBPyConnection,
    entry: Entry,
    shared: dict[str, SharedFrom],
    path: str,
) -> dict[str, int]:
    lookups = lookups_of(shared)
    for dataset, _, key in lookups:
        other = ctx.catalogue.entry(dataset)
        found = connection.execute(double_keys(other, key)).fetchone()
        refuse_double_keys(other, key, entry.id, found[0] if found else 0)
    schema = standard_schema(entry)
    own = f"read_parquet({literal(path.removeprefix('file://'))})"
    query = f"{joined(ctx, entry, lookups, own)} ORDER BY own._seq"
    reader = connection.execute(query).to_arrow_reader(BATCH_ROWS)
    missed = [0] * len(lookups)
    with store.atomic_parquet(path, schema, statistics=False) as writer:
        for table in store.row_groups(without_marks(reader, schema, missed), schema):
            writer.write_table(table)
    return unmatched(shared, lookups, missed)


def lookups_of(shared: Mapping[str, SharedFrom]) -> list[Lookup]:
    """The joins that these fields need."""
    return list(dict.fromkeys(_lookup(origin) for origin in shared.values()))


def unmatched(
    shared: Mapping[str, SharedFrom], lookups: Sequence[Lookup], missed: Sequence[int]
) -> dict[str, int]:
    """By field, the rows whose lookup found no partner; `missed` is by lookup."""
    return {name: missed[lookups.index(_lookup(origin))] for name, origin in shared.items()}


def joined(ctx: Context, entry: Entry, lookups: Sequence[Lookup], own: str) -> str:
    """The rows of `own` with the columns that the lookups give, then `_missed<n>` of each lookup."""
    names = standard_schema(entry).names
    select = [*(_column(entry, name, lookups) for name in names), *map(_marker, range(len(lookups)))]
    joins = " ".join(_join(ctx, entry, lookup, number) for number, lookup in enumerate(lookups))
    return f"SELECT {', '.join(select)} FROM {own} AS own {joins}"


def _lookup(origin: SharedFrom) -> Lookup:
    return origin.dataset, origin.on, origin.key


def _column(entry: Entry, name: str, lookups: Sequence[Lookup]) -> str:
    """An own column as it is, a shared one from its lookup, in the type that this entry gives it."""
    field = entry.fields.get(name)
    if field is None or field.shared_from is None:
        return f"own.{quote(name)}"
    number = lookups.index(_lookup(field.shared_from))
    value = f"l{number}.{quote(field.shared_from.field)}"
    return f"CAST({value} AS {sql_type(field_type(field))}) AS {quote(name)}"


def _marker(number: int) -> str:
    return f"l{number}._found IS NULL AS _missed{number}"


def _join(ctx: Context, entry: Entry, lookup: Lookup, number: int) -> str:
    """Keys of different types meet as text: a code may be a number here and a text there."""
    dataset, on, key = lookup
    other = ctx.catalogue.entry(dataset)
    own, their = f"own.{quote(on)}", f"l{number}.{quote(key)}"
    if field_type(entry.fields[on]) != field_type(other.fields[key]):
        own, their = f"CAST({own} AS VARCHAR)", f"CAST({their} AS VARCHAR)"
    return f"LEFT JOIN (SELECT *, TRUE AS _found FROM {view_name(other)}) AS l{number} ON {own} = {their}"


def double_keys(other: Entry, key: str) -> str:
    """How many rows hold a key that another row holds already."""
    return f"SELECT count({quote(key)}) - count(DISTINCT {quote(key)}) FROM {view_name(other)}"


def refuse_double_keys(other: Entry, key: str, dataset: str, double: int) -> None:
    """LakeError where a lookup would multiply rows."""
    if double:
        raise LakeError(
            f"the curated table of {other.id} holds {double} rows whose key is there already",
            dataset=dataset,
            field=key,
            next_step=f"merge {other.id} by its key, then run this batch again",
        )
