"""Which column a field is made from, and what is made from it: lineage of columns, out of the catalogue alone.

The SQL of a derived dataset is read by sqlglot. How a column takes part is said in OpenLineage's words (column
lineage facet 1.2): `IDENTITY`, `TRANSFORMATION`, `AGGREGATION` make the value; `JOIN`, `FILTER`, `GROUP_BY`, `SORT`,
`WINDOW` and `CONDITIONAL` decide which rows there are, so they reach every field of the dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from schemas.model import Entry, LakeSource

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.lineage import Node
    from sqlglot.optimizer.scope import Scope

    from schemas.load import Catalogue

Direct = Literal["IDENTITY", "TRANSFORMATION", "AGGREGATION"]
Indirect = Literal["JOIN", "FILTER", "GROUP_BY", "SORT", "WINDOW", "CONDITIONAL"]
DIRECT: Final = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")


class Column(NamedTuple):
    """A field of a dataset's curated table."""

    dataset: str
    field: str


@dataclass(frozen=True, order=True)
class Origin:
    """A column, and how it takes part in what is made from it."""

    column: Column
    how: Direct | Indirect

    @property
    def direct(self) -> bool:
        """Whether the value itself comes from there."""
        return self.how in DIRECT


def origins(catalogue: Catalogue, entry: Entry) -> dict[str, tuple[Origin, ...]]:
    """For each field of the entry the columns of *other* datasets that it is made from, in order; none for a field
    that is collected from a department."""
    found: dict[str, set[Origin]] = {name: set() for name in entry.fields}
    if isinstance(entry.source, LakeSource):
        inputs = {name: catalogue.entry(name).fields for name in entry.source.inputs}
        named = {name: field.source or name for name, field in entry.collected.items()}
        given = query_origins(entry.source.sql, inputs, named.values())
        for name, column in named.items():
            found[name] |= given[column]
    for name, field in entry.fields.items():
        if (shared := field.shared_from) is not None:
            found[name] |= {
                Origin(Column(shared.dataset, shared.field), "IDENTITY"),
                Origin(Column(shared.dataset, shared.key), "JOIN"),
            }
            found[name] |= {origin for origin in found.get(shared.on, ()) if origin.direct}
    return {name: tuple(sorted(each)) for name, each in found.items()}


@dataclass(frozen=True)
class Reader:
    """A field that would feel a change of a column: of which dataset, by which way (`steps` from the column)."""

    column: Column
    how: Direct | Indirect
    steps: int


def readers(catalogue: Catalogue, dataset: str, field: str | None = None) -> list[Reader]:
    """Every field of other datasets that is made from a dataset, or from one of its fields, directly or through
    others; the nearest first."""
    columns = {Column(dataset, name) for name in catalogue.entry(dataset).fields if field in (None, name)}
    made = {name: origins(catalogue, entry) for name, entry in catalogue.entries.items() if entry.inputs}
    felt: dict[Column, Reader] = {}
    steps = 0
    while columns:
        steps += 1
        found = [
            Reader(Column(name, own), origin.how, steps)
            for name, fields in made.items()
            for own, given in fields.items()
            for origin in given
            if origin.column in columns
        ]
        columns = {reader.column for reader in found} - felt.keys()
        for reader in sorted(found, key=lambda each: each.how not in DIRECT):
            felt.setdefault(reader.column, reader)
    return sorted(felt.values(), key=lambda reader: (reader.steps, reader.column))


# ── SQL ───────────────────────────────────────────────────────────────────────────────────────────────────


def query_origins(
    sql: str, inputs: Mapping[str, Iterable[str]], outputs: Iterable[str]
) -> dict[str, set[Origin]]:
    """The origins of each output column of one SELECT over tables named `department.dataset`.

    What sqlglot cannot read (DuckDB's own parser has accepted it) is taken to be made from every column of every
    input: a change is then announced to one reader too many, never to one too few.
    """
    from sqlglot.errors import SqlglotError

    try:
        return _read(sql, inputs, list(outputs))
    except (SqlglotError, ValueError):
        whole = {Origin(Column(name, field), "TRANSFORMATION") for name in inputs for field in inputs[name]}
        return {name: set(whole) for name in outputs}


