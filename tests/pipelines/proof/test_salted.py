"""Whoever holds proofs alone can try nothing against them: no digest in them is one that can be made from a guess.

One row lands, and one is set aside: with all of it known but a name, its plain digests would tell the name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.certificates import Certificate, decode
from lake.records import REJECTS
from lake.verify import Copy, verify
from pipelines import check
from pipelines.console.verifying import told
from pipelines.stages import run_stage
from tests.conftest import NOW
from tests.pipelines.badinput.town import KEY, Town, batch_of, csv_of, path_source

GOOD = ("P1", "甲乙丙", "13900100001", "30", "玄武区")
BAD = ("P2", "甲乙丁", "none", "30", "玄武区")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        town = made(tmp_path_factory.mktemp("town"))
        yield town


@pytest.fixture
def copy(town: Town, tmp_path: Path) -> Path:
    shutil.copytree(town.settings.lake_root, tmp_path / "copy")
    return tmp_path / "copy"


def made(root: Path) -> Town:
    """Day 1 with a good and a bad row, day 2 with a good one."""
    town = Town(root, path_source("csv", "csv", encoding="utf-8"))
    for day, rows in ((1, [GOOD, BAD]), (2, [("P3", *GOOD[1:])])):
        town.leave(f"0{day}", csv_of(rows))
        town.run(day)
    return town


def wrong(lake: str | Path) -> list[str]:
    return [str(finding) for finding in verify(Copy(str(lake)))]


def one(lake: str | Path, pattern: str) -> Path:
    (path,) = Path(lake).glob(pattern)
    return path


def plain(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def certificates(lake: str | Path) -> list[Certificate]:
    return [decode(path.read_bytes(), None) for path in Path(lake).glob("proof/certificates/**/*.json")]


def test_no_plain_digest_of_what_landed_is_in_any_proof(town: Town) -> None:
    lake = Path(town.settings.lake_root)
    proofs = "".join(path.read_text() for path in (lake / "proof").rglob("*.json*"))
    landed = [*lake.glob("landing/*/*/*/files/*"), *lake.glob("standard/**/*.parquet")]
    assert len(landed) >= 4
    assert [
        path.name for path in (*landed, one(lake, f"verdicts/*/*/*/{REJECTS}")) if plain(path) in proofs
    ] == []
    assert wrong(lake) == []


def test_a_certificate_s_digest_is_keyed_with_the_salt_of_the_manifest(town: Town) -> None:
    lake = Path(town.settings.lake_root)
    manifests = [json.loads(path.read_bytes()) for path in lake.glob("landing/*/*/*/manifest.json")]
    files = [file for each in manifests for file in each["files"]]
    salts = [bytes.fromhex(file["salt"]) for file in files]
    assert len(set(salts)) == len(files) == 2 and {len(salt) for salt in salts} == {32}
    wanted = {
        hmac.new(salt, bytes.fromhex(file["sha256"]), "sha256").hexdigest()
        for salt, file in zip(salts, files, strict=True)
    }
    found = {file.salted for each in certificates(lake) for batch in each.batches for file in batch.landed}
    assert found == wanted
    assert not any(salt.hex() in path.read_text() for salt in salts for path in lake.glob("proof/**/*.json*"))


def test_what_a_verdict_says_cannot_be_tried_against_its_digest(town: Town) -> None:
    """The salt is not a value that a guess can have: without the signing key it is any of 2 ** 256."""
    (path,) = {p.parent for p in Path(town.settings.lake_root).glob(f"verdicts/*/*/*/{REJECTS}")}
    verdict = json.loads((path / "verdict.json").read_bytes())
    assert len(bytes.fromhex(verdict["salt"])) == 32
    assert verdict["rejects"] == {"sha256": plain(path / REJECTS), "size": (path / REJECTS).stat().st_size}


def test_files_of_the_same_rows_have_other_digests(town: Town, tmp_path: Path) -> None:
    """Those of inner tables are in attestations, and those of shared ones in certificates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        again = made(tmp_path)
    for zone in ("curated", "quarantine", "share", "open"):
        ours, theirs = (
            list(Path(each.settings.lake_root).glob(f"{zone}/**/*.parquet")) for each in (town, again)
        )
        assert ours and len(ours) == len(theirs)
        if zone == "open":
            assert sorted(map(plain, ours)) == sorted(map(plain, theirs)), (
                "the same rows are the same download"
            )
        else:
            assert {*map(plain, ours)}.isdisjoint(map(plain, theirs)), zone


