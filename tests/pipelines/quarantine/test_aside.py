"""`xuanwu quarantine show`: why rows were set aside, and nothing of what they say of persons."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lake.zones import identifier
from tests.pipelines.badinput.town import CANARY, DATASET, KEY, Town, csv_of, leak, path_source, rows

PHONE = "13912345678"


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A town whose first day has rows that every stage sets aside."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    town = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
    town.leave("01", csv_of([*rows(1), *BAD]))
    assert len(town.run(1)) == 6
    yield town
    assert leak(town) is None


BAD = [
    ("B1", f"{CANARY}甲", PHONE, f"{CANARY}岁", f"玄武区 {PHONE}"),
    ("B2", f"{CANARY}乙", f"{CANARY}8", "", "鼓楼区\x1b[2J"),
    ("B3", f"{CANARY}丙", f"{CANARY}8", "7", "鼓楼区"),
    ("B4", f"{CANARY}丁", PHONE, "7", "鼓楼区", CANARY),
]


def shown(town: Town, *options: str) -> list[dict[str, Any]]:
    done = town.xuanwu("quarantine", "show", DATASET, "--json", *options)
    assert (done.returncode, done.stderr) == (0, "")
    return sorted(json.loads(done.stdout), key=lambda row: row["row"])


def test_every_value_of_a_person_is_a_digest_and_every_reason_is_said(town: Town) -> None:
    first, second, third, fourth = shown(town)
    assert [row["stage"] for row in (first, second, third, fourth)] == [
        "standardise",
        "check",
        "check",
        "standardise",
    ]
    assert (first["file"], first["row"]) == ("01.csv", 22)
    assert first["failures"] == [{"field": "age", "rule": "integer", "expected": "a whole number of 64 bits"}]
    assert (first["data"]["no"], first["data"]["district"]) == ("B1", "玄武区 [手机号]")
    assert {
        name for name, value in first["data"].items() if re.fullmatch(r"#[0-9a-f]{12} \(\d+\)", value)
    } == {
        "name",
        "phone",
        "age",
    }
    assert second["data"]["age"] is None, "what is missing is often why"
    assert second["data"]["phone"] == third["data"]["phone"], "one value, one digest"
    assert second["data"]["name"] != third["data"]["name"]
    assert second["data"]["name"].endswith("(7)")
    assert set(fourth["data"]) == {"_raw"}
    assert re.fullmatch(r"\(\d+\)", fourth["data"]["_raw"]), "the length alone"


def test_no_digest_is_a_published_token(town: Town) -> None:
    tables = town.ctx.tables
    published = {
        str(token)[:12]
        for batch in tables.scan(identifier("share", DATASET, "default"), ["phone"])
        for token in batch.column(0)
    }
    good = csv_of([("B9", *rows(1)[0][1:3], "x", "玄武区"), *rows(2)])
    town.leave("02", good)
    town.run(2)
    (row,) = shown(town, "--stage", "standardise", "--batch", town.ctx.ledger.latest(DATASET)[0].batch.id)
    assert row["data"]["phone"][1:13] not in published


def test_people_read_it_and_a_terminal_obeys_nothing(town: Town) -> None:
    done = town.xuanwu("quarantine", "show", DATASET)
    assert (done.returncode, done.stderr) == (0, "")
    assert "01.csv 行 row 23  [check " in done.stdout
    assert "phone: expect_column_values_to_match_regex; expected: to match regex" in done.stdout
    assert re.search(r"整行 the row: malformed; \d+ cells instead of \d+", done.stdout)
    assert "\x1b" not in done.stdout and "鼓楼区\\x1b[2J" in done.stdout


def test_a_stage_a_batch_a_limit(town: Town) -> None:
    assert [row["row"] for row in shown(town, "--stage", "check")] == [23, 24]
    assert shown(town, "--batch", "20990101T000000Z-00000000") == []
    done = town.xuanwu("quarantine", "show", DATASET, "--limit", "3")
    assert done.stdout.count(" row ") >= 3 and "only the first 3 rows" in done.stderr
    done = town.xuanwu("quarantine", "show", DATASET, "--limit", "3", "--json")
    assert len(json.loads(done.stdout)) == 3 and "only the first 3 rows" in done.stderr
    done = town.xuanwu("quarantine", "show", DATASET, "--stage", "publish")
    assert done.returncode == 2 and "standardise, check, merge" in done.stderr


def test_without_the_key_nothing_is_shown(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XUANWU_KEY_1")
    done = town.xuanwu("quarantine", "show", DATASET)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no masking key" in done.stderr and "Traceback" not in done.stderr
    assert "no row is shown" in done.stderr and "nothing was published" not in done.stderr


def test_a_column_that_the_entry_no_longer_names_shows_its_length_alone(town: Town) -> None:
    path = town.catalogue / "police" / "person.yaml"
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if "  name:" not in line) + "\n", "utf-8")
    assert shown(town, "--stage", "check")[0]["data"]["name"] == "(7)"
