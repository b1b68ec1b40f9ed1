"""Xuanwu in one process: a batch through `run_stage` to collection, or through `run_batch` the whole way; or that and
the next day's batch, in which about one row in a hundred has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmarks.contenders.marks import Marks, job
from pipelines.loading import seldom_collected

if TYPE_CHECKING:
    from lake.records import Landed
    from pipelines.context import Context
    from schemas.model import Entry

DATASET = "public_security.resident"
DAY, NEXT_DAY = date(2026, 3, 2), date(2026, 3, 3)
CHANGED = 0.01
"""The part of the stations whose residents all change: their rows lie scattered over every file, and their classes move
as wholes, as the disclosure gate asks."""


def main() -> None:
    seldom_collected()  # before all others are imported, as the command `xuanwu` does
    from pipelines.batches import batch_for
    from pipelines.context import open_context
    from pipelines.stages import run_stage

    work, marks = job(), Marks()
    ctx = open_context()
    entry = ctx.catalogue.entry(DATASET)
    marks.done("open the context")
    if work["way"] == "collect":
        landed = cast("Landed", run_stage(ctx, "collect", batch_for(ctx, entry, DAY)))
        marks.done("collect")
        marks.report(rows=landed.rows)
        return
    if work["way"] == "day":
        one_day(ctx, entry, work, marks)
    else:
        whole_way(ctx, entry, marks)


def whole_way(ctx: Context, entry: Entry, marks: Marks) -> None:
    records = _batch(ctx, entry, DAY, marks)
    share, opened = records["publish share/default"], records["publish open/open"]
    marks.report(
        rows=records["collect"].rows,
        checks=len(entry.checks),
        share_rows=share.rows_out,
        open_rows=opened.rows_out,
        share=[str(path) for path in ctx.tables.data_files(tuple(share.table.split(".")))],
        downloads=[download.path for download in opened.downloads],
        zones={zone: _size(Path(ctx.settings.lake_root) / zone) for zone in _zones(ctx)},
    )


def one_day(ctx: Context, entry: Entry, work: dict[str, Any], marks: Marks) -> None:
    """The first load, and the day after it."""
    first = _batch(ctx, entry, DAY, marks, "first ")
    with _changed(work["place"], work["table"]):
        marks.done("change the source")
        second = _batch(ctx, entry, NEXT_DAY, marks, "day ")
    marks.done("put the source back")
    share = second["publish share/default"]
    marks.report(
        rows=first["collect"].rows,
        changed=second["collect"].rows,
        updated=second["merge"].updated,
        share_rows=share.rows_out,
        open_rows=second["publish open/open"].rows_out,
    )


def _batch(ctx: Context, entry: Entry, day: date, marks: Marks, prefix: str = "") -> dict[str, Any]:
    """The records of a day's batch by stage and part."""
    from pipelines.batches import batch_for
    from pipelines.stages import run_batch

    records: dict[str, Any] = {}
    for stage, part, record in run_batch(ctx, batch_for(ctx, entry, day)):
        name = f"{stage} {part}".strip()
        marks.done(prefix + name)
        records[name] = record
    marks.done(f"{prefix}withdraw")
    return records


@contextmanager
def _changed(url: str, table: str) -> Iterator[None]:
    """About one row in a hundred changed at the source on the next day; afterwards as it was before."""
    chosen = (
        f"SELECT station FROM {table} GROUP BY station ORDER BY md5(station) "
        f"LIMIT (SELECT ceil({CHANGED} * count(DISTINCT station)) FROM {table})"
    )
    import psycopg  # which collecting a day has no need of

    with psycopg.connect(url, autocommit=True) as connection:
        kept = f"SELECT id_no, contribution, updated_at FROM {table} WHERE station IN ({chosen})"
        connection.execute(f"CREATE TABLE before AS {kept}".encode())
        try:
            connection.execute(
                f"UPDATE {table} SET contribution = contribution + 100, updated_at = '2026-03-03 12:00' "
                f"WHERE id_no IN (SELECT id_no FROM before)".encode()
            )
            yield
        finally:
            connection.execute(
                f"UPDATE {table} t SET contribution = b.contribution, updated_at = b.updated_at "
                f"FROM before b WHERE t.id_no = b.id_no".encode()
            )
            connection.execute(b"DROP TABLE before")


def _zones(ctx: Context) -> list[str]:
    return sorted(folder.name for folder in Path(ctx.settings.lake_root).iterdir() if folder.is_dir())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
