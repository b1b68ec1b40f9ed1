"""Callers whom nobody knows are in the audit log, and a flood of them does not fill it."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

from exchange.refusals import ADDRESSES, EVERY, NAMES, Refusals
from lake import store
from lake.auditlog import AuditLog
from lake.signing import load_signer
from pipelines.connections import from_environment
from schemas.errors import LakeError
from schemas.settings import Settings
from tests.exchange.clock import Clock
from tests.waiting import together


@pytest.fixture
def log(settings: Settings, clock: Clock) -> AuditLog:
    return AuditLog(settings, load_signer(settings, from_environment), clock)


def entries(log: AuditLog) -> list[dict[str, Any]]:
    return [entry for _, entry in log.entries(0)] if store.exists(store.join(log.folder, "head.json")) else []


def test_the_first_at_once_the_rest_together(log: AuditLog, clock: Clock) -> None:
    refusals = Refusals(log, clock)
    refusals.note("expired", "api", who="wang", address="10.0.0.1")
    first = entries(log)[0]
    assert (first["action"], first["phase"], first["reason"]) == ("authenticate", "refused", "expired")
    assert (first["count"], first["doors"], first["names"], first["addresses"]) == (
        1,
        {"api": 1},
        ["wang"],
        1,
    )
    for number in range(1000):
        clock.wait(milliseconds=59)
        refusals.note("expired", "delta" if number % 4 else "api", address=f"10.0.1.{number % 3}")
        refusals.flush()
    assert len(entries(log)) == 1
    clock.now += EVERY
    refusals.flush()
    refusals.flush()
    second = entries(log)[1:]
    assert [(each["count"], each["doors"], each["addresses"]) for each in second] == [
        (1000, {"api": 250, "delta": 750}, 3)
    ]
    assert "10.0." not in repr(entries(log))


def test_reasons_are_counted_each_for_itself(log: AuditLog, clock: Clock) -> None:
    refusals = Refusals(log, clock)
    for reason in ("expired", "revoked", "expired"):
        refusals.note(reason, "api")
    refusals.flush(all_of_it=True)
    assert [(each["reason"], each["count"]) for each in entries(log)] == [
        ("expired", 1),
        ("revoked", 1),
        ("expired", 1),
    ]


def test_what_is_kept_is_bounded(log: AuditLog, clock: Clock) -> None:
    refusals = Refusals(log, clock)
    for number in range(3000):
        refusals.note("expired", "api", who=f"account-{number}", address=str(number))
    refusals.flush(all_of_it=True)
    last = entries(log)[-1]
    assert (last["count"], len(last["names"]), last["addresses"]) == (2999, NAMES, ADDRESSES)


def test_nothing_is_lost_while_the_log_cannot_be_written(
    log: AuditLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Refusals(log, clock)

    def full(self: AuditLog, entry: object) -> int:
        raise LakeError("the audit log cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "append", full)
        refusals.note("expired", "api")
        clock.now += EVERY
        refusals.note("expired", "api")
    assert entries(log) == []
    clock.now += EVERY
    refusals.flush()
    assert [each["count"] for each in entries(log)] == [2]
    assert entries(log)[0]["since"] == (clock.now - 2 * EVERY).isoformat(timespec="seconds")


def test_many_at_once(log: AuditLog, clock: Clock) -> None:
    refusals = Refusals(log, clock)
    threads = [Thread(target=lambda: [refusals.note("unknown", "api") for _ in range(200)]) for _ in range(4)]
    together(*threads)
    clock.wait(seconds=timedelta(minutes=1).total_seconds())
    refusals.flush()
    assert sum(each["count"] for each in entries(log)) == 800
    assert len(entries(log)) == 2
