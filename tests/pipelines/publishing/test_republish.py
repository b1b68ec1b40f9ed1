"""A mask that is tightened in the catalogue holds for what is published already, once it is published again."""

from __future__ import annotations

from pathlib import Path

from lake.verify import Copy, verify
from lake.zones import identifier
from tests.leaks import bytes_below
from tests.pipelines.badinput.town import DATASET, GOOD_ROWS, Town, csv_of, rows

SHARE = identifier("share", DATASET, "default")


def test_run_from_publish_publishes_the_last_batch_under_the_new_masks(town: Town) -> None:
    for day in (1, 2):
        town.leave(f"{day:02}", csv_of(rows(day)))
        town.good(day)
    home = Path(town.ctx.tables.location(SHARE))
    curated = town.ctx.tables.current_snapshot(identifier("curated", DATASET))
    before = {path for path in home.rglob("*") if path.is_file()}
    assert b"K*******" in bytes_below(home), "the first letter of a name is shown"
    entry = town.catalogue / "police" / "person.yaml"
    tightened = entry.read_text("utf-8").replace(
        "share: {kind: partial, first: 1}", "share: {kind: constant, value: hidden}"
    )
    entry.write_text(tightened, "utf-8")

    done = town.xuanwu("run", DATASET, "--from", "publish")
    assert (done.returncode, done.stderr) == (0, "")
    stages = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert set(stages) == {"publish"}
    tables = town.ctx.tables
    assert tables.current_snapshot(identifier("curated", DATASET)) == curated, "nothing was merged"
    names = {name for batch in tables.scan(SHARE, ["name"]) for name in batch.column(0).to_pylist()}
    assert (names, tables.row_count(SHARE)) == ({"hidden"}, 2 * GOOD_ROWS)
    assert len(list(tables.snapshots(SHARE))) == 1
    assert not before & {path for path in home.rglob("*") if path.is_file()}
    assert b"K*******" not in bytes_below(home)
    assert list(verify(Copy(town.settings.lake_root))) == []

    assert town.xuanwu("run", DATASET, "--from", "publish").returncode == 0
    assert len(list(town.ctx.tables.snapshots(SHARE))) == 1
