"""What the command line says of a run beyond its rows: what landed before, where a new home is, which datasets there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app, main
from schemas.errors import XuanwuError
from tests.pipelines.badinput.town import Town, csv_of, rows


@pytest.fixture
def town(town: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    town.leave("01", csv_of(rows(1)))
    for name, value in (("HOME", town.settings.home), ("CATALOGUE", town.catalogue), ("UNTIL", "2026-03-01")):
        monkeypatch.setenv(f"XUANWU_{name}", str(value))
    monkeypatch.setenv("XUANWU_CONN_POLICE", town.urls["police"])
    return town


def xuanwu(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def collected(result: Result) -> str:
    (line,) = [each for each in result.stdout.splitlines() if each.startswith("  collect")]
    return line


def test_what_landed_before_is_not_printed_as_collected(town: Town) -> None:
    run = ("run", "police.person", "--date", "2026-03-01")
    assert "landed before" not in collected(xuanwu(*run))
    town.leave("01", csv_of(rows(1, 21)))
    again = collected(xuanwu(*run))
    assert "rows 20" in again and "landed before" in again and "the source was not asked" in again


def test_a_day_of_a_dataset_that_comes_several_times_is_all_of_them(town: Town) -> None:
    entry = town.catalogue / "police" / "person.yaml"
    text = (
        entry.read_text("utf-8")
        .replace('"0 0 * * *"', '"0 */8 * * *"')
        .replace("{day}.csv", "{day}{hour}.csv")
    )
    entry.write_text(text, "utf-8")
    for hour in (0, 8, 16):
        town.leave(f"01{hour:02}", csv_of(rows(1, 20 + hour)))
    said = xuanwu("run", "police.person", "--date", "2026-03-01").stdout.splitlines()
    batches = [line.split()[1][:16] for line in said if line.startswith("police.person")]
    assert batches == ["20260301T080000Z", "20260301T160000Z", "20260302T000000Z"]


def test_a_new_home_is_told_once(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XUANWU_HOME")
    monkeypatch.chdir(tmp_path)
    first, second = xuanwu("status"), xuanwu("status")
    (line,) = first.stderr.splitlines()
    assert str(tmp_path / ".xuanwu") in line and "XUANWU_HOME" in line
    assert (tmp_path / ".xuanwu").is_dir() and second.stderr == ""


def test_the_next_step_after_an_unknown_dataset_lists_those_there_are(town: Town) -> None:
    error = xuanwu("status", "police.persons").exception
    assert isinstance(error, XuanwuError) and "`xuanwu catalogue list`" in str(error.next_step)
    listed = xuanwu("catalogue", "list")
    assert listed.exit_code == 0 and listed.stdout.split() == ["police.person", "人员", "Persons"]


def test_an_unforeseen_error_is_one_line_without_its_words(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def library(*_: object, **__: object) -> None:
        raise ValueError("320102199003070011 is no number")

    monkeypatch.setattr("pipelines.standardise.standardise", library)
    monkeypatch.setattr("sys.argv", ["xuanwu", "run", "police.person", "--date", "2026-03-01"])
    monkeypatch.setattr("pipelines.cli.interrupting.watch", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    (line,) = [each for each in said.err.splitlines() if each.startswith("error: ")]
    assert "ValueError at " in line and "pipelines.stages" in line
    assert "320102" not in said.err + said.out and "Traceback" not in said.err


def test_a_failure_names_the_datasets_that_had_not_begun(town: Town) -> None:
    entry = (town.catalogue / "police" / "person.yaml").read_text("utf-8")
    for name, code in (("car", "2"), ("post", "3")):
        other = entry.replace("police.person", f"police.{name}").replace("/000001", f"/00000{code}")
        (town.catalogue / "police" / f"{name}.yaml").write_text(other, "utf-8")
    town.leave("02", b"")
    names = ("police.post", "police.person", "police.car")
    failed = xuanwu("run", *names, "--date", "2026-03-02")
    assert failed.exit_code == 1 and failed.stdout.count("police.") == 1
    (line,) = [each for each in failed.stderr.splitlines() if "not begun" in each]
    assert "police.car" not in line and line.endswith("police.person police.post")
    (town.catalogue / "police" / "car.yaml").unlink()
    assert "not begun" not in xuanwu("run", "police.post", "--date", "2026-03-02").stderr
