"""As files on a disk and on a real S3 server: complete once the manifest is there, each snapshot once, old ones removed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from exchange.errors import Forbidden
from pipelines.delivering.files import leave
from pipelines.sources.places import place
from schemas.errors import DeliveryError, DeliveryUnfit
from tests.pipelines.delivering.conftest import order
from tests.s3 import S3

ROWS = [("A1", "王小明", 10), ("A2", None, -5), ("A3", '=1+1\n"x"', None), ("A4", "", 2**53 + 1)]
PROOF = b'{"certificate": true}'


@pytest.fixture(params=["disk", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a recipient's folder, or of a bucket of its own."""
    if request.param == "disk":
        (tmp_path / "inbox").mkdir()
        return f"file://{tmp_path / 'inbox'}"
    server: S3 = request.getfixturevalue("s3")
    name = f"inbox-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    server.bucket(name)
    return server.connection(name, "deliveries")


def read(url: str, name: str) -> bytes:
    where = place(url)
    with where.system.open_input_stream(f"{where.root}/{name}", compression=None) as stream:
        return bytes(stream.read())


def folders(url: str) -> list[str]:
    from pyarrow import fs

    where = place(url)
    found = where.system.get_file_info(fs.FileSelector(f"{where.root}/visits", allow_not_found=True))
    return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_files_with_a_manifest_that_proves_them(url: str, form: str) -> None:
    counts, digest = leave(url, order(ROWS), form, 3, PROOF)
    assert (counts.rows, counts.sent, counts.found) == (4, 4, 4)
    text = read(url, "visits/1/manifest.json")
    assert hashlib.sha256(text).hexdigest() == digest
    said = json.loads(text)
    assert (said["rows"], said["snapshot"], said["delivery"]) == (4, "1", "health.visit default 1")
    for each in said["files"]:
        data = read(url, f"visits/1/{each['name']}")
        assert (len(data), hashlib.sha256(data).hexdigest()) == (each["bytes"], each["sha256"])
    assert read(url, "visits/1/certificate.json") == PROOF
    where = place(url)
    path = f"{where.root}/visits/1/data.{form}"
    if form == "parquet":
        found = pq.read_table(where.system.open_input_file(path)).to_pylist()
        assert [tuple(row.values()) for row in found] == ROWS
    else:
        parsing = pacsv.ParseOptions(newlines_in_values=True)
        table = pacsv.read_csv(where.system.open_input_stream(path, compression=None), parse_options=parsing)
        assert table.num_rows == 4
        assert table["name"].to_pylist()[2].startswith("'=1+1")


def test_a_snapshot_is_delivered_once_and_old_ones_go(url: str) -> None:
    for snapshot in (1, 2, 3):
        leave(url, order(ROWS[:snapshot], snapshot), "parquet", 2, PROOF)
    assert folders(url) == ["2", "3"]
    again, _ = leave(url, order(ROWS[:3], 3), "parquet", 2, PROOF)
    assert (again.sent, again.found) == (0, 3)


def test_who_is_killed_before_the_manifest_has_delivered_nothing(url: str) -> None:
    def ended() -> None:
        raise Forbidden("ended")

    with pytest.raises(Forbidden):
        leave(url, order(ROWS, still=ended), "parquet", 3, PROOF)
    with pytest.raises(FileNotFoundError):
        read(url, "visits/1/manifest.json")
    assert leave(url, order(ROWS), "parquet", 3, PROOF)[0].found == 4


def test_another_deliverys_folder_is_left_alone(url: str) -> None:
    leave(url, order(ROWS), "parquet", 3, PROOF)
    for snapshot in (1, 2):
        with pytest.raises(DeliveryUnfit, match="another delivery's files"):
            leave(url, order(ROWS, snapshot, name="other default 2"), "parquet", 1, PROOF)
    assert folders(url) == ["1"]


def test_a_file_that_was_changed_is_told(url: str) -> None:
    leave(url, order(ROWS), "parquet", 3, PROOF)
    where = place(url)
    with where.system.open_output_stream(f"{where.root}/visits/1/certificate.json", compression=None) as out:
        out.write(b"{}")
    with pytest.raises(DeliveryUnfit, match=r"certificate\.json is not what was delivered"):
        leave(url, order(ROWS), "parquet", 3, PROOF)


def test_wrong_keys_of_a_bucket(s3: S3) -> None:
    s3.bucket("locked")
    url = s3.connection("locked").replace("xuanwutestsecret", "wrongsecretKNRY")
    with pytest.raises(DeliveryError, match="user or password was refused") as error:
        leave(url, order(ROWS), "parquet", 3, PROOF)
    assert "wrongsecretKNRY" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "folder is not there"),
        (lambda root: (root.mkdir(), (root / "visits").symlink_to(root.parent)), "symbolic link"),
    ],
)
def test_a_folder_that_is_not_there_or_leads_out(
    tmp_path: Path, make: Callable[[Path], Any], said: str
) -> None:
    make(tmp_path / "inbox")
    with pytest.raises(DeliveryUnfit, match=said):
        leave(str(tmp_path / "inbox"), order(ROWS), "parquet", 3, PROOF)


def test_files_are_as_open_as_the_folder(tmp_path: Path) -> None:
    """Everything else that this process writes is for its owner alone."""
    root = tmp_path / "inbox"
    root.mkdir()
    root.chmod(0o750)
    before = os.umask(0o077)
    try:
        leave(str(root), order(ROWS), "parquet", 3, PROOF)
    finally:
        os.umask(before)
    assert (root / "visits/1").stat().st_mode & 0o777 == 0o750
    assert (root / "visits/1/data.parquet").stat().st_mode & 0o777 == 0o640


def test_rows_that_do_not_come_are_counted(tmp_path: Path) -> None:
    """The receipt is of what lies there, not of what was meant."""
    counts, _ = leave(str(tmp_path), replace(order(ROWS), rows=5), "csv", 3, PROOF)
    assert (counts.rows, counts.found) == (5, 4)
