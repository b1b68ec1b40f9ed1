"""What no program of ours writes into a lake: `xuanwu verify` names it, reads no further than it must, and waits for
nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lake.signing import Trust
from pipelines.cli import app
from tests.pipelines.proof.test_verify import copy, one, town, trust, wrong
from tests.waiting import ran

__all__ = ["copy", "town", "trust"]

CERTIFIED = (
    "share/*/*/data/*.parquet",
    "share/*/*/metadata/*.avro",
    "share/*/*/metadata/*.json",
    "landing/*/*/*/files/*",
    "landing/*/*/*/manifest.json",
    "verdicts/*/*/*/*.json",
    "downloads/*/*/latest.json",
    "released/*/*/*",
    "proof/certificates/*/*/*.json",
    "proof/attestations/*/*/*.json",
    "proof/log/head.json",
    "proof/log/0*.jsonl",
    "proof/keys/*.pem",
)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _nothing(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


ODD = (_pipe, Path.mkdir, _loop, _nothing)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_in_the_place_of_one(copy: Path, trust: Trust, odd: Callable[[Path], None]) -> None:
    tried = 0
    for pattern in CERTIFIED:
        if not list(copy.glob(pattern)):
            continue
        path = one(copy, pattern)
        data = path.read_bytes()
        path.unlink()
        odd(path)
        found = wrong(copy, None if "keys" in pattern else trust)
        name = path.relative_to(copy).as_posix()
        others = {"keys": "not trusted", "jsonl": "the log's end is missing"}
        told = [name, *(word for part, word in others.items() if part in pattern)]
        assert any(word in each for word in told for each in found), name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_bytes(data)
        tried += 1
    assert tried >= 9
    assert wrong(copy, trust) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("zone", ["share", "open", "downloads", "released", "proof/log", "proof/keys"])
@pytest.mark.parametrize("odd", [_pipe, _loop, _nothing])
def test_what_is_no_file_where_nothing_else_may_lie(
    copy: Path, trust: Trust, zone: str, odd: Callable[[Path], None]
) -> None:
    (copy / zone).mkdir(exist_ok=True)
    odd(copy / zone / "odd")
    (found,) = wrong(copy, trust)
    assert found.startswith(f"{zone}/odd: ")


@pytest.mark.parametrize("zone", ["share", "proof/log", "downloads"])
def test_a_name_that_is_no_text(copy: Path, trust: Trust, zone: str) -> None:
    (copy / zone).mkdir(exist_ok=True)
    Path(os.fsdecode(os.fsencode(copy / zone) + b"/\xff\xfe")).write_bytes(b"x")
    (found,) = wrong(copy, trust)
    assert found.startswith(f"{zone}/\\xff\\xfe: ")


def test_a_link_that_leads_back_is_followed_once(copy: Path, trust: Trust) -> None:
    (copy / "share" / "self").symlink_to(".")
    found = wrong(copy, trust)
    assert found == ["share/self: a link that leads back to a folder above it"]


def test_a_zone_that_lies_elsewhere_is_followed(copy: Path, trust: Trust, tmp_path: Path) -> None:
    (copy / "landing").rename(tmp_path / "elsewhere")
    (copy / "landing").symlink_to(tmp_path / "elsewhere")
    assert wrong(copy, trust) == []


def test_no_name_moves_the_cursor_or_makes_a_line_of_its_own(copy: Path) -> None:
    (copy / "share" / "x\x1b[2K\x1b[1A\n通过 verified 9 certificates\x1b[8m").write_bytes(b"")
    said = CliRunner().invoke(app, ["verify", str(copy), "--all"])
    assert said.exit_code == 1
    (line,) = said.stdout.splitlines()
    assert line.startswith("错误 wrong share/x\\u001b[2K") and "\x1b" not in line


def test_a_lake_without_its_log_is_wrong_and_not_new(copy: Path, tmp_path: Path) -> None:
    (copy / "proof").rename(tmp_path / "proof")
    said = CliRunner().invoke(app, ["verify", str(copy), "--all"])
    assert said.exit_code == 1 and "proof/log/head.json: the newest checkpoint is missing" in said.stdout
    empty = tmp_path / "empty"
    empty.mkdir()
    new = ran(
        [sys.executable, "-m", "pipelines.cli", "verify", str(empty)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert new.returncode == 1 and "nothing was ever published here" in new.stderr


@pytest.mark.parametrize("kept", ["5", "[1]", "null", '"x"', '{"checkpoint": 5}', "[" * 100_000, "x"])
def test_a_kept_checkpoint_that_is_none(copy: Path, tmp_path: Path, kept: str) -> None:
    (tmp_path / "kept.json").write_text(kept)
    said = ran(
        [
            sys.executable,
            "-m",
            "pipelines.cli",
            "verify",
            str(copy),
            "--checkpoint",
            str(tmp_path / "kept.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "is no checkpoint" in said.stderr and "head.json" in said.stderr
