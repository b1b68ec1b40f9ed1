"""The real command line says what is wrong once, on standard error, and exits with 1."""

from __future__ import annotations

import pytest

from tests.pipelines.badinput.town import (
    CANARY,
    KEY,
    Found,
    Town,
    csv_of,
    rows,
)


def _lines(town: Town, *arguments: str, **settings: str) -> str:
    """What the command says when it fails: one message, on standard error, and no traceback."""
    done = town.xuanwu(*arguments, **settings)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "error" not in done.stdout
    return done.stderr


def test_the_command_line_says_it_once(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    town = found()
    town.leave("02", csv_of(rows(2)).decode().encode("gb18030"))
    said = _lines(town, "run", "police.person", "--date", "2026-03-02")
    assert said.count("\n") == 1 and "02.csv" in said and "police.person" in said and "next: " in said
    said = _lines(town, "run", "police.person", "--date", "2026-03-04")
    assert said.count("\n") == 1 and "no file matches" in said and "04.csv" in said
    town.leave("01", csv_of(rows(1)))
    monkeypatch.delenv("XUANWU_KEY_1")
    said = _lines(town, "run", "police.person", "--date", "2026-03-01")
    assert said.count("\n") == 1 and "no masking key" in said and "police.person" in said
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    done = town.xuanwu("run", "police.person", "--date", "2026-03-01", "--from", "publish")
    assert done.returncode == 0 and not done.stderr
    path = town.catalogue / "police" / "person.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  name:", "\tname:"), encoding="utf-8")
    said = _lines(town, "run", "police.person")
    assert "person.yaml:" in said and "1 problem(s) in the catalogue" in said


UNUSABLE = {
    "no number": ({"XUANWU_THREADS": "two"}, "XUANWU_THREADS: "),
    "no size": ({"XUANWU_MEMORY": "lots"}, "XUANWU_MEMORY: "),
    "a file for a folder": ({"XUANWU_HOME": "{file}"}, "the system refused"),
    "a file for the lake": ({"XUANWU_LAKE": "{file}"}, "the system refused: Not a directory"),
    "no database": ({"XUANWU_DATABASE": "sqlite:///{file}"}, "the database cannot be used (SQLITE_NOTADB)"),
    "no server": (
        {"XUANWU_DATABASE": f"postgresql+psycopg://u:{CANARY}@127.0.0.1:1/x"},
        "the ledger cannot be reached",
    ),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_settings_that_cannot_be_used(found: Found, fault: str) -> None:
    settings, words = UNUSABLE[fault]
    town = found()
    town.leave("01", csv_of(rows(1)))
    file = town.root / "file"
    file.write_text("no database, and no folder either" * 100, encoding="utf-8")
    given = {name: value.replace("{file}", str(file)) for name, value in settings.items()}
    said = _lines(town, "run", "police.person", "--date", "2026-03-01", **given)
    assert said.count("\n") == 1 and words in said and "next: " in said
