"""The log only grows, for many writers at once, and stops where it does not fit or cannot be written."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from lake import auditlog, signing
from lake.auditlog import AuditLog
from lake.signing import Signer, Trust, canonical, load_signer, private_key
from lake.verify import Copy, Finding, journal
from schemas.errors import LakeError, SettingsError
from schemas.settings import Settings
from tests.waiting import ran


@pytest.fixture
def log(settings: Settings) -> AuditLog:
    return AuditLog(settings, load_signer(settings, lambda _: ""))


def segment(log: AuditLog) -> Path:
    return Path(log.folder) / "00000000.jsonl"


def read(log: AuditLog) -> tuple[list[Finding], journal.Log]:
    reader = journal.replay(Copy(log.settings.lake_root), log.signer.trust, None)
    found: list[Finding] = []
    while True:
        try:
            found.append(next(reader))
        except StopIteration as end:
            return found, end.value


def test_entries_are_numbered_and_proved(log: AuditLog) -> None:
    assert [log.append({"action": "approve", "n": n}) for n in range(20)] == list(range(20))
    findings, found = read(log)
    assert findings == []
    assert len(found.roots) == 20


def test_a_value_is_told_by_a_digest_of_the_key(log: AuditLog, settings: Settings) -> None:
    value = [["phone", "eq", "13987651234"]]
    assert log.digest(value) == log.digest([("phone", "eq", "13987651234")])
    assert log.digest(value) != log.digest([["phone", "eq", "13987651235"]])
    assert log.digest(value) != hashlib.sha256(canonical(value)).hexdigest()
    other = AuditLog(settings, Signer(Ed25519PrivateKey.generate()))
    assert log.digest(value) != other.digest(value)


def test_a_new_segment_after_the_last_is_full(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (auditlog, journal):
        monkeypatch.setattr(module, "SEGMENT", 4)
    assert [log.append({"n": n}) for n in range(9)] == list(range(9))
    assert sorted(path.name for path in Path(log.folder).iterdir()) == [
        "00000000.jsonl",
        "00000004.jsonl",
        "00000008.jsonl",
        "head.json",
    ]
    assert read(log)[0] == []
    (Path(log.folder) / "00000004.jsonl").unlink()
    assert read(log)[0]


WRITER = """
import sys
from pathlib import Path
from lake.auditlog import AuditLog
from lake.signing import load_signer
from schemas.settings import Settings
settings = Settings(home=Path(sys.argv[1]))
log = AuditLog(settings, load_signer(settings, lambda _: ""))
sys.stdin.readline()
print(*[log.append({"writer": sys.argv[2], "n": n}) for n in range(25)])
"""


def test_many_processes_at_once(settings: Settings) -> None:
    """All of them make, or find, the same key; no index is given twice."""
    command = [sys.executable, "-c", WRITER, str(settings.home)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, str(n)], **pipes) for n in range(4)]  # type: ignore[call-overload]
    answers = [writer.communicate("go\n", timeout=120)[0] for writer in writers]
    assert sorted(int(index) for answer in answers for index in answer.split()) == list(range(100))
    log = AuditLog(settings, load_signer(settings, lambda _: ""))
    findings, found = read(log)
    assert findings == []
    assert len(found.roots) == 100


def test_threads_that_write_at_once_share_a_turn(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty that come while another one writes are written by the next one for all of them, each under its own index."""
    log.append({"n": -1})
    turns: list[int] = []
    begun, go = Event(), Event()
    write = auditlog._write_lines

    def slow(uri: str, end: int, lines: list[bytes]) -> None:
        turns.append(len(lines))
        begun.set()
        go.wait(60)
        write(uri, end, lines)

    monkeypatch.setattr(auditlog, "_write_lines", slow)
    with ThreadPoolExecutor(41) as pool:
        first = pool.submit(log.append, {"n": 0})
        begun.wait(60)
        rest = [pool.submit(log.append, {"n": n}) for n in range(1, 41)]
        while len(log._together._waiting) < 40:
            time.sleep(0.01)
        go.set()
        assert [first.result(), *sorted(each.result() for each in rest)] == list(range(1, 42))
    assert turns == [1, 40]
    assert [log.entry(each.result())["n"] for each in rest] == list(range(1, 41))  # type: ignore[index]
    assert read(log)[0] == []


