"""Files that cannot be read: the batch stops with one message, its bytes stay, and the next good batch works."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from schemas.errors import CheckFailed, SourceError
from tests.pipelines.badinput.forms import (
    Rows,
    cell,
    encrypted,
    json_of,
    parquet_of,
    workbook_of,
    zip_of,
)
from tests.pipelines.badinput.town import (
    CANARY,
    HEADER,
    Found,
    csv_of,
    path_source,
    rows,
)

STOPS: dict[
    str,
    tuple[
        str,
        str,
        Callable[[Rows], bytes],
        Callable[[Rows], bytes],
        tuple[str, ...],
    ],
] = {
    "wrong encoding": (
        "csv",
        "csv",
        csv_of,
        lambda r: csv_of(r).decode().encode("gb18030"),
        ("02.csv", "utf-8", "source.encoding"),
    ),
    "a missing column": (
        "csv",
        "csv",
        csv_of,
        lambda r: csv_of(r, ("no", "name", "phon", "age", "district")),
        ("02.csv", "phone", "phon"),
    ),
    "an empty file": ("csv", "csv", csv_of, lambda _: b"", ("02.csv", "empty")),
    "a zero-byte zip": ("csv", "zip", lambda r: zip_of(csv_of(r)), lambda _: b"", ("02.zip", "zero bytes")),
    "a zip cut short": (
        "csv",
        "zip",
        lambda r: zip_of(csv_of(r)),
        lambda r: zip_of(csv_of(r))[:-40],
        ("02.zip", "cut short"),
    ),
    "a gzip cut short": (
        "csv",
        "csv.gz",
        lambda r: gzip.compress(csv_of(r)),
        lambda r: gzip.compress(csv_of(r))[:-20],
        ("02.csv.gz", "cut short"),
    ),
    "a truncated Parquet": (
        "parquet",
        "parquet",
        parquet_of,
        lambda r: parquet_of(r)[:-300],
        ("02.parquet", "cut short", "footer"),
    ),
    "a damaged Parquet": (
        "parquet",
        "parquet",
        parquet_of,
        lambda r: _hole(parquet_of(r)),
        ("02.parquet", "damaged"),
    ),
    "an encrypted workbook": (
        "excel",
        "xlsx",
        workbook_of,
        lambda r: encrypted(workbook_of(r)),
        ("02.xlsx", "password"),
    ),
    "no header": (
        "csv",
        "csv",
        csv_of,
        lambda r: csv_of(r[1:], r[0]),
        ("02.csv", "none of the 5 columns", "header"),
    ),
    "another delimiter": (
        "csv",
        "csv",
        csv_of,
        lambda r: csv_of(r).replace(b",", b";"),
        ("02.csv", "source.delimiter"),
    ),
    "a column twice": (
        "csv",
        "csv",
        csv_of,
        lambda r: csv_of([(*x, x[1]) for x in r], (*HEADER, "name")),
        ("02.csv", "name", "more than once"),
    ),
    "a quotation mark left open": (
        "csv",
        "csv",
        csv_of,
        lambda r: csv_of([('"' + r[0][0], *r[0][1:]), *r[1:]]),
        ("02.csv",),
    ),
    "bytes of no text": ("csv", "csv", csv_of, lambda r: bytes(range(256)) * 40, ("02.csv",)),
    "JSON cut short": ("json", "json", json_of, lambda r: json_of(r)[:-30], ("02.json", "not JSON at line")),
    "JSON of another form": (
        "json",
        "json",
        json_of,
        lambda r: json.dumps({r[0][1]: r}).encode(),
        ("02.json", "a list of records"),
    ),
    "JSON without its keys": (
        "json",
        "json",
        json_of,
        lambda r: json.dumps([dict.fromkeys(x, 1) for x in r]).encode(),
        ("02.json", "none of the"),
    ),
    "no zip": ("csv", "zip", lambda r: zip_of(csv_of(r)), csv_of, ("02.zip", "not a zip archive")),
    "an empty zip": (
        "csv",
        "zip",
        lambda r: zip_of(csv_of(r)),
        lambda _: b"PK\5\6" + b"\0" * 18,
        ("02.zip", "empty"),
    ),
    "a workbook without its header": (
        "excel",
        "xlsx",
        workbook_of,
        lambda r: workbook_of(r[1:], r[0]),
        ("02.xlsx", "none of the 5 columns"),
    ),
    "HTML by another name": (
        "excel",
        "xlsx",
        workbook_of,
        lambda _: b"<html><body>login</body></html>",
        ("02.xlsx",),
    ),
}


def _hole(data: bytes) -> bytes:
    """A file whose first pages were overwritten, its footer whole."""
    return data[:8] + b"\0" * 200 + data[208:]


@pytest.mark.parametrize("fault", STOPS)
def test_the_batch_stops(found: Found, fault: str) -> None:
    form, suffix, well, badly, words = STOPS[fault]
    more = {"encoding": "utf-8"} if form == "csv" else {}
    town = found(path_source(form, suffix, **more))
    town.leave("01", well(rows(1)), suffix)
    town.good(1)
    data = town.leave("02", badly(rows(2)), suffix)
    town.refused(2, SourceError, *words)
    town.keeps(2, data)
    town.leave("03", well(rows(3)), suffix)
    town.good(3)
    town.leave("02", well(rows(2)), suffix)
    town.good(2)


def test_a_header_without_rows(found: Found) -> None:
    town = found()
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    data = town.leave("02", csv_of([]))
    town.refused(2, CheckFailed, "expect_table_row_count_to_be_between", "expected: ", "it is 0")
    town.keeps(2, data)
    town.leave("03", csv_of(rows(3)))
    town.good(3)


def test_a_failed_check_that_stops(found: Found) -> None:
    """The message names rows by file and number, and none of their values."""
    town = found()
    path = town.catalogue / "police" / "person.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("on_fail: quarantine", "on_fail: stop"), encoding="utf-8"
    )
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    data = town.leave("02", csv_of(cell(2, f"{CANARY}话")(rows(2))))
    words = (
        "1 of 20 rows failed",
        "02.csv row 6",
        "field phone",
        "expect_column_values_to_match_regex",
        "expected: ",
    )
    town.refused(2, CheckFailed, *words)
    town.keeps(2, data)
    assert not town.aside(2)
    town.leave("03", csv_of(rows(3)))
    town.good(3)
