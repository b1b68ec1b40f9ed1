"""Bad input, the whole way: one message that a person can act on, nothing lost, nothing leaked, and the next good batch
works. Each test plants values of grade 3 (`CANARY`) and none of them may be said or written down anywhere."""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import subprocess
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msoffcrypto.format.ooxml
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from lake.records import Checked, Landed, Published, Standardised
from schemas.errors import CatalogueError, CheckFailed, LakeError, MaskError, SourceError, XuanwuError
from tests.pipelines.sources.collecting import Proxy
from tests.pipelines.sources.conftest import Department, postgresql  # noqa: F401
from tests.pipelines.sources.test_http import Server, reply, server  # noqa: F401
from tests.pipelines.town import CANARY, GOOD_ROWS, HEADER, KEY, Town, csv_of, rows

Found = Callable[..., Town]


def path_source(form: str, suffix: str, **more: str) -> str:
    extra = "".join(f", {name}: {value}" for name, value in more.items())
    return f"{{kind: file, connection: police, path: '{{day}}.{suffix}', format: {form}{extra}}}"


@pytest.fixture
def found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Found]:
    """Founds a town; when the test is over nothing that was said or written may hold a planted value."""
    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    caplog.set_level(logging.DEBUG)
    towns: list[Town] = []

    def make(source: str = path_source("csv", "csv", encoding="utf-8"), **more: Any) -> Town:
        towns.append(Town(tmp_path, source, **more))
        return towns[-1]

    yield make
    printed = capfd.readouterr()
    for town in towns:
        assert (leak := _leak(town, caplog.text, printed.out, printed.err)) is None, leak


def _leak(town: Town, *said: str) -> str | None:
    """The text in front of the first planted value that was said or written down."""
    everywhere = "\n".join([*town.said, town.written(), *said])
    before, found, _ = everywhere.partition(CANARY)
    return f"…{before[-300:]}" if found else None


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
    assert _leak(town) is not None
    record.write_text("{}")


def parquet_of(data: list[tuple[str, ...]]) -> bytes:
    sink = io.BytesIO()
    table = pa.table([list(column) for column in zip(*data, strict=True)], names=list(HEADER))
    pq.write_table(table, sink, row_group_size=5)
    return sink.getvalue()


def json_of(data: list[tuple[str, ...]]) -> bytes:
    return json.dumps([dict(zip(HEADER, row, strict=True)) for row in data], ensure_ascii=False).encode()


def workbook_of(data: list[tuple[str, ...]], header: tuple[str, ...] = HEADER) -> bytes:
    book, sink = Workbook(), io.BytesIO()
    for row in (header, *data):
        book.active.append(row)
    book.save(sink)
    return sink.getvalue()


def zip_of(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("persons.csv", data)
    return sink.getvalue()


def encrypted(data: bytes) -> bytes:
    sink = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(data)).encrypt("secret", sink)
    return sink.getvalue()


# ── the batch stops ───────────────────────────────────────────────────────────────────────────────────────

