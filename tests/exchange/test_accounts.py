"""Accounts and tokens: shown once, kept hashed, scoped, expiring, revocable, and refused in the same words."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from exchange.accounts import (
    close_account,
    log_in,
    make_token,
    open_account,
    revoke_token,
    session_of,
    tokens,
)
from exchange.errors import NotThere, Unauthenticated, Unfit
from exchange.schema import ACCOUNTS, TOKENS
from exchange.state import State
from tests.exchange.conftest import START

DAY = timedelta(days=1)
PASSWORD = "correct horse battery"


@pytest.fixture
def wang(state: State) -> State:
    open_account(state, "wang", "health", ["requester", "approver"], PASSWORD)
    return state


def made(state: State, **other: object) -> str:
    said = {"note": "笔记本", "scopes": ["read"], "now": START, "lasts": 30 * DAY} | other
    return make_token(state, "wang", **said)[0]  # type: ignore[arg-type]


def test_a_token_stands_for_its_account(wang: State) -> None:
    session = session_of(wang, made(wang), START + DAY)
    assert session.principal.name == "wang"
    assert session.principal.department == "health"
    assert session.principal.roles == {"requester", "approver"}
    assert session.scopes == {"read"}


def test_neither_password_nor_secret_is_kept(wang: State) -> None:
    secret = made(wang).split("_", 2)[2]
    with wang.begin() as connection:
        kept = repr(
            [tuple(row) for table in (ACCOUNTS, TOKENS) for row in connection.execute(sa.select(table))]
        )
    assert secret not in kept
    assert PASSWORD not in kept
    assert "$argon2id$" in kept


def refused(state: State, text: str, after: timedelta = DAY) -> str:
    with pytest.raises(Unauthenticated) as raised:
        session_of(state, text, START + after)
    return str(raised.value)


def test_whatever_is_wrong_is_refused_in_the_same_words(wang: State) -> None:
    text = made(wang)
    revoked = made(wang)
    revoke_token(wang, revoked.split("_")[1], START)
    revoke_token(wang, revoked.split("_")[1], START + DAY)
    said = {
        refused(wang, text, 30 * DAY),
        refused(wang, revoked),
        refused(wang, text[:-1] + ("A" if text[-1] != "A" else "B")),
        refused(wang, "xw_" + "0" * 16 + text[19:]),
        refused(wang, ""),
        refused(wang, "xw_' OR 1=1 --"),
        refused(wang, text + "\n"),
        refused(wang, text.upper()),
    }
    assert len(said) == 1
    assert session_of(wang, text, START + 30 * DAY - timedelta(seconds=1))


def test_a_closed_account_ends_its_tokens(wang: State) -> None:
    text = made(wang)
    close_account(wang, "wang", START)
    refused(wang, text)
    with pytest.raises(NotThere):
        made(wang)
    with pytest.raises(Unauthenticated):
        log_in(wang, "wang", PASSWORD)


def test_logging_in(wang: State) -> None:
    assert log_in(wang, "wang", PASSWORD).name == "wang"
    open_account(wang, "machine", "health", ["requester"])
    said = set()
    for name, password in (("wang", "wrong"), ("nobody", PASSWORD), ("machine", ""), ("", "")):
        with pytest.raises(Unauthenticated) as raised:
            log_in(wang, name, password)
        said.add(str(raised.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("name", "roles", "password", "says"),
    [
        ("wang", ["requester"], None, "is an account"),
        ("Wang Xiao", ["requester"], None, "malformed"),
        ("li", ["king"], None, "no role king"),
        ("li", ["requester"], "short", "too short"),
    ],
)
def test_accounts_that_are_not_made(
    wang: State, name: str, roles: list[str], password: str | None, says: str
) -> None:
    with pytest.raises(Unfit, match=says):
        open_account(wang, name, "health", roles, password)


@pytest.mark.parametrize(
    "other",
    [
        {"scopes": []},
        {"scopes": ["write"]},
        {"lasts": timedelta(0)},
        {"lasts": timedelta(days=1000)},
        {"note": "\0"},
    ],
)
def test_tokens_that_are_not_made(wang: State, other: dict) -> None:
    with pytest.raises(Unfit):
        made(wang, **other)
    assert tokens(wang) == []


@pytest.mark.parametrize("odd", ["wang\0", "\ud800", "wang\n", ""])
def test_names_that_nobody_can_have_are_refused_as_others_are(wang: State, odd: str) -> None:
    with pytest.raises(Unauthenticated, match="name or password is wrong"):
        log_in(wang, odd, PASSWORD)
    with pytest.raises(Unauthenticated, match="name or password is wrong"):
        log_in(wang, "wang", odd)


def test_the_list_holds_ended_ones_too(wang: State) -> None:
    first, second = made(wang, note="a"), made(wang, note="b", now=START + DAY)
    revoke_token(wang, first.split("_")[1], START)
    assert [(each.note, each.revoked is not None) for each in tokens(wang, "wang")] == [
        ("a", True),
        ("b", False),
    ]
    assert tokens(wang, "nobody") == []
    assert second.split("_")[1] == tokens(wang)[1].id
    with pytest.raises(NotThere):
        revoke_token(wang, "0" * 16, START)
