"""Files whose columns change, a code that no list has, and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.stages import run_batch
from schemas.errors import ColumnsMissing
from tests.pipelines.badinput.town import DATASET, HEADER, KEY, Town, batch_of, csv_of, path_source, rows


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    made = Town(tmp_path, path_source("csv", "csv"))
    made.leave("01", csv_of(rows(1)))
    list(run_batch(made.ctx, batch_of(1)))
    return made


def renamed(town: Town, old: str, new: str) -> str:
    header = tuple(new if name == old else name for name in HEADER)
    town.leave("02", csv_of(rows(2), header))
    with pytest.raises(ColumnsMissing) as caught:
        town.run(2)
    town.said.append(str(caught.value))
    return str(caught.value)


def test_a_column_of_another_name_is_known_by_its_values(town: Town) -> None:
    said = renamed(town, "phone", "lxdh")
    assert "`phone` seems to be called `lxdh` now (values that look alike)" in said
    assert "police.person share/default" in said
    assert "13900" not in said


def test_a_column_of_a_name_like_it(town: Town) -> None:
    assert "`district` seems to be called `Districts` now (" in renamed(town, "district", "Districts")


def test_a_new_column_goes_on_and_is_told(town: Town) -> None:
    town.leave("02", csv_of([(*row, "电话") for row in rows(2)], (*HEADER, "channel")))
    town.run(2)
    done = town.xuanwu("drift")
    assert done.returncode == 0, done.stderr
    assert "new column `channel`: not collected" in done.stdout


def test_impact_asked_beforehand(town: Town) -> None:
    done = town.xuanwu("impact", f"{DATASET}.district")
    assert done.returncode == 0, done.stderr
    assert "police.person share/default: district" in done.stdout
    assert "police.person open: district" in done.stdout and "police.person: csv" in done.stdout
    wrong = town.xuanwu("impact", f"{DATASET}.distric")
    assert wrong.returncode == 1 and "did you mean `district`" in wrong.stderr


def test_codes_that_no_list_has_are_told_with_their_number(town: Town) -> None:
    entry = town.catalogue / "police" / "person.yaml"
    text = entry.read_text().replace(
        "district: {type: string, grade: 1}", "district: {type: string, grade: 1, codes: division_nanjing}"
    )
    entry.write_text(text)
    slipped = ["13912345678"] * 6 + ["金丝雀氏某"] + ["望江路九百一十七号金丝雀小区三幢二单元五零二室"] * 6
    bad = [(*row[:4], "火星区") for row in rows(2, 8)]
    bad += [(*row[:4], text) for row, text in zip(rows(3, len(slipped)), slipped, strict=True)]
    town.leave("02", csv_of([*bad, *rows(4, 40)]))
    town.run(2)
    said = town.xuanwu("drift", DATASET).stdout
    assert "codes of `district` that are not in schemas/codes/division_nanjing.csv: `火星区` (8 rows)" in said
    assert "7 rows hold texts that are not told" in said, "one is rare, one longer than twenty characters"
    assert not any(text in said for text in slipped), "what slipped into the column is a person's"
