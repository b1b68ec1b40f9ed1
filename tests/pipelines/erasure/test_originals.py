"""Rows are cut out of landed files of every format, and every other row reads as before."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from lake import store
from lake.records import Landed, LandedFile
from lake.search import Needles, search
from pipelines.erasure.originals import Choice, chosen, without
from pipelines.erasure.suppression import rewritten
from pipelines.readers import members, read
from pipelines.sources.scanned import columns_of, scanned
from schemas.errors import LakeError
from schemas.model import Entry
from tests.pipelines.building import NOW, batch_of, entry_of
from tests.pipelines.erasure.town import subject

WHO = "320102199001011234"
OTHER = "320102198505055678"
FIELDS: dict[str, Any] = {"no": "string", "id_no": "string", "memo": "string"}
ROWS = [
    ("1", OTHER, "无"),
    ("2", WHO, '他说"可以"，\n第二行'),
    ("3", OTHER, f"配偶 3201 0219 9001 0112 34 到场；{WHO[:-1]}"),
    ("4", OTHER, "１２３"),
    ("5", "３２０１０２１９９００１０１１２３４", ""),
    ("6", OTHER, f"编号9{WHO}不是"),
]
GONE = [1, 2, 4]
"""Rows of these that hold the identifier: as it is, with spaces, in full width; not within a longer number."""


def entry(form: str, **more: Any) -> Entry:
    return entry_of("health.visit", {"kind": "file", "path": "x", "format": form, **more}, FIELDS)


def land(tmp_path: Path, entry: Entry, data: bytes, name: str = "x") -> list[LandedFile]:
    """As a collection leaves them: one for each member of an archive."""
    path = tmp_path / "00001-x"
    path.write_bytes(data)
    source: Any = entry.source
    file = LandedFile(
        path=str(path),
        origin=name,
        sha256=store.sha256_of(str(path)),
        size=len(data),
        rows=0,
        format=source.format,
    )
    names = members(str(path), name, source.format, source.member) or (None,)
    return [scanned(file.model_copy(update={"member": m}), source, columns_of(entry))[0] for m in names]


def rows_of(file: LandedFile, entry: Entry) -> list[dict[str, Any]]:
    return [row for batch in read(file, entry.source, columns_of(entry)) for row in batch.to_pylist()]


def cut(tmp_path: Path, entry: Entry, file: LandedFile) -> tuple[LandedFile, list[dict[str, Any]]]:
    """Erase the subject from the file, and see that it is gone and every other row as it was, number included."""
    who = subject(WHO)
    gone = chosen(file, entry, Choice((), who.in_text, who.in_rows))
    made = without(file, entry, gone, str(tmp_path / "00001e1-x"))
    before, after = rows_of(file, entry), rows_of(made, entry)
    assert [row for row in before if row["_row"] not in gone] == after
    assert (made.rows, len(made.erased)) == (len(after), len(gone))
    assert made.received is not None and made.received.sha256 == file.sha256
    assert search([made.path], Needles([WHO])).found == {}
    assert search([file.path], Needles([WHO])).found
    assert chosen(made, entry, Choice((), who.in_text, who.in_rows)) == []
    return made, after


NEAR = [row for n, row in enumerate(ROWS) if n != 5]
"""Without the longer number, which holds the same digits and stays."""


def csv_text(rows: list[tuple[str, ...]], delimiter: str = ",") -> str:
    quoted = [['"' + cell.replace('"', '""') + '"' if cell else "" for cell in row] for row in rows]
    head = delimiter.join(FIELDS)
    return "\r\n".join([head, *(delimiter.join(row) for row in quoted)]) + "\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_delimited_text(tmp_path: Path, encoding: str) -> None:
    of = entry("csv", encoding=encoding)
    (file,) = land(tmp_path, of, csv_text(NEAR).encode(encoding))
    made, after = cut(tmp_path, of, file)
    assert [row["no"] for row in after] == ["1", "4"]
    assert made.encoding == "utf-8"


def test_a_longer_number_is_another_one(tmp_path: Path) -> None:
    of, who = entry("csv"), subject(WHO)
    (file,) = land(tmp_path, of, csv_text(ROWS).encode())
    assert chosen(file, of, Choice((), who.in_text, who.in_rows)) == [3, 4, 6]


def test_tab_separated_skipped_rows_and_a_stray_quotation_mark(tmp_path: Path) -> None:
    of = entry("tsv", skip=1, encoding="utf-8")
    text = f'某表\nno\tid_no\tmemo\n1\t{OTHER}\t5"管\n2\t{WHO}\t\n\n3\t{OTHER}\tx\n'
    (file,) = land(tmp_path, of, text.encode())
    _, after = cut(tmp_path, of, file)
    assert [(row["no"], row["_row"]) for row in after if not row["_error"]] == [("1", 3), ("3", 6)]


def test_a_malformed_row_goes_too(tmp_path: Path) -> None:
    of = entry("csv", encoding="utf-8")
    (file,) = land(tmp_path, of, f"no,id_no,memo\n1,{OTHER},a\n2,{WHO}\n3,{OTHER}\n".encode())
    _, after = cut(tmp_path, of, file)
    assert [row["_row"] for row in after] == [2, 4]


def test_json_lines_in_gzip(tmp_path: Path) -> None:
    of = entry("jsonl")
    lines = [json.dumps(dict(zip(FIELDS, row, strict=True)), ensure_ascii=False) for row in NEAR]
    (file,) = land(tmp_path, of, gzip.compress("\n".join(lines).encode()), "x.jsonl.gz")
    _, after = cut(tmp_path, of, file)
    assert [row["_row"] for row in after] == [1, 4]


@pytest.mark.parametrize("records", [None, "data.items"])
def test_a_json_document(tmp_path: Path, records: str | None) -> None:
    of = entry("json", **({"records": records} if records else {}))
    items = [dict(zip(FIELDS, row, strict=True)) | {"n": {"x": [1, "]"]}} for row in NEAR]
    body: Any = (
        items if records is None else {"total": 1.10, "data": {"a": ["items"], "items": items, "z": 0}}
    )
    (file,) = land(tmp_path, of, json.dumps(body, ensure_ascii=False, indent=2).encode())
    made, after = cut(tmp_path, of, file)
    assert [row["_row"] for row in after] == [1, 4]
    left = json.loads(Path(made.path).read_bytes())
    assert records is None or left["data"]["z"] == 0


def test_parquet_with_nested_and_required_columns(tmp_path: Path) -> None:
    of = entry("parquet")
    schema = pa.schema(
        [pa.field("no", pa.string(), nullable=False), ("id_no", pa.string()), ("memo", pa.list_(pa.string()))]
    )
    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist([{"no": a, "id_no": b, "memo": [c]} for a, b, c in NEAR], schema), sink
    )
    (file,) = land(tmp_path, of, sink.getvalue())
    _, after = cut(tmp_path, of, file)
    assert [row["_row"] for row in after] == [1, 4]


def test_a_workbook_keeps_its_merged_header_dates_and_error_cells(tmp_path: Path) -> None:
    of = entry("excel", header=1, header_rows=2, skip=1)
    of = of.model_copy(
        update={
            "fields": {
                **{
                    name: field.model_copy(update={"source": f"人/{name}"})
                    for name, field in of.fields.items()
                }
            }
        }
    )
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        sheet, day = book.add_worksheet("表"), book.add_format({"num_format": "yyyy-mm-dd"})
        book.add_worksheet("别的").write(0, 0, f"说明 {WHO}")
        sheet.write(0, 0, "标题")
        sheet.merge_range(1, 0, 1, 2, "人")
        for column, name in enumerate(FIELDS):
            sheet.write(2, column, name)
        for number, (no, who, _) in enumerate(NEAR, 3):
            sheet.write(number, 0, float(no))
            sheet.write(number, 1, who)
            sheet.write_datetime(number, 2, datetime(2026, 3, 1), day)
        sheet.write_formula(8, 0, "=1/0", None, "#DIV/0!")
        sheet.write(8, 1, OTHER)
    (file,) = land(tmp_path, of, made.getvalue())
    who = subject(WHO)
    gone = chosen(file, of, Choice((), who.in_text, who.in_rows))
    new = without(file, of, [row for row in gone if row > 3], str(tmp_path / "00001e1-x"))
    after = rows_of(new, of)
    assert [row["_row"] for row in after] == [4, 6, 7, 9]
    assert after[0]["人/memo"] == date(2026, 3, 1)
    assert "error cell" in after[-1]["_error"]


def test_members_of_an_archive_become_files_of_their_own(tmp_path: Path) -> None:
    of, packed = entry("csv", encoding="utf-8"), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("甲.csv", csv_text(NEAR))
        archive.writestr("乙.csv", csv_text(ROWS[:1]))
    files = land(tmp_path, of, packed.getvalue(), "x.zip")
    assert [file.member for file in files] == ["乙.csv", "甲.csv"]
    _, after = cut(tmp_path, of, files[1])
    assert [row["no"] for row in after] == ["1", "4"]
    whole = without(files[0], of, [], str(tmp_path / "00002e1-x"))
    assert rows_of(whole, of) == rows_of(files[0], of)


def test_a_file_that_would_not_read_as_before_stays(tmp_path: Path) -> None:
    """A manifest that tells other rows than there are."""
    of = entry("csv", encoding="utf-8")
    (file,) = land(tmp_path, of, csv_text(NEAR).encode())
    file = file.model_copy(update={"origin": "13987651234.csv"})
    with pytest.raises(LakeError, match=r"would not read as before.*file \[手机号\]\.csv"):
        without(file.model_copy(update={"rows": 9}), of, [3], str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    assert Path(file.path).exists()


def test_a_new_file_is_not_named_after_the_person_that_it_came_with(tmp_path: Path) -> None:
    of = entry("csv", encoding="utf-8")
    (file,) = land(tmp_path, of, csv_text(NEAR).encode(), "13987651234.csv")
    landed = Landed(batch=batch_of("health.visit"), files=(file,), rows=file.rows, collected_at=NOW)
    (made,) = rewritten(of, landed, {file: [3]}).files
    assert (Path(made.path).name, made.origin) == ("00001e1-[手机号].csv", "13987651234.csv")
