"""What the public has: every release of a table that the gate judged, kept after its snapshot is forgotten.

    released/<zone>/<table>/<nnnnnn>-<snapshot>.parquet

A file holds what changed since the release before it under the same masks: each published row (tokens as digests) and
how many more or fewer of it there are. So a release costs what it changed, and may be kept as long as somebody may
have downloaded it: for good. How its columns were masked stands in the file, so that releases under other masks can
be compared where that is possible (`forms`).

A release is written down right after it was made, where its rows are few and at hand; and in any case before the next
one is committed, or the table withdrawn: from the table itself, which holds it until then. Nothing has to be undone
when a process is killed, and two runs write the same file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lake import store
from lake.deletes import Part
from lake.properties import said
from lake.tables import Tables
from lake.zones import Identifier
from pipelines.engine import engine
from pipelines.gates.classes import compact
from pipelines.gates.forms import Json, Shape, read
from pipelines.publishing.counting import TIMES
from pipelines.sqlrows import left
from schemas.settings import Settings
from schemas.sql import quote

SHAPES = "shapes"
"""The word of a snapshot's properties that holds how its columns are masked."""
BATCH_ROWS = 64 * 1024
CHANGE = "_change"
"""The column that says how many more or fewer of a row there are."""
_NAME = re.compile(r"([0-9]{6})-([0-9]+)\.parquet")


@dataclass(frozen=True)
class Kept:
    """One release that was written down."""

    uri: str
    number: int
    snapshot: int
    shapes: dict[str, Shape]

    @property
    def form(self) -> Json:
        """Releases of one form hold changes of one another."""
        return {name: shape.said for name, shape in self.shapes.items()}


def written(shapes: Mapping[str, Shape]) -> str:
    """Shapes as a snapshot's property."""
    return json.dumps({name: shape.said for name, shape in shapes.items()}, ensure_ascii=False)


def shapes(summary: Mapping[str, str]) -> dict[str, Shape]:
    """How the columns of a snapshot are masked; nothing of one that was not judged."""
    return {name: read(each) for name, each in json.loads(said(summary, SHAPES) or "{}").items()}


def folder(settings: Settings, table: Identifier) -> str:
    return store.join(settings.lake_root, "released", *table)


def releases(settings: Settings, table: Identifier) -> list[Kept]:
    """Every release of a table that was written down, the oldest first."""
    found = []
    for uri in store.list_files(folder(settings, table)):
        if match := _NAME.fullmatch(uri.rsplit("/", 1)[-1]):
            found.append(Kept(uri, int(match[1]), int(match[2]), _shapes(uri)))
    return found


def forms(kept: Sequence[Kept]) -> list[list[Kept]]:
    """The releases of each form, the oldest first."""
    found: list[list[Kept]] = []
    for each in kept:
        same = next((form for form in found if form[0].form == each.form), None)
        if same is None:
            found.append([each])
        else:
            same.append(each)
    return found


def _shapes(uri: str) -> dict[str, Shape]:
    files, path = store.filesystem(uri)
    with files.open_input_file(path) as file:
        metadata = pq.read_schema(file).metadata or {}
    return {name: read(each) for name, each in json.loads(metadata[SHAPES.encode()]).items()}


def remember(
    settings: Settings,
    tables: Tables,
    table: Identifier,
    counted: tuple[int, pa.RecordBatch] | None = None,
) -> None:
    """Write down the release that stands, if it was judged and has not been: before another takes its place, before
    it is withdrawn, and before rows are erased from it; and right after it was made, where its rows are at hand:
    `counted` are its snapshot and its distinct rows, each with how often it comes."""
    snapshot, summary = next(tables.snapshots(table), (None, {})) if tables.exists(table) else (None, {})
    shapes = said(summary, SHAPES)
    if snapshot is None or shapes is None:
        return
    before = releases(settings, table)
    if any(each.snapshot == snapshot for each in before):
        return
    form = json.loads(shapes)
    number = before[-1].number + 1 if before else 1
    uri = store.join(folder(settings, table), f"{number:06}-{snapshot}.parquet")
    same = [each for each in before if each.form == form]
    with engine(settings) as connection:
        load(connection, "old", same)
        connection.register("none", tables.schema(table).empty_table())
        if counted is not None and counted[0] == snapshot:
            connection.register("counted", pa.Table.from_batches([counted[1]]))
            new = f"SELECT {_own(form)}, {TIMES} AS {CHANGE} FROM counted"
        else:
            new = _read(form, tables.parts(table, snapshot))
        _write(uri, _changes(connection, new, form, after=bool(same)), form)


