"""Rows between the lake's files and Spark: workers read and write them as Arrow batches, through `lake.store`.

No jar of an object store is needed, and what is written is what the local engine writes: field ids, no bounds of
private columns, row groups of one size.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake import datafiles, live, store
from pipelines.spark.session import BATCH_ROWS, Spark
from pipelines.spark.spread import cluster_errors, telling

if TYPE_CHECKING:
    from lake.deletes import Part

Frame = Any
"""pyspark.sql.DataFrame"""
Batches = Iterator[pa.RecordBatch]
REPORT: Final = "report string"


@dataclass(frozen=True)
class DataFile:
    """A data file of a table, and the files that delete rows of it."""

    path: str
    deleting: tuple[str, ...] = ()


def files(parts: Iterable[Part]) -> list[DataFile]:
    """The data files of a table as workers are told of them."""
    return [DataFile(part.path, tuple(part.deleting)) for part in parts]


def gone(file: DataFile) -> live.Positions:
    """Places of the deleted rows, rising."""
    found = [live.positions(each, file.path) for each in file.deleting]
    return np.unique(np.concatenate(found)) if found else live.NOWHERE


def spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def read(spark: Spark, units: Sequence[Any], schema: pa.Schema, work: Callable[[Any], Batches]) -> Frame:
    """What `work` gives of each unit, on the workers, a task for each; `schema` without field ids."""
    rows = [(pickle.dumps(unit),) for unit in units]
    listed = spark.createDataFrame(spark.sparkContext.parallelize(rows, max(1, len(rows))), "unit binary")
    return listed.mapInArrow(partial(_read, work, plain(schema)), spark_schema(plain(schema)))


def _read(work: Callable[[Any], Batches], schema: pa.Schema, batches: Batches) -> Batches:
    store.owner_only()
    with telling():
        for batch in batches:
            for unit in batch.column("unit").to_pylist():
                for rows in work(pickle.loads(unit)):  # noqa: S301  the driver's own
                    yield rows.cast(schema)


def plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([datafiles.plain(field, ids=False) for field in schema])


def parquet(
    spark: Spark, paths: Sequence[str], schema: pa.Schema, columns: Sequence[str] | None = None
) -> Frame:
    """The rows of Parquet files in this schema."""
    chosen = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    return read(spark, list(paths), chosen, partial(of_file, chosen.names))


def of_file(columns: Sequence[str], path: str) -> Batches:
    system, inner = store.filesystem(path)
    with pq.ParquetFile(inner, filesystem=system, pre_buffer=False) as file:
        yield from file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False)


def table(
    spark: Spark,
    files: Sequence[DataFile],
    schema: pa.Schema,
    columns: Sequence[str],
    origin: tuple[str, str] = ("_lake_file", "_lake_place"),
) -> Frame:
    """The named columns of a table's rows that are not deleted, with the file and the place in it that hold each, under
    these two names. `schema` is the table's, with field ids."""
    file, place = pa.field(origin[0], pa.string()), pa.field(origin[1], pa.int64())
    wanted = pa.schema([*(schema.field(name) for name in columns), file, place])
    return read(spark, list(files), wanted, partial(_of_table, schema, tuple(columns), plain(wanted)))


def _of_table(schema: pa.Schema, columns: Sequence[str], form: pa.Schema, file: DataFile) -> Batches:
    for batch, places in live.rows(file.path, gone(file), schema, columns):
        held = pa.repeat(pa.scalar(file.path, pa.string()), batch.num_rows)
        yield pa.RecordBatch.from_arrays([*batch.columns, held, pa.array(places)], schema=form)


def written(frame: Frame, write: Callable[[int, Batches], Any]) -> list[Any]:
    """What `write` says (as JSON has it) of each partition of the frame that has rows, in their order: it is given the
    partition's number, and its rows as Arrow batches."""
    with cluster_errors():
        reports = frame.mapInArrow(partial(_write, write), REPORT).collect()
    said = [json.loads(row.report) for row in reports]
    return [report for _, report in sorted(said, key=lambda each: each[0])]


def _write(write: Callable[[int, Batches], Any], batches: Batches) -> Batches:
    from pyspark import TaskContext

    store.owner_only()
    number = TaskContext.get().partitionId()
    first = next(batches, None)
    while first is not None and not first.num_rows:
        first = next(batches, None)
    if first is None:
        return
    with telling():
        said = json.dumps([number, write(number, _again(first, batches))])
    yield pa.record_batch({"report": pa.array([said])})


def _again(first: pa.RecordBatch, rest: Batches) -> Batches:
    yield first
    yield from rest


def spilled(
    frame: Frame, folder: str, schema: pa.Schema, rows: Callable[[Batches], Batches] | None = None
) -> list[str]:
    """The frame's rows as Parquet files in a folder of the lake, in the order of its partitions, for the driver to
    stream; `rows` turns them into `schema` on the workers."""
    return written(frame, partial(_spill, folder, schema, rows))


def _spill(
    folder: str, schema: pa.Schema, rows: Callable[[Batches], Batches] | None, number: int, batches: Batches
) -> str:
    path = store.join(folder, f"{number:05d}.parquet")
    given = batches if rows is None else rows(batches)
    with store.atomic_parquet(path, schema, statistics=False) as writer:
        for group in store.row_groups((batch.cast(schema) for batch in given), schema):
            writer.write_table(group)
    return path


def stored_rows(paths: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of Parquet files that workers wrote for the driver, file after file."""
    for path in paths:
        system, inner = store.filesystem(path)
        with pq.ParquetFile(inner, filesystem=system, pre_buffer=False) as file:
            yield from file.iter_batches(store.ROW_GROUP_ROWS, use_threads=False)


def data_files(
    frame: Frame,
    folder: str,
    schema: pa.Schema,
    prefix: str,
    write: Callable[[Batches, str], list[str]] | None = None,
) -> tuple[list[str], int]:
    """The frame's rows as data files of a table, whose schema this is; their paths, and how many rows they hold. What
    tasks that died have begun is removed, and everything where one fails for good. `write` may write them instead, in
    this folder under names with the prefix that it is given."""
    own = write or partial(_write_files, folder, schema)
    try:
        said = written(frame, partial(_data_files, own, prefix))
    except BaseException:
        _clear(folder, prefix, ())
        raise
    paths = [path for report in said for path in report["paths"]]
    _clear(folder, prefix, paths)
    return paths, sum(report["rows"] for report in said)


def _write_files(folder: str, schema: pa.Schema, rows: Iterable[pa.RecordBatch], prefix: str) -> list[str]:
    return [path for path, _ in datafiles.write(folder, schema, rows, prefix)]


def _data_files(
    write: Callable[[Any, str], list[str]], prefix: str, number: int, batches: Batches
) -> dict[str, Any]:
    counted = _Counted(batches)
    return {"paths": write(counted, f"{prefix}-{number}-"), "rows": counted.rows}


@dataclass
class _Counted:
    batches: Iterable[pa.RecordBatch]
    rows: int = 0

    def __iter__(self) -> Batches:
        for batch in self.batches:
            self.rows += batch.num_rows
            yield batch


def _clear(folder: str, prefix: str, but: Sequence[str]) -> None:
    kept = set(but)
    named = (path for path in store.list_files(folder) if path.rpartition("/")[2].startswith(f"{prefix}-"))
    store.remove_files(path for path in named if path not in kept)
