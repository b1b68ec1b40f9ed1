"""Tokens of a real OpenID Connect provider: whose they are, and every way in which one is not good."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as form

from exchange.accounts import tokens
from exchange.errors import Unauthenticated, Unplaced
from exchange.oidc.claims import read_claims
from exchange.oidc.issuer import Issuer, open_issuer
from exchange.state import State
from schemas.errors import SettingsError
from schemas.settings import Settings
from tests.exchange.clock import Clock
from tests.exchange.provider import AUDIENCE, Key, Provider
from tests.exchange.provider.fixtures import DEPARTMENTS, MakeIssuer

HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite"])
def exchange_url(settings: Settings) -> str:
    """The databases are told apart elsewhere."""
    return settings.exchange_url


def refused(issuer: Issuer, state: State, text: str) -> str:
    """Why a token is refused; what the caller is told is always the same."""
    with pytest.raises(Unauthenticated) as raised:
        issuer.session(state, text)
    assert raised.value.message == "the token is unknown, expired or revoked"
    assert str(raised.value).count("eyJ") == 0
    return raised.value.reason


# ── whose a token is ──────────────────────────────────────────────────────────────────────────────────────


def test_a_system_by_its_credentials(provider: Provider, issuer: Issuer, state: State) -> None:
    found = issuer.session(state, provider.token())
    assert (found.principal.name, found.principal.department) == ("oidc:education-etl", "education")
    assert found.principal.roles == {"requester"}
    assert found.scopes == {"read", "request"}
    assert found.kind == "issuer"


def test_a_person_by_claims(provider: Provider, issuer: Issuer, state: State) -> None:
    found = issuer.session(state, provider.forge(sub="head-sub", roles=["requester", "approver", "x", 7]))
    assert found.principal.name == "oidc:head-sub"
    assert found.principal.roles == {"requester", "approver"}
    auditor = issuer.session(state, provider.forge(sub="a|b", department=None, roles="auditor"))
    assert (auditor.principal.department, auditor.principal.roles) == ("", {"auditor"})
    anybody = issuer.session(state, provider.forge(sub="anybody", roles=["public"]))
    assert (anybody.principal.department, anybody.principal.roles) == ("", {"public"})


def test_a_person_who_came_through_a_system_s_client_is_not_the_system(
    provider: Provider, issuer: Issuer, state: State
) -> None:
    text = provider.forge(sub="other-sub", client_id="education-etl", department="transport")
    assert issuer.session(state, text).principal.department == "transport"
    with pytest.raises(Unplaced):
        issuer.session(state, provider.forge(sub="x", client_id="education-etl", department=None, roles=None))


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"department": "magic"}, "no department"),
        ({"department": None}, "no department"),
        ({"department": {"a": 1}}, "no department"),
        ({"department": ["education", "transport"]}, "more than one department"),
        ({"roles": ["king"]}, "no role"),
        ({"roles": None}, "no role"),
        ({"roles": {"requester": True}}, "no role"),
        ({"department": None, "roles": ["auditor", "requester"]}, "no department"),
    ],
)
def test_without_a_known_department_or_role_nobody_comes_in(
    provider: Provider, issuer: Issuer, state: State, claims: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unplaced, match=says) as raised:
        issuer.session(state, provider.forge(**claims))
    assert "idp@city.example" in str(raised.value)
    assert raised.value.who == "oidc:asker-sub"
    assert "magic" not in str(raised.value) and "king" not in str(raised.value)
    assert tokens(state) == []


def test_claims_are_mapped_as_the_file_says(
    provider: Provider, make_issuer: MakeIssuer, state: State
) -> None:
    issuer = make_issuer(
        {
            "department": {"claim": "org.code", "map": {"1132": "health"}},
            "roles": {"claim": "https://city/roles", "map": {"ask": "requester", "sign": "approver"}},
            "scopes": {"read": "exchange.read", "request": "exchange.request"},
            "clients": {"portal": {"roles": ["auditor"], "subject": "5b1e"}},
        }
    )
    text = provider.forge(
        **{"org": {"code": ["1132"]}, "https://city/roles": ["ask"], "scope": "a exchange.read"}
    )
    found = issuer.session(state, text)
    assert (found.principal.department, found.principal.roles) == ("health", {"requester"})
    assert found.scopes == {"read"}
    assert issuer.session(state, provider.forge(sub="5b1e")).principal.roles == {"auditor"}
    with pytest.raises(Unplaced):  # the map is all that counts
        issuer.session(state, provider.forge(roles=["requester"], **{"org": {"code": "health"}}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "malformed"),
        ("colour: blue", "colour"),
        ("roles: {map: {x: king}}", "roles.map.x"),
        ("algorithms: [HS256]", "algorithms"),
        ("algorithms: [none]", "algorithms"),
        ("department: {map: {x: magic}}", "no department `magic`"),
        ("clients: {x: {roles: [requester]}}", "needs a department"),
        ("clients: {x: {department: health}}", "clients.x.roles"),
        ("clients: {x: {department: health, roles: [public]}}", "the public is of no department"),
    ],
)
def test_a_wrong_file_of_claims(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "identity.yaml"
    with pytest.raises(SettingsError, match="cannot be read"):
        read_claims(file, DEPARTMENTS)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=says):
        read_claims(file, DEPARTMENTS)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"oidc_issuer": "http://idp.city.example"}, "XUANWU_OIDC_ISSUER"),
        ({"oidc_issuer": "ldap://idp"}, "XUANWU_OIDC_ISSUER"),
        ({"oidc_audience": ""}, "XUANWU_OIDC_AUDIENCE is missing"),
        ({"oidc_client_id": "x", "oidc_audience": "x"}, "XUANWU_OIDC_AUDIENCE is the client's"),
    ],
)
def test_wrong_settings(tmp_path: Path, said: dict[str, str], says: str) -> None:
    right = {"oidc_issuer": "https://idp.city.example", "oidc_audience": "x"}
    with pytest.raises(SettingsError, match=says):
        open_issuer(Settings(home=tmp_path, **(right | said)), DEPARTMENTS, Clock())
    assert open_issuer(Settings(home=tmp_path), DEPARTMENTS, Clock()) is None


# ── what is not good ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://idp.city.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "https://another.test"}, "audience"),
        ({"aud": ["x", "y"]}, "audience"),
        ({"aud": None}, "audience"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "malformed"),
        ({"exp": "9999999999"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": float("nan")}, "expired"),
        ({"iat": None}, "malformed"),
        ({"iat": 9999999999}, "early"),
        ({"nbf": 9999999999}, "early"),
        ({"nbf": "x"}, "malformed"),
        ({"sub": None}, "malformed"),
        ({"sub": "x" * 256}, "malformed"),
        ({"nonce": "n"}, "kind"),
        ({"at_hash": "x"}, "kind"),
        ({"events": {}}, "kind"),
        ({"typ": "ID"}, "kind"),
        ({"typ": "Refresh"}, "kind"),
        ({"header": {"typ": "JWT"}}, "kind"),
        ({"header": {"typ": "logout+jwt"}}, "kind"),
        ({"header": {"typ": None}}, "kind"),
        ({"header": {"kid": None}}, "malformed"),
        ({"header": {"crit": ["x"], "x": 1}}, "malformed"),
        ({"header": {"crit": ["b64"], "b64": True}}, "malformed"),
    ],
)
def test_claims_that_are_not_good(
    provider: Provider, issuer: Issuer, state: State, claims: dict[str, Any], reason: str
) -> None:
    assert refused(issuer, state, provider.forge(**claims)) == reason
    assert tokens(state) == []


def test_a_provider_that_writes_no_kind(provider: Provider, make_issuer: MakeIssuer, state: State) -> None:
    """ID tokens are kept out by their audience, and by what only they have."""
    issuer, plain = make_issuer({"types": ["at+jwt", "jwt"]}), {"typ": "JWT"}
    assert issuer.session(state, provider.forge(header=plain, typ="Bearer"))
    assert issuer.session(state, provider.forge(header={"typ": None}))
    assert refused(issuer, state, provider.forge(header=plain, aud="exchange")) == "audience"
    both = [AUDIENCE, "exchange"]
    assert refused(issuer, state, provider.forge(header=plain, aud=both, nonce="n")) == "kind"
    assert refused(issuer, state, provider.forge(header=plain, typ="ID")) == "kind"


def test_a_token_for_another_client_s_resource(provider: Provider, issuer: Issuer, state: State) -> None:
    assert refused(issuer, state, provider.token("elsewhere")) == "audience"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "\x00", "🚪", "x" * 255])
def test_a_key_s_id_leads_to_the_issuer_s_keys_and_nowhere_else(
    provider: Provider, issuer: Issuer, state: State, kid: str
) -> None:
    assert refused(issuer, state, provider.forge(header={"kid": kid})) == "key"


def _unsigned(provider: Provider, alg: str) -> str:
    head, body, _ = provider.forge().split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": alg}
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip('=')}.{body}."


def test_algorithms_are_not_the_token_s_to_choose(provider: Provider, issuer: Issuer, state: State) -> None:
    for alg in ("none", "None", "NONE", "nOnE"):
        assert refused(issuer, state, _unsigned(provider, alg) + "e30") == "algorithm"
        assert refused(issuer, state, _unsigned(provider, alg)) == "malformed"
    public = provider.key.private.public_key()
    for raw in (
        public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(provider.key.jwk(public=True)).encode(),
    ):
        assert refused(issuer, state, _by_hmac(provider, raw)) == "algorithm"
    assert refused(issuer, state, provider.forge(alg="RS512")) == "algorithm"
    assert refused(issuer, state, provider.forge(key=Key.ec().private, alg="ES256")) == "key"


def _by_hmac(provider: Provider, secret: bytes) -> str:
    """HS256 with what everybody knows, which PyJWT itself would not sign with."""
    import hashlib
    import hmac

    head = {"alg": "HS256", "kid": provider.key.kid, "typ": "at+jwt"}
    first = base64.urlsafe_b64encode(json.dumps(head).encode()).decode().rstrip("=")
    signed = f"{first}.{provider.forge().split('.')[1]}"
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), hashlib.sha256)).decode().rstrip("=")
    return f"{signed}.{mac}"


@pytest.fixture
def trap() -> Iterator[tuple[str, list[str]]]:
    """A server that gives away keys of its own, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/keys", asked
    server.shutdown()
    server.server_close()


