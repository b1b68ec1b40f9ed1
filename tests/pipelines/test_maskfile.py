"""`xuanwu mask`: a file masked by the real command line as its dataset is published, and not a value beside it."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.zones import identifier
from tests.leaks import bytes_below
from tests.pipelines.badinput.town import CANARY, DATASET, HEADER, Town, csv_of, rows


def given(town: Town, data: bytes, name: str = "people.csv") -> Path:
    path = town.root / name
    path.write_bytes(data)
    return path


def mask(town: Town, path: Path, *options: str, out: str = "masked.csv", zone: str = "share") -> Path:
    output = town.root / "out" / out
    done = town.xuanwu("mask", str(path), "--dataset", DATASET, "--zone", zone, "-o", str(output), *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert CANARY.encode() not in bytes_below(output.parent)
    return output


def refused(town: Town, path: Path, *options: str, out: str = "masked.csv") -> str:
    """What the command says when it writes nothing."""
    output = town.root / "out" / out
    done = town.xuanwu(
        "mask", str(path), "--dataset", DATASET, "--zone", "share", "-o", str(output), *options
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert not output.exists() and not list(town.root.glob("out/.*"))
    return done.stderr


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_is_masked_as_its_dataset_is_published(town: Town) -> None:
    data = csv_of(rows(1))
    town.leave("01", data)
    town.good(1)
    masked = read(mask(town, given(town, data)))
    tables = town.ctx.tables
    published = tables.scan(identifier("share", DATASET, "default")).read_all().to_pylist()
    assert sorted(masked, key=lambda row: row["no"]) == sorted(
        ({name: str(value) for name, value in row.items()} for row in published), key=lambda row: row["no"]
    )
    assert [row["no"] for row in masked] == [row[0] for row in rows(1)], "rows keep their order"


def test_the_open_zone_has_its_own_fields(town: Town) -> None:
    masked = read(mask(town, given(town, csv_of(rows(1))), zone="open"))
    assert [list(row) for row in masked] == [["no", "district"]] * len(rows(1))


def test_parquet_in_and_out_with_columns_in_any_order_and_others_besides(town: Town) -> None:
    table = pa.table(
        {
            "extra": [f"{CANARY}"] * 2,
            "age": [17, None],
            "phone": [None, "13912345678"],
            "district": ["x", "y"],
        }
        | {"name": [f"{CANARY}甲", None], "no": ["A1", "A2"]}
    )
    pq.write_table(table, town.root / "people.parquet")
    output = mask(town, town.root / "people.parquet", out="masked.parquet")
    first, second = pq.read_table(output).to_pylist()
    assert (first["no"], first["name"], first["phone"], first["age"]) == ("A1", "K******", None, "0-17")
    assert second["name"] is None and len(second["phone"]) == 32


def test_the_columns_may_have_the_names_of_the_source(town: Town) -> None:
    entry = town.catalogue / "police" / "person.yaml"
    text = entry.read_text("utf-8").replace("name: {type: string,", "name: {source: 姓名, type: string,")
    entry.write_text(text.replace("age: {type: integer,", "age: {source: 年龄, type: integer,"), "utf-8")
    header = ("no", "姓名", "phone", "年龄", "district")
    by_source = mask(town, given(town, csv_of(rows(1), header)), out="source.csv")
    by_name = mask(town, given(town, csv_of(rows(1), HEADER), "named.csv"), out="named.csv")
    assert by_source.read_bytes() == by_name.read_bytes()


def test_a_row_that_does_not_convert_is_named_and_nothing_is_written(town: Town) -> None:
    bad = (*rows(1)[0][:3], f"{CANARY}岁", "玄武区")
    said = refused(town, given(town, csv_of([*rows(1), bad])))
    assert "row 22" in said and "field age" in said and "a whole number" in said and "next: " in said
    said = refused(town, given(town, csv_of([*rows(1), (*rows(1)[0], CANARY)])))
    assert "row 22" in said and "a row cannot be read" in said
    said = refused(town, given(town, csv_of([bad]), "13987651234.csv"), out="13987651235.csv")
    assert "file [手机号].csv" in said and "1398765123" not in said


def test_what_cannot_be_masked_is_said_plainly(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    good = given(town, csv_of(rows(1)))
    header = ("no", "nome", "phone", "age", "district")
    assert "column name is missing (near: nome)" in refused(
        town, given(town, csv_of(rows(1), header), "other.csv")
    )
    assert "no such file" in refused(town, town.root / "absent.csv")
    assert "no such input format" in refused(town, given(town, b"x", "people.doc"))
    assert "no such output format" in refused(town, good, out="masked.doc")
    for name, out in (
        ("13987651234.doc", "a.csv"),
        ("13987651235.csv", "a.csv"),
        ("people.csv", "13987651236.doc"),
    ):
        path = town.root / name
        said = refused(town, given(town, b"x", name) if name.endswith("doc") else path, out=out)
        assert "[手机号]." in said and "1398765123" not in said
    assert "grants no field" in refused(town, good, "--policy", "statistics")
    assert "no dataset" in refused(town, good, "--dataset", "police.persons")
    monkeypatch.delenv("XUANWU_KEY_1")
    assert "no masking key of version 1" in refused(town, good)


def test_the_file_itself_is_never_replaced(town: Town) -> None:
    path = given(town, csv_of(rows(1)))
    done = town.xuanwu("mask", str(path), "--dataset", DATASET, "--zone", "share", "-o", str(path))
    assert done.returncode == 1 and "replace the file itself" in done.stderr
    assert path.read_bytes() == csv_of(rows(1))
