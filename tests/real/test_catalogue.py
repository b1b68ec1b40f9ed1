"""The entries for real files load without a problem; they need no file to be there."""

from __future__ import annotations

from pathlib import Path

from schemas.load import check_catalogue, load_catalogue

ROOT = Path(__file__).parent / "catalogue"


def test_no_problem() -> None:
    assert [str(problem) for problem in check_catalogue(ROOT)] == []


def test_at_least_eight_datasets_of_files_and_databases() -> None:
    entries = load_catalogue(ROOT).entries.values()
    assert len(entries) >= 8
    assert {entry.source.kind for entry in entries} == {"database", "file"}
    assert {entry.merge.kind for entry in entries} == {"snapshot", "append", "upsert"}


def test_the_readme_tells_how_to_count_each() -> None:
    text = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    told = {
        line.split("|")[1].strip()
        for line in text.splitlines()
        if line.startswith("| ") and "." in line.split("|")[1]
    }
    assert told == load_catalogue(ROOT).entries.keys()
