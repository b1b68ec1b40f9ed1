"""Xuanwu in one process: a batch through `run_stage` to collection, or through `run_batch` the whole way."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast

from benchmarks.contenders.marks import Marks, job
from lake.records import Landed
from pipelines.batches import batch_for
from pipelines.context import Context, open_context
from pipelines.stages import run_batch, run_stage
from schemas.model import Entry

DATASET = "public_security.resident"


def main() -> None:
    work, marks = job(), Marks()
    ctx = open_context()
    entry = ctx.catalogue.entry(DATASET)
    marks.done("open the context")
    if work["way"] == "collect":
        landed = cast(Landed, run_stage(ctx, "collect", batch_for(ctx, entry, date(2026, 3, 2))))
        marks.done("collect")
        marks.report(rows=landed.rows)
        return
    whole_way(ctx, entry, marks)


def whole_way(ctx: Context, entry: Entry, marks: Marks) -> None:
    """Great Expectations is imported first, so that its time stands apart; `check` would import it otherwise."""
    import expectations.run  # noqa: F401

    marks.done("import Great Expectations")
    records: dict[str, Any] = {}
    for stage, part, record in run_batch(ctx, batch_for(ctx, entry, date(2026, 3, 2))):
        marks.done(f"{stage} {part}".strip())
        records[f"{stage} {part}".strip()] = record
    marks.done("withdraw")
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


def _zones(ctx: Context) -> list[str]:
    return sorted(folder.name for folder in Path(ctx.settings.lake_root).iterdir() if folder.is_dir())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
