"""Looking at a lake that is at work: what is wrong is told once it is so at another look too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lake.auditlog import AuditLog
from lake.signing import load_signer
from lake.verify import Copy, Finding
from pipelines.console import verifying
from pipelines.console.verifying import LOOKS, verify_lake
from schemas.settings import Settings

Looks = list[str]


@pytest.fixture
def log(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    monkeypatch.setenv("XUANWU_HOME", str(settings.home))
    log = AuditLog(settings, load_signer(settings, lambda _: ""))
    log.append({"action": "approve", "by": "someone"})
    return log


def looking(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[int], bool], beside: Callable[[], object]
) -> Looks:
    """Findings as they come at each look, and what happens beside it."""
    looks: Looks = []

    def found(copy: Copy, *_: object) -> Iterator[Finding]:
        looks.append(copy.root)
        beside()
        if wrong(len(looks)):
            yield Finding("open/x", "the table is missing")

    monkeypatch.setattr(verifying, "_findings", found)
    return looks


def test_what_was_at_work_is_looked_at_again(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = looking(monkeypatch, lambda look: look == 1, lambda: log.append({"action": "read"}))
    assert verify_lake(None, [], None, every=True, with_ledger=False)
    assert len(looks) == 2 and "missing" not in capsys.readouterr().out


def test_what_stays_wrong_is_told_with_a_note(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = looking(monkeypatch, lambda look: True, lambda: log.append({"action": "read"}))
    assert not verify_lake(None, [], None, every=True, with_ledger=False)
    said = capsys.readouterr().out
    assert len(looks) == LOOKS and said.count("the table is missing") == 1 and "was at work" in said


def test_a_lake_at_rest_is_looked_at_once(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = looking(monkeypatch, lambda look: True, lambda: None)
    assert not verify_lake(None, [], None, every=False, with_ledger=False)
    said = capsys.readouterr().out
    assert len(looks) == 1 and "the table is missing" in said and "was at work" not in said
    assert "there may be more: --all" in said
    assert not verify_lake(None, [], None, every=True, with_ledger=False)
    assert "there may be more" not in capsys.readouterr().out


def test_what_is_right_is_looked_at_once_however_busy(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looking(monkeypatch, lambda look: False, lambda: log.append({"action": "read"}))
    assert verify_lake(None, [], None, every=True, with_ledger=False)
    assert len(looks) == 1