def _own(form: Json) -> str:
    return compact(form, [name for name, each in form.items() if each["mask"]["kind"] == "hmac"])


def _read(form: Json, parts: Sequence[Part]) -> str:
    """DuckDB reads the release's files itself, where equal values are a number in a dictionary."""
    names = ", ".join(map(quote, form))
    rows = f"SELECT {names} FROM none" + (f" UNION ALL SELECT {names} FROM ({left(parts)})" if parts else "")
    return f"SELECT {_own(form)}, count(*) AS {CHANGE} FROM ({rows}) GROUP BY ALL"


def _changes(
    connection: duckdb.DuckDBPyConnection, new: str, form: Json, *, after: bool
) -> pa.RecordBatchReader:
    """What is otherwise than in the table `old`, if there were releases before."""
    names = ", ".join(map(quote, form))
    connection.execute(f"CREATE TABLE new AS {new}")
    old = f"SELECT {names}, -{CHANGE} AS {CHANGE} FROM old UNION ALL" if after else ""
    return connection.execute(
        f"SELECT {names}, sum({CHANGE})::BIGINT AS {CHANGE} FROM ({old} SELECT * FROM new) "
        f"GROUP BY ALL HAVING sum({CHANGE}) <> 0 ORDER BY ALL"
    ).to_arrow_reader(BATCH_ROWS)


def _write(uri: str, rows: pa.RecordBatchReader, form: Json) -> None:
    schema = rows.schema.with_metadata({SHAPES: json.dumps(form, ensure_ascii=False)})
    with store.atomic_parquet(uri, schema) as writer:
        for group in store.row_groups(rows, rows.schema):
            writer.write_table(group.replace_schema_metadata(schema.metadata))


def load(connection: duckdb.DuckDBPyConnection, name: str, kept: list[Kept]) -> None:
    """The changes of releases of one form as a table: the columns, `_change`, and `_release`, the release's number.
    None is made of no release."""
    for each in kept:
        for batch in read_changes(each):
            connection.register("changed", pa.Table.from_batches([batch]))
            rows = f"SELECT *, {each.number} AS _release FROM changed"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {rows} LIMIT 0")
            connection.execute(f"INSERT INTO {name} {rows}")
            connection.unregister("changed")


def read_changes(kept: Kept) -> Iterator[pa.RecordBatch]:
    """What a release changed: the columns, and `_change`. One batch at least, also where nothing changed."""
    files, path = store.filesystem(kept.uri)
    with files.open_input_file(path) as file:
        changes = pq.ParquetFile(file)
        yield pa.RecordBatch.from_pylist([], changes.schema_arrow)
        yield from changes.iter_batches(BATCH_ROWS)


def rows(kept: list[Kept], snapshot: int) -> Iterator[pa.RecordBatch] | None:
    """What led to a release that was written down, to be added up: its columns, and `CHANGE`. None where it was not,
    or has tokens, of which only digests are kept."""
    last = next((each for each in kept if each.snapshot == snapshot), None)
    if last is None or any(shape.mask.kind == "hmac" for shape in last.shapes.values()):
        return None
    same = [each for each in kept if each.form == last.form and each.number <= last.number]
    return (batch for each in same for batch in read_changes(each))
