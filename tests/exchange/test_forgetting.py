"""What people wrote of somebody is taken out of requests and objections, in both databases; all else stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from exchange.accounts import make_token, open_account, tokens
from exchange.desk import Desk
from exchange.errors import Busy
from exchange.forgetting import ERASED, OF_TOKENS, forget, traces
from exchange.objections import find as find_objection
from exchange.objections import raise_objection
from exchange.requests import draft, find, take
from exchange.schema import REQUESTS
from exchange.state import State
from schemas.settings import Settings
from tests.exchange.conftest import ASKER, CLERK, HEAD, asked

NAME = "某某"


def tells(text: str) -> bool:
    return NAME in text


def test_texts_that_tell_go_and_all_else_stays(desk: Desk) -> None:
    number = draft(desk, ASKER, asked(basis=f"{NAME}的申请", scenario="核验")).number
    take(desk, HEAD, number, "approve", {})
    take(desk, CLERK, number, "propose", {"consent": False, "reason": f"与{NAME}无关"})
    other = draft(desk, ASKER, asked()).number
    said = {"dataset": "education.school", "policy": "default", "wrong": "有误", "rows": ["1", NAME]}
    objection = raise_objection(desk, ASKER, said | {"proposed": NAME}, lambda *_: 1).number
    found = traces(desk.state, tells)
    assert sorted(each.dataset for each in found) == [
        "civil_affairs.marriage",
        "civil_affairs.marriage",
        "education.school",
    ]
    before = find(desk, ASKER, other)
    forget(desk.state, found)
    assert traces(desk.state, tells) == []
    ours = find(desk, ASKER, number)
    assert (ours.terms.basis, ours.terms.scenario, ours.state) == (ERASED, "核验", "proposed")
    assert ours.events[2].said == {"consent": False, "reason": ERASED}
    claim = find_objection(desk, ASKER, objection).terms
    assert (claim.wrong, claim.rows, claim.proposed) == ("有误", ("1", ERASED), ERASED)
    assert find(desk, ASKER, other) == before


def test_the_notes_of_tokens_go_too(desk: Desk) -> None:
    open_account(desk.state, "wang", "health", ["requester"])
    for note in (f"核对{NAME}", "laptop"):
        make_token(desk.state, "wang", note, ["read"], now=desk.clock(), lasts=timedelta(days=1))
    found = traces(desk.state, tells)
    assert [each.dataset for each in found] == [OF_TOKENS]
    forget(desk.state, found)
    assert {each.note for each in tokens(desk.state)} == {ERASED, "laptop"}


def test_a_database_that_somebody_holds_is_told_so(
    desk: Desk, settings: Settings, exchange_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft(desk, ASKER, asked())
    monkeypatch.setattr("exchange.state.BUSY_SECONDS", 1)
    monkeypatch.setattr("lake.database.BUSY_SECONDS", 1)
    with desk.state.begin() as held:
        held.execute(sa.update(REQUESTS).values(basis="x"))
        other = State(settings.model_copy(update={"exchange": exchange_url}))
        with pytest.raises(Busy, match="cannot be reached or written"):
            other.scrub([REQUESTS])


def test_without_a_database_there_is_nothing(settings: Settings) -> None:
    assert traces(State(settings), tells) == []
    assert not (settings.home / "exchange.db").exists()
