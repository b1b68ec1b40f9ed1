"""What `fpe` empties, since it is not of its form, is counted by column: in the record, the ledger, the certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake import certificates
from lake.balance import told
from lake.records import Published
from lake.verify import Copy, verify
from pipelines.cli import app
from tests.pipelines.badinput.town import DATASET, ENTRY, KEY, Rows, Town, csv_of, path_source, rows

MASKS = "phone: {type: string, grade: 3, mask: {share: hmac, open: drop}}"
FPE = "phone: {type: string, grade: 3, mask: {share: {kind: fpe, form: mobile}, open: {kind: fpe, form: digits}}}"


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
    text = ENTRY.format(source=town.source).replace(MASKS, FPE)
    text = text.replace("fields: [no, district]", "fields: [no, phone, district]")
    text = text.replace("^1[0-9]{10}$", "^[0-9 x]*$")
    assert text.count("fpe") == 2
    (town.catalogue / f"{DATASET.replace('.', '/')}.yaml").write_text(text, "utf-8")
    yield town


def called(day: int, *phones: str) -> Rows:
    """A day's rows, the first of them with these numbers."""
    found = rows(day)
    return [(*row[:2], phone, *row[3:]) for row, phone in zip(found, phones, strict=False)] + found[
        len(phones) :
    ]


def published(town: Town, day: int) -> dict[str, Published]:
    return {each.zone: each for each in town.run(day) if isinstance(each, Published)}


def test_what_is_emptied_is_counted_by_column_and_a_value_that_is_not_there_is_not(town: Town) -> None:
    """No mobile number: 12345678901 and 110; too few digits: 110; no digits: x; nothing."""
    town.leave("01", csv_of(called(1, "12345678901", "110", "x", "")))
    share, opened = published(town, 1).values()
    assert (share.unfit, opened.unfit) == ({"phone": 3}, {"phone": 2})
    for each in (share, opened):
        zone, name = each.table.split(".")
        nulls = sum(batch["phone"].null_count for batch in town.ctx.tables.scan((zone, name), ["phone"]))  # type: ignore[arg-type]
        assert nulls == each.unfit["phone"] + 1
        path = Path(town.settings.lake_root, certificates.path_of(zone, name, each.snapshot))
        assert certificates.decode(path.read_bytes(), None).unfit == each.unfit
    assert "unfit phone 3" in told(share)
    counts = [each.counts for each in town.ctx.ledger.done(DATASET) if each.part == "share/default"]
    assert counts[-1]["unfit_phone"] == 3
    assert list(verify(Copy(town.settings.lake_root))) == []


def test_of_the_next_day_all_rows_are_counted(town: Town) -> None:
    town.leave("01", csv_of(called(1, "110")))
    published(town, 1)
    town.leave("02", csv_of(called(2, "x", "110")))
    assert [each.unfit for each in published(town, 2).values()] == [{"phone": 3}] * 2


def test_where_all_are_of_their_form_nothing_is_said(town: Town) -> None:
    town.leave("01", csv_of(rows(1)))
    share, _ = published(town, 1).values()
    assert share.unfit == {} and "unfit" not in told(share)
    path = Path(town.settings.lake_root, certificates.path_of(*share.table.split("."), share.snapshot))
    assert b"unfit" not in path.read_bytes()


def test_the_command_line_says_so(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HOME", town.settings.home), ("CATALOGUE", town.catalogue)):
        monkeypatch.setenv(f"XUANWU_{name}", str(value))
    monkeypatch.setenv("XUANWU_CONN_POLICE", town.urls["police"])
    town.leave("01", csv_of(called(1, "110")))
    done = CliRunner().invoke(app, ["run", DATASET, "--date", "2026-03-01"])
    assert done.exit_code == 0, done.output
    assert [line.split("unfit")[1].split() for line in done.output.splitlines() if "publish" in line] == [
        ["phone", "1"]
    ] * 2
