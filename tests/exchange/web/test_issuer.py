"""What was made with the identity provider's token ends with it, and the provider has no part in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from exchange.accounts import close_account, revoke_token, tokens
from tests.exchange.clock import Clock
from tests.exchange.provider import Provider
from tests.exchange.provider.fixtures import MakeIssuer
from tests.exchange.web.conftest import Exchange

TABLE = "/delta-sharing/shares/health/schemas/visit/tables/default"


@pytest.mark.parametrize("ended", ["expired", "revoked", "closed"])
def test_credentials_end_with_the_token_that_they_were_made_with(
    exchange: Exchange, provider: Provider, make_issuer: MakeIssuer, clock: Clock, ended: str
) -> None:
    clock.now = datetime.now(UTC) + timedelta(minutes=5)
    exchange.house.issuer = make_issuer(clock=clock)
    exchange.grant(until=(clock.now + timedelta(days=9)).isoformat())
    headers = {"Authorization": f"Bearer {provider.token()}"}
    lines = exchange.client.post(f"{TABLE}/query", json={}, headers=headers).text
    found = re.search(r'"url":\s*"http://testserver([^"]+)"', lines)
    assert found, lines
    assert exchange.client.get(found[1]).status_code == 200
    state = exchange.desk.state
    if ended == "expired":
        clock.wait(minutes=11, seconds=1)
    elif ended == "revoked":
        revoke_token(state, tokens(state, "oidc:education-etl")[-1].id, clock())
    else:
        close_account(state, "oidc:education-etl", clock())
    assert exchange.client.get(found[1]).status_code == 403
    assert exchange.client.post(f"{TABLE}/query", json={}, headers=headers).status_code == 401
    exchange.house.refusals.flush(all_of_it=True)
    told = exchange.log("authenticate")
    assert {each["reason"] for each in told} == {ended}
    assert {name for each in told for name in each["names"]} == {"oidc:education-etl"}
    assert {door for each in told for door in each["doors"]} == {"files", "delta"}
    by = {each["by"] for each in exchange.log() if each["phase"] != "refused"}
    assert by == {"oidc:education-etl"}
