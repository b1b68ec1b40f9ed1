"""Our own side fails: a missing key, a broken catalogue, a full disk. And the tests themselves would see a leak."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from lake.records import Published
from schemas.errors import CatalogueError, LakeError, MaskError, XuanwuError
from tests.pipelines.badinput.forms import (
    ragged,
)
from tests.pipelines.badinput.town import (
    CANARY,
    GOOD_ROWS,
    KEY,
    Found,
    Town,
    csv_of,
    leak,
    rows,
)


def test_a_planted_value_would_be_found(found: Found) -> None:
    """The tests below would see a leak: records, verdicts, manifests and the ledger are all looked into."""
    town = found()
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    written = town.written()
    for word in (
        "collected_at",
        "checked_at",
        "curated_snapshot",
        "expect_column_values_to_match_regex",
        "SQLite format",
    ):
        assert word in written
    record = next((Path(town.settings.lake_root) / "records").rglob("check.json"))
    record.write_text(record.read_text() + CANARY)
    assert leak(town) is not None
    record.write_text("{}")


def test_a_missing_masking_key(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    town = found()
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    data = town.leave("02", csv_of(rows(2)))
    monkeypatch.delenv("XUANWU_KEY_1")
    shared = {name: value for name, value in town.state().items() if name.startswith("share")}
    with pytest.raises(MaskError, match="no masking key of version 1") as caught:
        town.run(2)
    assert "XUANWU_KEY_1" in (caught.value.next_step or "")
    assert caught.value.place["dataset"] == "police.person"
    town.keeps(2, data)
    assert {name: value for name, value in town.state().items() if name.startswith("share")} == shared
    opened = town.ctx.tables.row_count(("open", "police__person"))
    assert opened == 2 * GOOD_ROWS, "what needs no key is published, as by a DAG's own task"
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    again = [record for record in town.run(2, "publish") if isinstance(record, Published)]
    assert [record.rows_out for record in again] == [2 * GOOD_ROWS] * 2
    town.leave("03", csv_of(rows(3)))
    town.good(3)


def test_a_catalogue_file_with_tabs(found: Found) -> None:
    town = found()
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    path = town.catalogue / "police" / "person.yaml"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("  phone:", "\tphone:"), encoding="utf-8")
    line = good[: good.index("  phone:")].count("\n") + 1
    with pytest.raises(CatalogueError) as caught:
        town.run(2)
    assert f"person.yaml:{line}:" in str(caught.value) and "tab" in str(caught.value).lower()
    path.write_text(good, encoding="utf-8")
    town.leave("02", csv_of(rows(2)))
    town.good(2)


# Bytes left, in KiB: with little the landing fails, with ever more the stages after it, up to the downloads.
LEFT = tuple(range(0, 84, 4))


@pytest.mark.parametrize("full", ["home", "lake"])
def test_a_full_disk(found: Found, small_disk: Path, full: str) -> None:
    """However much is left: the batch stops with a message of ours, and works once there is space."""
    town = found(**{full: small_disk / full})
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    town.leave("02", csv_of(ragged(rows(2))))
    ballast, refused, before = small_disk / "ballast", 0, _readable(town)
    for free in LEFT:
        _leave_free(ballast, free * 1024)
        refused += _out_of_space(town)
        ballast.unlink()
        assert _readable(town) in (before, before + GOOD_ROWS - 2)
    assert refused >= 4
    stages = {attempt.stage for attempt in town.ctx.ledger.runs() if attempt.state == "failed"}
    assert full == "home" or stages == {"collect", "standardise", "check", "merge", "publish"}
    town.run(2)
    assert _readable(town) == before + GOOD_ROWS - 2 and len(town.aside(2)) == 2
    town.leave("03", csv_of(rows(3)))
    town.good(3)


def _out_of_space(town: Town) -> bool:
    """Run the second day; True if it stopped, with a message that says why, where and what to do."""
    try:
        town.run(2)
    except XuanwuError as error:
        text = str(error)
        assert error.next_step and "disk" in error.message + error.next_step, text
        assert error.place["dataset"] == "police.person"
        town.said += [text, "".join(traceback.format_exception(error))]
        return True
    return False


def _leave_free(ballast: Path, free: int) -> None:
    found = os.statvfs(ballast.parent)
    ballast.write_bytes(b"\0" * max(0, found.f_bavail * found.f_frsize - free))


def _readable(town: Town) -> int:
    """Rows of the curated table, every one of them read."""
    return sum(batch.num_rows for batch in town.ctx.tables.scan(("curated", "police__person")))


def test_a_disk_fills_while_a_file_lands(found: Found, small_disk: Path) -> None:
    town = found(lake=small_disk / "lake")
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    town.leave("02", csv_of(rows(2, 300_000)))
    town.refused(2, LakeError, "the disk is full", "free some space")
    town.leave("03", csv_of(rows(3)))
    town.good(3)
