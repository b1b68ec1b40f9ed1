"""The folder: what is withdrawn goes first, what did not change stays, and a killed build is gone on with."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import boto3
import pytest

from lake import store
from portal import Built, Original, build
from portal.writing import MARKER, SUMS
from schemas.errors import LakeError, SettingsError
from tests.portal.making import original
from tests.s3 import S3
from tests.waiting import ran

KILLED = """
import os, signal, sys
from pathlib import Path
import portal.writing as writing
from lake import store
from tests.portal.making import original

folder, lake, after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
steps = 0
def counted(function):
    def step(*arguments, **named):
        global steps
        if steps == after:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return function(*arguments, **named)
    return step

store._rename, store.remove_file = counted(store._rename), counted(store.remove_file)
texts = {"index.html": b"new first page", "about.html": b"about", "data/b.html": b"b"}
writing.build(str(folder), {"data/b.csv": original(lake, "b.csv", b"1,2\\n")}, texts.items)
"""
OLD_TEXTS = {"data/a.html": b"a", "about.html": b"about", "index.html": b"first page"}
NEW_TEXTS = {"index.html": b"new first page", "about.html": b"about", "data/b.html": b"b"}


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the marker, unfinished ones too."""
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return {name: data for name, data in found.items() if name != MARKER}


def built(folder: Path, originals: Mapping[str, Original], texts: Mapping[str, bytes]) -> Built:
    return build(str(folder), originals, texts.items)


def old(folder: Path, lake: Path) -> Built:
    return built(folder, {"data/a.csv": original(lake, "a.csv", b"a\n")}, OLD_TEXTS)


def new(folder: Path, lake: Path) -> Built:
    return built(folder, {"data/b.csv": original(lake, "b.csv", b"1,2\n")}, NEW_TEXTS)


def test_what_is_new_goes_in_and_what_is_withdrawn_goes_out(tmp_path: Path) -> None:
    folder, lake = tmp_path / "site", tmp_path / "lake"
    assert old(folder, lake) == Built(copied=1, written=3, removed=0, unchanged=0)
    assert old(folder, lake) == Built(copied=0, written=0, removed=0, unchanged=4)
    assert new(folder, lake) == Built(copied=1, written=2, removed=2, unchanged=1)
    assert files(folder).keys() == {*NEW_TEXTS, "data/b.csv", SUMS}
    ran(["sha256sum", "-c", "--strict", "--quiet", SUMS], cwd=folder, check=True)
    built(folder, {}, {"index.html": b"empty"})
    assert sorted(each.name for each in folder.iterdir()) == [MARKER, SUMS, "index.html"], (
        "no empty folder stays"
    )


def test_what_was_removed_by_others_comes_again(tmp_path: Path) -> None:
    folder, lake = tmp_path / "site", tmp_path / "lake"
    old(folder, lake)
    (folder / "data/a.csv").unlink()
    assert old(folder, lake) == Built(copied=1, written=0, removed=0, unchanged=3)
    assert (folder / "data/a.csv").read_bytes() == b"a\n"


def test_a_web_server_may_read_all_of_it_and_change_none(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        old(tmp_path / "site", tmp_path / "lake")
    finally:
        os.umask(before)
    for each in (tmp_path / "site").rglob("*"):
        assert each.stat().st_mode & 0o777 == (0o755 if each.is_dir() else 0o644), each
    assert (tmp_path / "site").stat().st_mode & 0o777 == 0o755


def test_withdrawn_files_are_gone_before_anything_is_written(tmp_path: Path) -> None:
    folder, lake = tmp_path / "site", tmp_path / "lake"
    old(folder, lake)
    gone = Original(str(lake / "gone.csv"), 1, "0" * 64)
    with pytest.raises(LakeError, match="has gone"):
        built(folder, {"data/b.csv": gone}, {"index.html": b"new"})
    assert not (folder / "data/a.csv").exists() and not (folder / "data/a.html").exists()
    assert files(folder)["index.html"] == b"first page"


def test_a_damaged_download_is_not_taken(tmp_path: Path) -> None:
    folder, lake = tmp_path / "site", tmp_path / "lake"
    right = original(lake, "a.csv", b"right")
    Path(right.uri).write_bytes(b"wrong")
    with pytest.raises(LakeError, match="is not what its index says") as caught:
        built(folder, {"data/a.csv": right}, {"index.html": b"page"})
    assert "xuanwu verify" in str(caught.value)
    assert set(files(folder)) == {SUMS}


def test_the_sums_never_name_a_file_that_is_not_so(tmp_path: Path) -> None:
    """A page that was written before a build failed, and is wanted as it was before it: it is written again."""
    folder, lake = tmp_path / "site", tmp_path / "lake"
    old(folder, lake)

    def failing() -> Iterable[tuple[str, bytes]]:
        yield "index.html", b"in between"
        if rounds:
            raise KeyboardInterrupt
        rounds.append(1)
        yield "about.html", b"about"

    rounds: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        build(str(folder), {}, failing)
    assert (folder / "index.html").read_bytes() == b"in between"
    old(folder, lake)
    assert (folder / "index.html").read_bytes() == b"first page"


def test_somebody_else_s_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"mine")
    with pytest.raises(SettingsError, match="is no site of ours"):
        built(tmp_path, {}, {"index.html": b"page", "about.html": b"about"})
    assert files(tmp_path) == {"index.html": b"mine"}