def test_a_turn_that_fails_has_failed_for_all_of_it(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append({"n": 0})
    before = segment(log).read_bytes()
    monkeypatch.setattr(auditlog.os, "fsync", no_space)
    with ThreadPoolExecutor(8) as pool:
        failed = [pool.submit(log.append, {"n": n}) for n in range(8)]
    assert all("cannot be written" in str(each.exception()) for each in failed)
    assert segment(log).read_bytes() == before
    monkeypatch.undo()
    assert log.append({"n": 1}) == 1
    with pytest.raises(TypeError):
        log.append({"n": 0.5})
    assert log.append({"n": 2}) == 2
    assert read(log)[0] == []


@pytest.mark.parametrize("known", [0, 1, auditlog.SEGMENT])
def test_lines_whose_head_cannot_be_moved_do_not_count(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    """They were told to have failed, so that the next writer does not take them up."""
    for start in range(0, known, auditlog.TURN):
        with log.turn() as append:
            append(*({"n": n} for n in range(start, min(known, start + auditlog.TURN))))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(auditlog.store, "write_atomic", full)
        for _ in range(2):
            with pytest.raises(LakeError, match="cannot be written"):
                log.append({"n": "never"})
    assert log.append({"n": "then"}) == known
    findings, found = read(log)
    assert (findings, len(found.roots)) == ([], known + 1)
    assert b"never" not in b"".join(path.read_bytes() for path in Path(log.folder).glob("*.jsonl"))


def test_lines_whose_head_was_moved_after_all_stay(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append({"n": 0})
    write = auditlog.store.write_atomic

    def late(uri: str, data: bytes) -> None:
        write(uri, data)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(auditlog.store, "write_atomic", late)
        with pytest.raises(LakeError, match="cannot be written"):
            log.append({"n": 1})
    assert read(log)[0] == []
    assert log.append({"n": 2}) == 2
    assert read(log)[0] == []


def no_space(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# ── killed ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("written", [1, 40, -1])
def test_killed_in_the_middle_of_a_line(log: AuditLog, written: int) -> None:
    log.append({"n": 0})
    line = segment(log).read_bytes()
    with segment(log).open("ab") as file:
        file.write(line[:written])
    assert "unfinished" in read(log)[0][0].what
    assert log.append({"n": 1}) == 1
    assert read(log)[0] == []


def test_killed_before_the_head_was_moved(log: AuditLog) -> None:
    log.append({"n": 0})
    head = (Path(log.folder) / "head.json").read_bytes()
    log.append({"n": 1})
    (Path(log.folder) / "head.json").write_bytes(head)
    assert read(log)[0] == []
    assert log.append({"n": 2}) == 2
    findings, found = read(log)
    assert findings == []
    assert len(found.roots) == 3


def test_killed_before_the_head_was_moved_over_a_turn_of_several(log: AuditLog) -> None:
    """Its lines are taken up; one more than a turn has were never written before a head was moved."""
    log.append({"n": 0})
    head = (Path(log.folder) / "head.json").read_bytes()
    with log.turn() as append:
        assert append(*({"n": n} for n in range(1, 31))) == list(range(1, 31))
    (Path(log.folder) / "head.json").write_bytes(head)
    findings, _ = read(log)
    assert findings == []
    assert log.append({"n": 31}) == 31
    assert read(log)[0] == []
    for n in range(32, auditlog.TURN + 2):
        log.append({"n": n})
    (Path(log.folder) / "head.json").write_bytes(head)
    assert "lines were added" in refuses(log)
    assert "not the log's" in read(log)[0][0].what


def test_a_log_of_several_entries_is_none_without_its_head(log: AuditLog) -> None:
    with log.turn() as append:
        append({"n": 0}, {"n": 1})
    (Path(log.folder) / "head.json").unlink()
    assert "lines were added" in refuses(log)


def test_what_another_process_wrote_is_seen(log: AuditLog) -> None:
    """What this process knows of the log holds only while nobody else writes."""
    other = AuditLog(log.settings, log.signer)
    assert [each.append({"n": n}) for n, each in enumerate([log, other, other, log, other, log])] == [
        *range(6)
    ]
    assert read(log)[0] == []


def test_killed_at_the_very_first_entry(log: AuditLog) -> None:
    log.append({"n": 0})
    (Path(log.folder) / "head.json").unlink()
    assert log.append({"n": 1}) == 1
    assert read(log)[0] == []


# ── it fails closed ───────────────────────────────────────────────────────────────────────────────────────


def refuses(log: AuditLog) -> str:
    before = segment(log).read_bytes() if segment(log).exists() else b""
    with pytest.raises(LakeError) as caught:
        log.append({"n": "no"})
    assert (segment(log).read_bytes() if segment(log).exists() else b"") == before
    return str(caught.value)


def test_a_line_put_at_the_end_is_not_taken_up(log: AuditLog) -> None:
    for n in range(3):
        log.append({"n": n})
    other = AuditLog(log.settings, Signer(Ed25519PrivateKey.generate()))
    line = segment(log).read_bytes().splitlines(keepends=True)[0]
    for forged in (line, b"{}\n", b"\n", other_line(other, log)):
        with segment(log).open("ab") as file:
            file.write(forged)
        assert "damaged" in refuses(log)
        data = segment(log).read_bytes()
        segment(log).write_bytes(data[: -len(forged)])
    log.append({"n": 3})


def other_line(other: AuditLog, log: AuditLog) -> bytes:
    frontier = log._standing()[0]
    entry = {"action": "approve", "at": "2026-03-05T12:00:00.000000+00:00"}
    frontier.append(auditlog.leaf_hash(canonical(entry)))
    return auditlog.line_of(entry, other._checkpoint(frontier, entry["at"]))


def test_a_log_that_was_changed_is_not_written_on(log: AuditLog) -> None:
    for n in range(3):
        log.append({"n": n})
    lines = segment(log).read_bytes().splitlines(keepends=True)
    segment(log).write_bytes(b"".join(lines[:2]))
    assert "lines are missing" in refuses(log)
    segment(log).write_bytes(b"".join([lines[0], lines[1], lines[1]]))
    assert "not the one that was written" in refuses(log)
    segment(log).write_bytes(b"".join(lines))
    head = Path(log.folder) / "head.json"
    data = head.read_bytes()
    for changed in (
        b"",
        b"{}",
        data.replace(b'"size":3', b'"size":2'),
        data.replace(b'"time":"2', b'"time":"1'),
    ):
        head.write_bytes(changed)
        assert "its head" in refuses(log)
    head.write_bytes(data)
    assert log.append({"n": 3}) == 3


def test_a_place_that_cannot_be_written(log: AuditLog, settings: Settings) -> None:
    Path(settings.lake_root, "proof/log").write_bytes(b"")
    with pytest.raises(LakeError, match="the audit log cannot be written"):
        log.append({"n": 0})


@pytest.fixture
def full_disk(log: AuditLog) -> Iterator[Path]:
    Path(log.folder).mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", log.folder]
    if ran(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield Path(log.folder)
    ran(["umount", "-l", log.folder], check=False)


def test_a_full_disk(log: AuditLog, full_disk: Path) -> None:
    """It stops, with what was acknowledged whole; with space again it goes on where it was."""
    written = 0
    with pytest.raises(LakeError, match=r"full|cannot be written"):
        for _ in range(100):
            log.append({"padding": "x" * 1500})
            written += 1
    assert 1 < written < 15
    ran(["mount", "-o", "remount,size=1m", str(full_disk)], check=True)
    findings, found = read(log)
    assert [each for each in findings if "unfinished" not in each.what] == []
    assert len(found.roots) == written
    log.append({"n": "again"})
    assert read(log)[0] == []


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_key_is_its_owner_s_and_stays(settings: Settings) -> None:
    first = load_signer(settings, lambda _: "")
    assert (settings.home / "signing.key").stat().st_mode & 0o777 == 0o600
    assert load_signer(settings, lambda _: "").id == first.id
    assert (Path(settings.lake_root) / f"proof/keys/{first.id}.pem").exists()
    assert list(settings.home.glob(".signing*")) == []


def test_the_key_of_the_environment_or_a_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes_raw().hex()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    of_connection = load_signer(
        settings, lambda name: f"keys://?ed25519={raw}" if name == "xuanwu_signing" else ""
    )
    for text in (raw, pem, pem.replace("\n", "\\n")):
        monkeypatch.setenv("XUANWU_SIGNING_KEY", text)
        assert load_signer(settings, lambda _: "").id == of_connection.id
    assert not (settings.home / "signing.key").exists()
    assert raw not in repr(of_connection)


@pytest.mark.parametrize(
    "text", ["secret-that-is-none", "00" * 31, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_key_that_is_none(settings: Settings, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("XUANWU_SIGNING_KEY", text)
    with pytest.raises(SettingsError) as caught:
        load_signer(settings, lambda _: "")
    assert text not in str(caught.value)


def test_a_key_of_another_kind() -> None:
    rsa = generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(SettingsError, match="Ed25519"):
        private_key(rsa)


def test_a_signature_is_for_one_purpose_and_one_value() -> None:
    signer = Signer(private_key(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    signature = signer.sign("certificate", {"a": 1})
    assert signer.trust.signed("certificate", {"a": 1}, signer.id, signature)
    assert not signer.trust.signed("checkpoint", {"a": 1}, signer.id, signature)
    assert not signer.trust.signed("certificate", {"a": 2}, signer.id, signature)
    assert not signer.trust.signed("certificate", {"a": 1}, signer.id, signature.rstrip("="))
    assert not Trust.of([]).signed("certificate", {"a": 1}, signer.id, signature)
    public = signer.private.public_key().public_bytes_raw().hex()
    assert public == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", (
        "RFC 8032, 7.1, test 1"
    )


def test_canonical_form() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    assert json.loads(canonical({"n": 2**60})) == {"n": 2**60}
    with pytest.raises(TypeError, match="fraction"):
        canonical({"a": [1.5]})


def test_a_changed_key_goes_on_with_the_log(log: AuditLog) -> None:
    log.append({"n": 0})
    newer = AuditLog(log.settings, Signer(Ed25519PrivateKey.generate()))
    public = newer.signer.private.public_key()
    (Path(log.settings.lake_root) / f"proof/keys/{newer.signer.id}.pem").write_bytes(
        signing.public_pem(public)
    )
    assert newer.append({"n": 1}) == 1
    assert log.append({"n": 2}) == 2
