"""What the identity provider vouches for can be ended here, and holds the newest that was said."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
import sqlalchemy as sa

from exchange.accounts import close_account, digest, make_token, revoke_token, session_of, tokens
from exchange.borrowed import ID
from exchange.errors import Unfit
from exchange.oidc.issuer import Issuer
from exchange.schema import ACCOUNTS, TOKENS
from exchange.state import State
from tests.exchange.clock import Clock
from tests.exchange.provider import Provider
from tests.exchange.test_oidc import refused


def test_what_the_provider_vouches_for_can_be_ended_here(
    provider: Provider, issuer: Issuer, state: State, today: Clock
) -> None:
    first, second = provider.token(), provider.token()
    session = issuer.session(state, first)
    assert [each.kind for each in tokens(state)] == ["issuer"]
    assert issuer.session(state, first) == session
    assert len(tokens(state)) == 1
    revoke_token(state, session.token, today())
    assert refused(issuer, state, first) == "revoked"
    assert issuer.session(state, second)
    close_account(state, "oidc:education-etl", today())
    assert refused(issuer, state, second) == "closed"
    assert refused(issuer, state, provider.token()) == "closed"


def test_an_older_token_brings_no_role_back(
    provider: Provider, issuer: Issuer, state: State, today: Clock
) -> None:
    now = int(today.now.timestamp())
    old = provider.forge(now=now - 100, roles=["requester", "approver"], exp=now + 600)
    new = provider.forge(now=now - 10, roles=["requester"])
    assert issuer.session(state, new).principal.roles == {"requester"}
    assert issuer.session(state, old).principal.roles == {"requester"}
    newest = provider.forge(now=now - 5, roles=["requester", "approver"], department="transport")
    assert issuer.session(state, newest).principal.department == "transport"
    assert issuer.session(state, new).principal.department == "transport"


def test_a_token_whose_id_is_another_s_is_not_taken_for_it(
    provider: Provider, issuer: Issuer, state: State
) -> None:
    first, second = provider.token(), provider.forge()
    issuer.session(state, first)
    ids = [digest(each)[:ID] for each in (first, second)]
    with state.begin() as connection:
        connection.execute(sa.update(TOKENS).where(TOKENS.c.id == ids[0]).values(id=ids[1]))
    assert refused(issuer, state, second) == "unknown"


def test_tokens_end_when_they_say(provider: Provider, issuer: Issuer, state: State, today: Clock) -> None:
    text = provider.token()
    assert issuer.session(state, text)
    today.wait(minutes=4)
    assert issuer.session(state, text)
    today.wait(minutes=5)
    assert refused(issuer, state, text) == "expired"
    today.wait(days=8)
    fresh = provider.forge(now=int(today.now.timestamp()))
    assert issuer.session(state, fresh)
    assert len(tokens(state)) == 1  # what ended a week ago is not kept


def test_a_name_is_the_subject_s_and_of_nobody_else(provider: Provider, issuer: Issuer, state: State) -> None:
    odd = ["王小明", "a b", "x" * 200, "A\nB", "~"]
    names = {issuer.session(state, provider.forge(sub=each)).principal.name for each in odd}
    assert len(names) == len(odd)
    assert all(name.startswith("oidc:~") and len(name) <= 100 for name in names)
    assert issuer.session(state, provider.forge(sub="asker")).principal.name == "oidc:asker"


def test_personal_tokens_of_the_provider_s_people_are_short(
    provider: Provider, issuer: Issuer, state: State, today: Clock
) -> None:
    issuer.session(state, provider.forge())
    said = {"note": "", "scopes": ["read"], "now": today()}
    with pytest.raises(Unfit, match="30"):
        make_token(state, "oidc:asker-sub", lasts=timedelta(days=31), **said)  # type: ignore[arg-type]
    text, _ = make_token(state, "oidc:asker-sub", lasts=timedelta(days=30), **said)  # type: ignore[arg-type]
    assert session_of(state, text, today()).principal.department == "education"


def test_what_is_kept_holds_no_token(provider: Provider, issuer: Issuer, state: State) -> None:
    text = provider.token()
    issuer.session(state, text)
    with state.begin() as connection:
        kept = repr(
            [tuple(row) for table in (ACCOUNTS, TOKENS) for row in connection.execute(sa.select(table))]
        )
    assert (
        text.split(".")[2] not in kept
        and jwt.decode(text, options={"verify_signature": False})["jti"] not in kept
    )
    assert "secret of" not in repr(issuer)