def test_keys_that_a_token_brings_are_not_looked_at(
    provider: Provider, issuer: Issuer, state: State, trap: tuple[str, list[str]]
) -> None:
    mine, (url, asked) = Key.rsa(), trap
    for header in (
        {"jwk": mine.jwk(public=True)},
        {"jku": url},
        {"x5u": url},
        {"x5c": ["MIIB"]},
        {"jwk": mine.jwk(public=True), "kid": mine.kid},
        {"jku": url, "kid": mine.kid},
    ):
        text = provider.forge(key=mine.private, header=header)
        assert refused(issuer, state, text) == ("key" if "kid" in header else "signature")
    assert asked == []
    assert issuer.session(state, provider.forge(header={"jku": url, "x5u": url}))
    assert asked == []


@pytest.mark.parametrize(
    "text",
    [
        "..", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhc2tlciJ9.", "e30.e30.e30", "W10.W10.e30", "a" * 9000 + ".b.c",
        "\n.\n.\n", "eyJhbGciOjF9.e30.e30", "🚪.🚪.🚪",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_token(issuer: Issuer, state: State, text: str) -> None:
    assert refused(issuer, state, text) == "malformed"


def test_deep_nesting_is_no_error_of_ours(issuer: Issuer, state: State) -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"a"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(b'{"a":' * 900 + b"1" + b"}" * 900).decode().rstrip("=")
    assert refused(issuer, state, f"{head}.{body}.e30") == "malformed"


def test_a_changed_token(provider: Provider, issuer: Issuer, state: State) -> None:
    head, body, signature = provider.token().split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "head-sub"}
    other = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    assert refused(issuer, state, f"{head}.{other}.{signature}") == "signature"