def _read(sql: str, inputs: Mapping[str, Iterable[str]], outputs: list[str]) -> dict[str, set[Origin]]:
    from sqlglot import exp, parse_one
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    tables: dict[str, Any] = {}
    for name, fields in inputs.items():
        department, _, dataset = name.partition(".")
        tables.setdefault(department, {})[dataset] = dict.fromkeys(fields, "text")
    tree = qualify(parse_one(sql, dialect="duckdb"), schema=tables, dialect="duckdb")
    if not isinstance(tree, exp.Query):
        raise ValueError("not a SELECT")
    given = [projection.alias_or_name for projection in tree.selects]
    found: dict[str, set[Origin]] = {}
    rows = set(_row_origins(tree))
    scope = build_scope(tree)
    for output in outputs:
        column = next((name for name in given if name.casefold() == output.casefold()), output)
        root = lineage(
            column, tree, schema=tables, dialect="duckdb", scope=scope, trim_selects=False, copy=False
        )
        own = {
            Origin(Column(f"{leaf.source.db}.{leaf.source.name}", leaf.name.split(".")[-1].strip('"')), how)
            for leaf, how in _leaves(root)
            if isinstance(leaf.source, exp.Table)
        }
        found[output] = own | rows
    return found


def _leaves(node: Node, how: Direct = "IDENTITY") -> Iterator[tuple[Node, Direct]]:
    """The ends of a lineage tree, with the strongest change on the way to each."""
    if not node.downstream:
        yield node, how
        return
    changed: Direct = max(how, _change(node.expression), key=DIRECT.index)
    for child in node.downstream:
        yield from _leaves(child, changed)


def _change(expression: exp.Expr) -> Direct:
    """What one step of a query does to its columns."""
    from sqlglot import exp

    while isinstance(expression, exp.Alias | exp.Paren):
        expression = expression.this
    if isinstance(expression, exp.Column | exp.SetOperation | exp.Select):
        return "IDENTITY"
    return "AGGREGATION" if expression.find(exp.AggFunc) else "TRANSFORMATION"


def _row_origins(tree: exp.Expr) -> Iterator[Origin]:
    """Columns of tables that decide which rows the query gives, by the clause that they stand in. What a condition
    takes from a query below is followed down to its tables."""
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    clauses: dict[type[exp.Expr], Indirect] = {
        exp.Where: "FILTER",
        exp.Having: "FILTER",
        exp.Qualify: "FILTER",
        exp.Join: "JOIN",
        exp.Group: "GROUP_BY",
        exp.Order: "SORT",
    }
    for scope in traverse_scope(tree):
        for column in scope.columns:
            clause = column.find_ancestor(*clauses, exp.Select)
            if (
                clause is None
                or type(clause) not in clauses
                or isinstance(clause.parent, exp.Filter | exp.Window)
            ):
                continue
            for end in _ends(scope, column):
                yield Origin(end, clauses[type(clause)])


def _ends(scope: Scope, column: exp.Column) -> Iterator[Column]:
    """The columns of tables that a column of a query comes from, through the queries below it."""
    from sqlglot import exp

    around = [scope, *scope.subquery_scopes]
    source = next((each.sources[column.table] for each in around if column.table in each.sources), None)
    if isinstance(source, exp.Table):
        yield Column(f"{source.db}.{source.name}", column.name)
    elif source is not None and column.name in (names := _names(source)):
        yield from _projected(source, names.index(column.name))


def _projected(scope: Scope, position: int) -> Iterator[Column]:
    """The ends of one projection of a query, of every branch where it is a union."""
    for branch in scope.set_operation_scopes:
        yield from _projected(branch, position)
    if not scope.set_operation_scopes:
        from sqlglot import exp

        if isinstance(scope.expression, exp.Query):
            for column in scope.expression.selects[position].find_all(exp.Column):
                yield from _ends(scope, column)


def _names(scope: Scope) -> list[str]:
    from sqlglot import exp

    query = scope.expression
    return [each.alias_or_name for each in query.selects] if isinstance(query, exp.Query) else []