STOPS: dict[
    str,
    tuple[
        str,
        str,
        Callable[[list[tuple[str, ...]]], bytes],
        Callable[[list[tuple[str, ...]]], bytes],
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
    data = town.leave("02", csv_of(_cell(2, f"{CANARY}话")(rows(2))))
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


# ── rows are set aside ────────────────────────────────────────────────────────────────────────────────────


def _ragged(data: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [*data[:3], data[3][:4], (*data[4], f"{CANARY}more"), *data[5:]]


def _cell(at: int, value: str) -> Callable[[list[tuple[str, ...]]], list[tuple[str, ...]]]:
    """The fifth row with another value in a column."""
    return lambda data: [*data[:4], (*data[4][:at], value, *data[4][at + 1 :]), *data[5:]]


ASIDE: dict[
    str, tuple[Callable[[list[tuple[str, ...]]], list[tuple[str, ...]]], set[tuple[str, int, str, str]]]
] = {
    "ragged rows": (_ragged, {("standardise", 5, "", "malformed"), ("standardise", 6, "", "malformed")}),
    "a cell of 10 MB": (_cell(1, CANARY + "长" * 3_500_000), {("standardise", 6, "", "malformed")}),
    "a NUL byte": (_cell(1, f"{CANARY}\0名"), {("standardise", 6, "", "malformed")}),
    "no number": (_cell(3, f"{CANARY}岁"), {("standardise", 6, "age", "integer")}),
    "a failed check": (
        _cell(2, f"{CANARY}话"),
        {("check", 6, "phone", "expect_column_values_to_match_regex")},
    ),
    "no key": (_cell(0, ""), {("check", 6, "no", "expect_column_values_to_not_be_null")}),
}


@pytest.mark.parametrize("fault", ASIDE)
def test_rows_are_set_aside(found: Found, fault: str) -> None:
    spoil, expected = ASIDE[fault]
    town = found()
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    data = town.leave("02", csv_of(spoil(rows(2))))
    landed, standardised, checked, merged, *_ = town.run(2)
    assert (
        isinstance(landed, Landed) and isinstance(standardised, Standardised) and isinstance(checked, Checked)
    )
    assert landed.rows == GOOD_ROWS
    assert set(town.aside(2)) == expected
    assert standardised.quarantined + checked.quarantined == len(expected)
    assert merged.rows_in == GOOD_ROWS - len(expected)  # type: ignore[attr-defined]
    town.keeps(2, data)
    assert not [each for each in town.ctx.ledger.sums() if not each.sum.holds]
    town.leave("03", csv_of(rows(3)))
    town.good(3)


def test_a_new_column_is_noted_and_not_taken(found: Found) -> None:
    town = found()
    town.leave("01", csv_of([(*row, f"{CANARY}new") for row in rows(1)], (*HEADER, "photo")))
    town.good(1)
    landed = town.run(1)[0]
    assert isinstance(landed, Landed)
    assert any("photo" in note for note in landed.notes)
    for zone, name in (
        ("curated", "police__person"),
        ("share", "police__person__default"),
        ("open", "police__person"),
    ):
        assert "photo" not in town.ctx.tables.schema((zone, name)).names  # type: ignore[arg-type]
    town.leave("02", csv_of(rows(2)))
    town.good(2)


# ── sources that fail while they are read ─────────────────────────────────────────────────────────────────


def test_a_database_dies_in_the_middle(found: Found, postgresql: Department) -> None:  # noqa: F811
    source = "{kind: database, connection: police, table: person, cursor: no}"
    town = found(source, urls={"police": postgresql.url})
    postgresql.run("CREATE TABLE person (no text, name text, phone text, age text, district text)")
    _insert(postgresql, rows(1))
    town.good(1)
    _insert(postgresql, rows(2, 40_000))
    proxy = Proxy(5432, 200_000)
    town.urls["police"] = postgresql.url.replace(":5432", f":{proxy.port}")
    try:
        town.refused(2, SourceError, "person")
    finally:
        proxy.close()
        town.urls["police"] = postgresql.url
    postgresql.run(f"DELETE FROM person WHERE no >= 'P2{GOOD_ROWS:05}'", "DELETE FROM person WHERE no < 'P2'")
    town.good(2)


def _insert(department: Department, data: list[tuple[str, ...]]) -> None:
    values = ", ".join("(" + ", ".join(f"'{cell}'" for cell in row) + ")" for row in data)
    department.run(f"INSERT INTO person VALUES {values}")


HTTP = "{kind: http, connection: police, path: persons, total: total, retries: 0, params: {day: '{day}'}, paging: {kind: page, page_size: 10}}"


def _pages(day: int) -> list[dict[str, Any]]:
    data = [dict(zip(HEADER, row, strict=True)) for row in rows(day)]
    return [{"total": GOOD_ROWS, "data": data[:10]}, {"total": GOOD_ROWS, "data": data[10:]}]


DEATHS: dict[str, tuple[Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]], tuple[str, ...]]] = {
    "a page of HTML": (
        lambda _: (200, {"content-type": "text/html"}, f"<html>{CANARY} 登录</html>".encode()),
        ("persons", "JSON"),
    ),
    "HTML that says it is JSON": (
        lambda _: (200, {"content-type": "application/json"}, f"<html>{CANARY} 登录</html>".encode()),
        ("persons", "JSON"),
    ),
    "the connection is cut": (
        lambda page: (
            200,
            {"content-type": "application/json", "content-length": "99999"},
            reply(page)[2][:300],
        ),
        ("persons",),
    ),
    "a server's error": (lambda _: (500, {}, f"{CANARY}".encode()), ("persons", "500")),
    "fewer rows than it counts": (lambda page: reply({"total": 20, "data": page["data"][:4]}), ("persons",)),
}


@pytest.mark.parametrize("fault", DEATHS)
def test_an_api_fails_on_its_second_page(found: Found, server: Server, fault: str) -> None:  # noqa: F811
    fail, words = DEATHS[fault]
    bad = {"day": ""}

    def answer(_: str, query: dict[str, str], __: dict[str, str]) -> Any:
        number = int(query["page"])
        if number > 2:
            return reply({"total": GOOD_ROWS, "data": []})
        page = _pages(int(query["day"]))[number - 1]
        return fail(page) if query["day"] == bad["day"] and number == 2 else reply(page)

    server.answer = answer
    town = found(HTTP, urls={"police": server.url})
    town.good(1)
    bad["day"] = "02"
    town.refused(2, SourceError, *words)
    town.good(3)
    bad["day"] = ""
    town.good(2)


# ── our own side fails ────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_masking_key(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    town = found()
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    data = town.leave("02", csv_of(rows(2)))
    monkeypatch.delenv("XUANWU_KEY_1")
    published = {name: value for name, value in town.state().items() if not name.startswith("curated")}
    with pytest.raises(MaskError, match="no masking key of version 1") as caught:
        town.run(2)
    assert "XUANWU_KEY_1" in (caught.value.next_step or "")
    assert caught.value.place["dataset"] == "police.person"
    town.keeps(2, data)
    assert {
        name: value for name, value in town.state().items() if not name.startswith("curated")
    } == published
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


# Bytes left, in KiB: with little the landing fails, with ever more the stages after it, up to the downloads.
LEFT = (0, 4, 8, 12, 16, 24, 40, 48, 56, 64, 72, 80)


@pytest.mark.parametrize("full", ["home", "lake"])
def test_a_full_disk(found: Found, small_disk: Path, full: str) -> None:
    """However much is left: the batch stops with a message of ours, and works once there is space."""
    town = found(**{full: small_disk / full})
    town.leave("01", csv_of(rows(1)))
    town.good(1)
    town.leave("02", csv_of(_ragged(rows(2))))
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
        assert "disk" in text and "police.person" in text and "next: " in text, text
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


# ── the real command line ─────────────────────────────────────────────────────────────────────────────────


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