def test_what_others_put_beside_it_stays(tmp_path: Path) -> None:
    old(tmp_path / "site", tmp_path / "lake")
    (tmp_path / "site/data/robots.txt").write_bytes(b"mine")
    new(tmp_path / "site", tmp_path / "lake")
    assert (tmp_path / "site/data/robots.txt").read_bytes() == b"mine"


def test_two_builds_at_once(tmp_path: Path) -> None:
    old(tmp_path / "site", tmp_path / "lake")
    handle = os.open(tmp_path / "site", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(LakeError, match="another process is building this site"):
        new(tmp_path / "site", tmp_path / "lake")
    os.close(handle)
    assert new(tmp_path / "site", tmp_path / "lake").removed == 2


@pytest.mark.parametrize("after", range(9))
def test_killed_anywhere_the_next_build_ends_the_same(tmp_path: Path, after: int) -> None:
    folder, lake = tmp_path / "site", tmp_path / "lake"
    old(folder, lake)
    command = [sys.executable, "-c", KILLED, str(folder), str(lake), str(after)]
    assert ran(command, check=False).returncode == -signal.SIGKILL
    left = files(folder)
    if after > 3:
        assert "data/a.csv" not in left, "what was withdrawn went before"
    for line in left[SUMS].decode().splitlines():
        assert store.sha256_of(str(folder / line[66:])) == line[:64], "the sums tell the truth at any moment"
    new(folder, lake)
    clean = tmp_path / "clean"
    new(clean, lake)
    assert files(folder) == files(clean), "nothing half-written stays"


def test_after_the_last_step_there_is_nobody_to_kill(tmp_path: Path) -> None:
    """The steps of the test above are all there are."""
    old(tmp_path / "site", tmp_path / "lake")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "site"), str(tmp_path / "lake"), "9"]
    ran(command, check=True)


def test_on_s3(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    folder = f"{s3.bucket('public')}/site"
    first = {"data/a.csv": original(tmp_path / "lake", "a.csv", b"a\n")}
    assert build(folder, first, OLD_TEXTS.items) == Built(1, 3, 0, 0)
    assert build(folder, first, OLD_TEXTS.items) == Built(0, 0, 0, 4)
    second = {"data/b.csv": original(tmp_path / "lake", "b.csv", b"1,2\n")}
    assert build(folder, second, NEW_TEXTS.items) == Built(1, 2, 2, 1)
    names = {uri.removeprefix(f"{folder}/") for uri in store.list_files(folder)}
    assert names == {*NEW_TEXTS, "data/b.csv", SUMS}


def test_s3_tells_browsers_what_a_file_is(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it tells them of bytes, which a browser saves instead of showing them."""
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    folder = f"{s3.bucket('told')}/site"
    data = {f"data/a.{kind}": original(tmp_path / "lake", f"a.{kind}", b"a") for kind in ("parquet", "jsonl")}
    build(folder, data, {"catalog.jsonld": b"{}", "updates.atom": b"<feed/>", "index.html": b"page"}.items)
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=s3.variables["AWS_ENDPOINT_URL"])
    told = {
        name: client.head_object(Bucket="told", Key=f"site/{name}")["ContentType"]
        for name in ("data/a.parquet", "data/a.jsonl", "catalog.jsonld", "updates.atom", "index.html", SUMS)
    }
    assert told == {
        "data/a.parquet": "application/vnd.apache.parquet",
        "data/a.jsonl": "application/x-ndjson",
        "catalog.jsonld": "application/ld+json",
        "updates.atom": "application/atom+xml",
        "index.html": "text/html; charset=utf-8",
        SUMS: "text/plain; charset=utf-8",
    }
