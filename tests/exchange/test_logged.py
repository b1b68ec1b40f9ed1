"""What somebody writes into the exchange's database, or takes out of it, the audit log does not say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from exchange import cases
from exchange.desk import Desk
from exchange.errors import Busy, Unfit
from exchange.logged import unlike
from exchange.requests import draft, find, granted, take
from exchange.state import State
from pipelines.cli import app
from schemas.settings import Settings
from tests.exchange.conftest import ASKER, BUREAU, CHIEF, CLERK, HEAD, asked

WANTED = ("health", "civil_affairs.marriage", "default")


def wrong(desk: Desk) -> list[tuple[str, str]]:
    return list(unlike(desk.state, (entry for _, entry in desk.log.entries(0))))


def run(desk: Desk, sql: str, **values: object) -> None:
    with desk.state.begin() as connection:
        assert connection.execute(sa.text(sql), values).rowcount


@pytest.fixture
def number(desk: Desk) -> int:
    number = draft(desk, ASKER, asked(columns=["reg_no", "reg_date"])).number
    take(desk, HEAD, number, "approve", {})
    take(desk, CLERK, number, "propose", {"consent": True, "reason": "可"})
    take(desk, CHIEF, number, "confirm", {})
    draft(desk, ASKER, asked())
    assert wrong(desk) == []
    return number


def test_a_grant_that_somebody_wrote(desk: Desk, number: int) -> None:
    at = desk.clock().isoformat()
    other = draft(desk, ASKER, asked()).number
    for place, (step, words) in enumerate(
        (("approve", {}), ("propose", {"consent": True, "reason": "x"}), ("confirm", {})), 2
    ):
        run(
            desk,
            'INSERT INTO events (request, number, step, "by", side, at, said) '
            "VALUES (:request, :number, :step, 'chief', 'provider', :at, :said)",
            request=other,
            number=place,
            step=step,
            at=at,
            said=json.dumps(words),
        )
    assert granted(desk, *WANTED) is not None
    assert {said for said, _ in wrong(desk)} == {f"request {other}"}
    assert any("`confirm` by chief is not in the audit log" in told for _, told in wrong(desk))


def test_an_end_that_somebody_took_away(desk: Desk, number: int) -> None:
    take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    assert wrong(desk) == []
    run(desk, "DELETE FROM events WHERE request = :request AND step = 'revoke'", request=number)
    assert wrong(desk) == [
        (f"request {number}", "`revoke` by chief is in the audit log, and the database does not have it")
    ]


def test_a_request_that_somebody_took_out_whole(desk: Desk, number: int) -> None:
    run(desk, "DELETE FROM events WHERE request = :number", number=number)
    run(desk, "DELETE FROM requests WHERE number = :number", number=number)
    assert {said for said, _ in wrong(desk)} == {f"request {number}"}
    assert sorted(told.partition(" by ")[0] for _, told in wrong(desk)) == [
        f"`{step}`" for step in ("approve", "confirm", "draft", "propose")
    ]
    assert all("the database does not have it" in told for _, told in wrong(desk))


def test_a_request_that_somebody_wrote_whole(desk: Desk, number: int) -> None:
    terms = (
        "dataset, policy, department, provider, basis, scenario, method, until, columns, division, territory"
    )
    said = 'number, step, "by", side, at, said'
    for table, key, copied in (("requests", "number", terms), ("events", "request", said)):
        copy = f"INSERT INTO {table} ({key}, {copied}) SELECT 99, {copied} FROM {table} WHERE {key} = :number"
        run(desk, copy, number=number)
    assert [said for said, _ in wrong(desk)] == ["request 99"] * 4
    assert all("somebody wrote it into the database" in told for _, told in wrong(desk))


def test_of_two_steps_that_are_alike_each_counts(desk: Desk, number: int) -> None:
    """The last suspension taken out: the grant counts again, and the steps that are left stand in the log."""
    for step in ("suspend", "resume", "suspend"):
        take(desk, BUREAU, number, step, {"reason": "查验"})
    assert wrong(desk) == [] and granted(desk, *WANTED) is None
    run(desk, "DELETE FROM events WHERE request = :number AND number = 7", number=number)
    assert granted(desk, *WANTED) is not None
    assert [told for _, told in wrong(desk)] == [
        "`suspend` by bureau is in the audit log, and the database does not have it"
    ]


def test_of_two_steps_that_are_alike_one_was_written(desk: Desk, number: int) -> None:
    for step in ("suspend", "resume", "suspend"):
        take(desk, BUREAU, number, step, {"reason": "查验"})
    run(
        desk,
        'INSERT INTO events (request, number, step, "by", side, at, said) '
        'SELECT request, 8, step, "by", side, at, said FROM events WHERE request = :number AND number = 6',
        number=number,
    )
    assert granted(desk, *WANTED) is not None
    assert [told for _, told in wrong(desk)] == [
        "`resume` by bureau is not in the audit log: somebody wrote it into the database"
    ]


@contextmanager
def full_disk(desk: Desk) -> Iterator[None]:
    """The database takes what is written, and fails as it commits; what reads alone commits nothing."""
    wrote: set[int] = set()

    def writes(connection: sa.Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            wrote.add(id(connection))

    def full(connection: sa.Connection) -> None:
        if id(connection) not in wrote:
            return
        raise OperationalError("COMMIT", {}, Exception("database or disk is full"))

    engine = desk.state._engine
    sa.event.listen(engine, "before_cursor_execute", writes)
    sa.event.listen(engine, "commit", full)
    try:
        yield
    finally:
        sa.event.remove(engine, "commit", full)
        sa.event.remove(engine, "before_cursor_execute", writes)


def test_what_the_database_could_not_keep_is_nobodys_forgery(desk: Desk, number: int) -> None:
    with full_disk(desk):
        for _ in range(2):
            with pytest.raises(Busy):
                take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
            with pytest.raises(Busy):
                draft(desk, ASKER, asked(policy="statistics"))
    assert wrong(desk) == []
    draft(desk, ASKER, asked())  # perhaps of the number that another one had
    take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    assert wrong(desk) == []
    run(desk, "DELETE FROM events WHERE request = :request AND step = 'revoke'", request=number)
    assert wrong(desk) == [
        (f"request {number}", "`revoke` by chief is in the audit log, and the database does not have it")
    ]


def test_what_is_undone_while_it_is_looked_at(desk: Desk, number: int) -> None:
    with full_disk(desk), pytest.raises(Busy):
        take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    entries = [entry for _, entry in desk.log.entries(0)]
    assert entries[-1]["action"] == "undone" and "用途" not in str(entries[-1])
    assert list(unlike(desk.state, entries[:-1], entries[-1:])) == []
    assert len(list(unlike(desk.state, entries[:-1]))) == 1


def test_what_was_kept_before_is_not_undone_with_what_fails_on_the_same_connection(
    desk: Desk, settings: Settings, exchange_url: str
) -> None:
    """A server keeps its connections."""
    state = State(settings.model_copy(update={"exchange": exchange_url}), kept=True)
    kept = replace(desk, state=state)
    for _ in range(3):
        draft(kept, ASKER, asked())
    with full_disk(kept), pytest.raises(Busy):
        draft(kept, ASKER, asked())
    undone = [entry["entry"] for _, entry in desk.log.entries(0) if entry["action"] == "undone"]
    assert undone == [3] and wrong(kept) == []
    state._engine.dispose()


def test_an_undone_entry_is_told_by_its_place_in_the_whole_log(desk: Desk, number: int) -> None:
    with full_disk(desk), pytest.raises(Busy):
        take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    draft(desk, ASKER, asked())
    entries = [entry for _, entry in desk.log.entries(0)]
    for proved in range(len(entries) + 1):
        assert list(unlike(desk.state, entries[:proved], entries[proved:])) == []


def test_what_is_undone_hides_nothing_else(desk: Desk, number: int) -> None:
    with full_disk(desk), pytest.raises(Busy):
        take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    run(desk, "DELETE FROM events WHERE request = :request AND step = 'revoke'", request=number)
    assert len(wrong(desk)) == 1


def test_a_step_that_another_was_quicker_with_is_not_undone(desk: Desk, number: int) -> None:
    """It was never told: the database refuses it before the log hears of it."""
    request = find(desk, CHIEF, number)
    take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    with pytest.raises(Unfit, match="same moment"):
        cases.take(desk, request, BUREAU, "suspend", {"reason": "查验"})
    assert [entry["action"] for _, entry in desk.log.entries(0)].count("undone") == 0
    assert wrong(desk) == []


def test_what_is_done_while_it_is_looked_at_is_nobodys_forgery(desk: Desk, number: int) -> None:
    """The log was proved first, and the exchange goes on: what came since stands in the log behind that."""
    proved = len(list(desk.log.entries(0)))

    def entries() -> Iterator[dict[str, Any]]:
        yield from (entry for index, entry in desk.log.entries(0) if index < proved)
        take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
        draft(desk, ASKER, asked())

    def later() -> Iterator[dict[str, Any]]:
        draft(desk, ASKER, asked())  # the database was read before this one
        yield from (entry for _, entry in desk.log.entries(proved))

    assert list(unlike(desk.state, entries(), later())) == []
    found = [told for _, told in unlike(desk.state, (e for i, e in desk.log.entries(0) if i < proved))]
    assert len(found) == 3 and all("somebody wrote it into the database" in told for told in found)


def test_what_is_only_in_the_database_is_one_while_the_exchange_goes_on_too(desk: Desk, number: int) -> None:
    proved = len(list(desk.log.entries(0)))
    take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    run(desk, "UPDATE events SET \"by\" = 'head' WHERE request = :number AND number = 5", number=number)
    entries = [entry for _, entry in desk.log.entries(0)]
    assert [told for _, told in unlike(desk.state, entries[:proved], iter(entries[proved:]))] == [
        "`revoke` by head is not in the audit log: somebody wrote it into the database"
    ]


def test_what_came_since_is_compared_too(desk: Desk, number: int) -> None:
    entries = [entry for _, entry in desk.log.entries(0)]
    run(desk, "UPDATE requests SET department = 'education' WHERE number = :number", number=number)
    assert [told for _, told in unlike(desk.state, [], entries)] == [
        "its table, department or scope is not what the audit log says"
    ]


def test_an_entry_that_does_not_tell_the_scope(desk: Desk, number: int) -> None:
    """As entries were before they told it: what is not told is not compared, and what is told is."""
    told = ("until", "columns", "division", "territory")
    entries = [{k: v for k, v in entry.items() if k not in told} for _, entry in desk.log.entries(0)]
    assert list(unlike(desk.state, entries)) == []
    run(desk, "UPDATE requests SET department = 'education' WHERE number = :number", number=number)
    assert [said for said, _ in unlike(desk.state, entries)] == [f"request {number}"]


@pytest.mark.parametrize(
    "change",
    [
        "policy = 'verification'",
        "dataset = 'health.visit'",
        "department = 'education'",
        "until = '2099-01-01T00:00:00.000000+00:00'",
        "columns = '[]'",
        "division = '320102'",
    ],
)
def test_a_grant_that_somebody_widened(desk: Desk, number: int, change: str) -> None:
    run(desk, f"UPDATE requests SET {change} WHERE number = :number", number=number)
    assert wrong(desk) == [
        (f"request {number}", "its table, department or scope is not what the audit log says")
    ]


def test_verify_says_so(
    desk: Desk, number: int, settings: Settings, exchange_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XUANWU_HOME", str(settings.home))
    monkeypatch.setenv("XUANWU_EXCHANGE", exchange_url)
    right = CliRunner().invoke(app, ["verify", "--ledger", "--all"])
    assert right.exit_code == 0, right.output
    take(desk, CHIEF, number, "revoke", {"reason": "用途不符"})
    run(desk, "DELETE FROM events WHERE request = :request AND step = 'revoke'", request=number)
    wronged = CliRunner().invoke(app, ["verify", "--ledger", "--all"])
    assert wronged.exit_code == 1
    assert f"wrong exchange, request {number}: `revoke` by chief is in the audit log" in wronged.stdout
    assert CliRunner().invoke(app, ["verify", "--all"]).exit_code == 0


def test_without_a_database_it_is_noted(
    settings: Settings, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.log.append({"action": "login", "phase": "outcome", "by": "wang"})
    monkeypatch.setenv("XUANWU_HOME", str(settings.home))
    monkeypatch.setenv("XUANWU_EXCHANGE", f"sqlite:///{settings.home}/nowhere.db")
    said = CliRunner().invoke(app, ["verify", "--ledger"])
    assert said.exit_code == 0 and "XUANWU_EXCHANGE has no database" in said.stdout
