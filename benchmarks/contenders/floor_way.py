"""The floor of the whole way: PostgreSQL as an Arrow stream into Parquet, then the bytes of every further zone, as
Xuanwu left them, read once and written once by Arrow, and nothing else: no cast, no check, no mask, no order.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from benchmarks.contenders.floor_collect import BATCH_ROWS, collect, write
from benchmarks.contenders.marks import Marks, job

ZONES = ("standard", "curated", "share", "open", "downloads")


def copy(file: Path, path: Path) -> None:
    """A file's rows through Arrow, in its own form."""
    if file.suffix == ".csv":
        with (
            pacsv.open_csv(file, pacsv.ReadOptions(block_size=8 << 20)) as reader,
            pacsv.CSVWriter(path, reader.schema) as out,
        ):
            for batch in reader:
                out.write_batch(batch)
        return
    with pq.ParquetFile(file) as parquet:
        write(parquet.schema_arrow, parquet.iter_batches(BATCH_ROWS), path)


def main() -> None:
    work, marks = job(), Marks()
    home = Path(work["home"])
    rows = collect(work["kind"], work["place"], work["table"], home / "landing.parquet")
    marks.done("landing")
    for zone in ZONES:
        found = sorted(Path(work["ours"], "lake", zone).rglob("*"))
        for number, file in enumerate(file for file in found if file.suffix in (".parquet", ".csv")):
            copy(file, home / f"{zone}-{number}{file.suffix}")
        marks.done(zone)
    marks.report(rows=rows, written=sum(file.stat().st_size for file in home.iterdir()))


if __name__ == "__main__":
    main()
