"""A stage is one process's at a time, for as long as that process lives, and no longer than its lease."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from lake import lease
from lake.lease import LEASE
from lake.ledger import Ledger
from schemas.errors import LakeError, StageHeld
from schemas.settings import Settings
from tests.lake.making import NOW, batch_of, landed
from tests.waiting import ended, line

OTHER = """
import sys
from lake.ledger import Ledger
from tests.lake.making import NOW, batch_of
print(Ledger(sys.argv[1], clock=lambda: NOW).begin(batch_of(1), "collect"), flush=True)
sys.stdin.readline()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, settings: Settings) -> str:
    found: str = settings.database_url if request.param == "sqlite" else request.getfixturevalue("postgresql")
    return found


@contextmanager
def another(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has begun to collect, until its end."""
    command = [sys.executable, "-c", OTHER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert line(process).strip().isdigit()
        yield process
        process.kill()


def at(url: str, after: timedelta = timedelta(0)) -> Ledger:
    return Ledger(url, clock=lambda: NOW + after)


def elsewhere(monkeypatch: pytest.MonkeyPatch, name: str = "other 17 another-boot/1 99") -> None:
    """This process appears to be one of another machine."""
    monkeypatch.setattr(lease, "holder", lambda: name)


def test_a_stage_that_another_process_is_at_is_refused_until_that_one_dies(url: str) -> None:
    with another(url) as other:
        with pytest.raises(StageHeld, match=f"process {other.pid} on .*next: wait for it"):
            at(url).begin(batch_of(1), "collect")
        assert at(url).begin(batch_of(2), "collect"), "another batch is not held"
        assert at(url).runs("dept.data")[0].state == "running"
        other.kill()
        ended(other)
        assert at(url).runs("dept.data")[0].state == "stuck"
        second = at(url).begin(batch_of(1), "collect")
    states = {(each.id, each.number): each.state for each in at(url).runs() if each.batch == batch_of(1)}
    assert states == {(1, 1): "lost", (second, 2): "running"}


def test_a_process_elsewhere_is_believed_until_its_lease_expires(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        elsewhere(patch)
        at(url).begin(batch_of(1), "collect")
    with pytest.raises(StageHeld, match="process 17 on other"):
        at(url, LEASE).begin(batch_of(1), "collect")
    later = at(url, LEASE + timedelta(seconds=1))
    assert later.runs()[0].state == "stuck"
    assert later.begin(batch_of(1), "collect") == 2


def test_who_leaves_is_not_believed_elsewhere_either(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        elsewhere(patch)
        at(url).begin(batch_of(1), "collect")
        at(url).leave()
    assert at(url).runs()[0].state == "stuck"
    assert at(url).begin(batch_of(1), "collect") == 2
    assert at(url).runs()[-1].state == "running", "another process's lease"


def test_who_outlived_its_lease_cannot_close_what_another_took(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = at(url).begin(batch_of(1), "collect")
    with monkeypatch.context() as patch:
        elsewhere(patch)
        taken = at(url, 2 * LEASE).begin(batch_of(1), "collect")
    with pytest.raises(LakeError, match="another process took its place"):
        at(url).finish(attempt, landed(batch_of(1)))
    assert not at(url)._renew(attempt)
    assert [each.state for each in at(url, 2 * LEASE).runs()] == ["lost", "running"]
    assert taken == 2


def test_a_lease_is_renewed_while_its_block_runs(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=0.4))
    ledger = Ledger(url)
    with ledger.holding(ledger.begin(batch_of(1), "collect")):
        time.sleep(1)
        assert ledger.runs()[0].state == "running"
    time.sleep(0.6)
    assert ledger.runs()[0].state == "stuck"


def test_a_number_that_was_given_again_is_another_process() -> None:
    ours = lease.holder()
    host, process, space, began = ours.split(" ")
    until = (NOW + LEASE).isoformat()
    assert lease.alive(ours, until, NOW)
    assert not lease.alive(f"{host} {process} {space} {int(began) + 1}", until, NOW)
    assert lease.alive(f"{host} {process} another-boot/1 {int(began) + 1}", until, NOW), "not ours to know"
    assert not lease.alive(ours, until, NOW + 2 * LEASE)
    assert not lease.alive(None, None, NOW)


def test_a_dead_process_that_nobody_has_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        while Path(f"/proc/{process.pid}/stat").read_text().split()[2] != "Z":
            time.sleep(0.01)
        assert lease._began(process.pid) is None


def test_a_ledger_from_before_leases_gets_their_columns(settings: Settings) -> None:
    at(settings.database_url).begin(batch_of(1), "collect")
    with closing(sqlite3.connect(settings.home / "ledger.db")) as database, database:
        for column in ("owner", "lease"):
            database.execute(f"ALTER TABLE attempts DROP COLUMN {column}")
    ledger = at(settings.database_url)
    assert [each.state for each in ledger.runs()] == ["stuck"]
    assert ledger.begin(batch_of(1), "collect") == 2