# ── the rows set aside ────────────────────────────────────────────────────────────────────────────────────


def other_rows(path: Path) -> None:
    """Another row is said to have failed."""
    pq.write_table(pa.table({"_seq": pa.array([0], pa.int64())}), path)


@pytest.mark.parametrize(
    ("change", "words"),
    [(other_rows, "it was changed"), (Path.unlink, "the file is missing")],
)
def test_the_rows_set_aside_are_those_of_the_verdict(
    copy: Path, change: Callable[[Path], None], words: str
) -> None:
    path = one(copy, f"verdicts/*/*/*/{REJECTS}")
    change(path)
    found = [each for each in wrong(copy) if path.relative_to(copy).as_posix() in each]
    assert found and all(words in each for each in found)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"{}")])
def test_without_its_verdict_nobody_can_tell_which_rows_were_set_aside(
    copy: Path, change: Callable[[Path], object]
) -> None:
    path = one(copy, f"verdicts/*/*/*/{REJECTS}")
    change(path.with_name("verdict.json"))
    assert any(f"{path.relative_to(copy).as_posix()}: what it must be" in each for each in wrong(copy))


def test_rows_set_aside_that_no_verdict_names(copy: Path) -> None:
    (folder,) = {
        p.parent for p in copy.glob("verdicts/*/*/*/verdict.json") if not (p.parent / REJECTS).exists()
    }
    other_rows(folder / REJECTS)
    assert any(f"{REJECTS}: the verdict says that no rows were set aside" in each for each in wrong(copy))


def test_the_same_check_may_run_again(town: Town, tmp_path: Path) -> None:
    """Another hour is another verdict: the log has it, and the rows set aside are those that it says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        own = made(tmp_path)
        verdict = one(own.settings.lake_root, f"verdicts/*/*/*/{REJECTS}").with_name("verdict.json")
        before = verdict.read_bytes()
        run_stage(replace(own.ctx, clock=lambda: NOW + timedelta(hours=1)), "check", batch_of(1))
        assert verdict.read_bytes() != before
        assert wrong(own.settings.lake_root) == []


# ── what was proved before there was a salt ───────────────────────────────────────────────────────────────


def test_proofs_from_before_there_was_a_salt_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their manifests, certificates and verdicts have the form from before, and the days after them have salts."""

    def unsalted(*args: Any) -> Any:
        return given(*args).model_copy(update={"salt": "", "rejects": None})

    monkeypatch.setenv("XUANWU_KEY_1", KEY)
    given = check._verdict
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_hex", lambda _: "")
        patch.setattr(check, "_verdict", unsalted)
        town = made(tmp_path)
    lake = town.settings.lake_root
    assert not any("salt" in path.read_text() for path in Path(lake).glob("landing/**/manifest.json"))
    assert all(
        sorted(file.model_dump()) == ["rows", "sha256", "size"]
        for each in certificates(lake)
        for batch in each.batches
        for file in batch.landed
    )
    assert wrong(lake) == []
    town.leave("03", csv_of([("P4", *GOOD[1:])]))
    town.run(3)
    assert wrong(lake) == []
    one(lake, "landing/*/*/20260302*/files/*").chmod(0o600)
    one(lake, "landing/*/*/20260302*/files/*").write_bytes(csv_of([("P1", "甲乙丁", *GOOD[2:])]))
    assert any("it was changed" in each for each in wrong(lake))


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_finding_does_not_tell_whom_a_file_is_called_after(copy: Path) -> None:
    folder = one(copy, "landing/*/*/20260302*/files")
    (folder / "00002-13987651234.csv").write_bytes(b"")
    finding, *_ = verify(Copy(str(copy)))
    assert finding.place.endswith("files/00002-13987651234.csv")
    assert told(finding).place.endswith("files/00002-[手机号].csv") and told(finding).what == finding.what
    certificate = replace(
        finding, place="proof/certificates/share/police__person__default/4622184939107431.json"
    )
    assert told(certificate) == certificate
