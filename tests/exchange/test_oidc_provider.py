"""The provider's keys: found when they rotate, kept while it does not answer, and none that is not for it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from exchange.errors import Busy, Unplaced
from exchange.oidc.issuer import Issuer, open_issuer
from exchange.oidc.login import Attempt, _asked, finish
from exchange.oidc.provider import FRESH, KEPT, LARGEST, PAUSE
from exchange.state import State
from schemas.settings import Settings
from tests.exchange.clock import Clock
from tests.exchange.provider import AUDIENCE, Key, Provider
from tests.exchange.provider.fixtures import DEPARTMENTS, MakeIssuer
from tests.exchange.test_oidc import refused


@pytest.fixture(params=["sqlite"])
def exchange_url(settings: Settings) -> str:
    """The databases are told apart elsewhere."""
    return settings.exchange_url


def test_a_rotated_key_is_found_and_the_old_one_goes(
    provider: Provider, issuer: Issuer, state: State, today: Clock
) -> None:
    before = provider.token()
    assert issuer.session(state, before)
    provider.rotate()
    after = provider.token()
    assert refused(issuer, state, after) == "key"  # read again within the pause of the first time
    today.now += PAUSE
    assert issuer.session(state, after)
    assert refused(issuer, state, before) == "key"


def test_made_up_keys_make_no_flood(provider: Provider, issuer: Issuer, state: State, today: Clock) -> None:
    provider.seen()
    for number in range(50):
        assert refused(issuer, state, provider.forge(header={"kid": f"made up {number}"})) == "key"
    assert provider.seen()["/jwks"] == 1
    today.now += PAUSE
    refused(issuer, state, provider.forge(header={"kid": "made up"}))
    assert provider.seen()["/jwks"] == 1


def test_a_provider_that_does_not_answer(
    provider: Provider, issuer: Issuer, make_issuer: MakeIssuer, state: State, today: Clock
) -> None:
    good = provider.forge(exp=int((today.now + 3 * KEPT).timestamp()))
    assert issuer.session(state, good)
    try:
        provider.down()
        today.now += FRESH
        assert issuer.session(state, good)
        with pytest.raises(Busy, match="does not answer"):
            make_issuer().session(state, good)
        today.now += KEPT
        with pytest.raises(Busy, match="does not answer"):
            issuer.session(state, good)
        provider.up()
        today.now += PAUSE
        assert issuer.session(state, good)
    finally:
        provider.up()


def test_a_provider_that_hangs_holds_up_one_caller(
    provider: Provider, issuer: Issuer, state: State, today: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = provider.token()
    assert issuer.session(state, good)
    asked, answer = Event(), Event()

    def hang(*_: object, **__: object) -> None:
        asked.set()
        answer.wait(60)
        raise httpx.ReadTimeout("")

    monkeypatch.setattr(issuer.provider.http, "stream", hang)
    today.now += FRESH
    first = Thread(target=issuer.provider.document, daemon=True)
    first.start()
    assert asked.wait(60)
    assert issuer.provider.key(provider.key.kid, "RS256")
    assert first.is_alive()
    answer.set()
    first.join(60)
    assert not first.is_alive()


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"issuer": "x"}'])
def test_a_provider_that_answers_something_else(
    provider: Provider, issuer: Issuer, state: State, body: bytes
) -> None:
    issuer.provider.http = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    )
    with pytest.raises(Busy):
        issuer.session(state, provider.forge())


@pytest.mark.parametrize(("pad", "good"), [(LARGEST // 2, True), (LARGEST, False)])
def test_an_answer_is_bounded(provider: Provider, issuer: Issuer, state: State, pad: int, good: bool) -> None:
    document = {"issuer": provider.issuer, "jwks_uri": f"{provider.issuer}/jwks", "pad": "x" * pad}
    keys = {"keys": [provider.key.jwk(public=True)]}

    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=keys if request.url.path == "/jwks" else document)

    issuer.provider.http = httpx.Client(transport=httpx.MockTransport(reply))
    if good:
        assert issuer.session(state, provider.forge())
        return
    with pytest.raises(Busy):
        issuer.session(state, provider.forge())


def test_a_packed_answer_is_not_unpacked(provider: Provider, issuer: Issuer, state: State) -> None:
    """Not of the keys, and not of a login: a small one may be of any size."""
    packed = {"content-encoding": "gzip", "content-type": "application/json"}
    bomb = gzip.compress(json.dumps({"access_token": "x" * (1 << 20)}).encode())
    assert issuer.session(state, provider.forge())
    issuer.provider.http = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=bomb, headers=packed))
    )
    attempt = Attempt()
    answer = {"state": attempt.of("state"), "code": "x", "iss": issuer.provider.issuer}
    with pytest.raises(Busy):
        finish(issuer, attempt, "http://testserver/x", answer)
    issuer.provider._known = None
    issuer.provider._tried = None
    with pytest.raises(Busy):
        issuer.session(state, provider.forge())


@pytest.mark.parametrize(("endpoint", "method"), [("token_endpoint", "POST"), ("userinfo_endpoint", "GET")])
def test_an_answer_to_a_login_is_bounded(
    provider: Provider, issuer: Issuer, state: State, endpoint: str, method: str
) -> None:
    assert issuer.session(state, provider.forge())
    for pad, good in ((LARGEST // 2, True), (LARGEST, False)):
        body = {"pad": "x" * pad}
        issuer.provider.http = httpx.Client(
            transport=httpx.MockTransport(lambda _, body=body: httpx.Response(200, json=body))
        )
        if good:
            assert _asked(issuer, method, endpoint) == body
            continue
        with pytest.raises(Busy):
            _asked(issuer, method, endpoint)


def test_what_the_provider_leads_to_is_not_followed(provider: Provider, issuer: Issuer, state: State) -> None:
    """Neither a redirect, nor keys at an address that is not https."""
    to = {"issuer": provider.issuer, "jwks_uri": "http://idp.city.example/keys"}
    for answer in (
        httpx.Response(302, headers={"Location": f"{provider.issuer}/jwks"}),
        httpx.Response(200, json=to),
    ):
        asked: list[str] = []

        def reply(
            request: httpx.Request, answer: httpx.Response = answer, asked: list[str] = asked
        ) -> httpx.Response:
            asked.append(str(request.url))
            return answer

        issuer.provider.http = httpx.Client(transport=httpx.MockTransport(reply))
        issuer.provider._tried = None
        with pytest.raises(Busy):
            issuer.session(state, provider.forge())
        assert asked == [f"{provider.issuer}/.well-known/openid-configuration"]


def test_keys_that_are_not_for_it(provider: Provider, make_issuer: MakeIssuer, state: State) -> None:
    """A weak key, one for enciphering, one of a shared secret and one without an id are not taken."""
    from exchange.oidc.provider import _usable

    weak, good = Key.rsa(1024), Key.rsa()
    allowed = ("RS256", "PS256", "ES256", "EdDSA")
    assert _usable(weak.jwk(public=True), allowed) == []
    assert _usable(good.jwk(public=True) | {"use": "enc"}, allowed) == []
    assert _usable({"kty": "oct", "k": "AAAA", "kid": "x"}, allowed) == []
    assert _usable({**good.jwk(public=True), "kid": None}, allowed) == []
    assert _usable({**good.jwk(public=True), "n": "!"}, allowed) == []
    assert [each for each, _ in _usable({**good.jwk(public=True), "alg": "PS256"}, allowed)] == [
        (good.kid, "PS256")
    ]
    assert {each for (_, each), _ in _usable(good.jwk(public=True), allowed)} == {"RS256", "PS256"}


def test_elliptic_curves(tmp_path: Path, state: State, today: Clock) -> None:
    made = Provider(alg="ES256")
    try:
        said = {"oidc_issuer": made.issuer, "oidc_audience": AUDIENCE}
        issuer = open_issuer(Settings(home=tmp_path, **said), DEPARTMENTS, today)
        assert issuer is not None
        assert issuer.session(state, made.forge()).principal.name == "oidc:asker-sub"
        with pytest.raises(Unplaced):
            issuer.session(state, made.token())
    finally:
        made.stop()


def test_the_document_must_be_the_issuer_s(provider: Provider, make_issuer: MakeIssuer, state: State) -> None:
    other = make_issuer(oidc_issuer=provider.issuer.replace("localhost", "127.0.0.1"))
    with pytest.raises(Busy):
        other.session(state, provider.forge(iss=other.provider.issuer))
