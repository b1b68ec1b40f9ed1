"""Login of a person: authorisation code (RFC 6749, 4.1) with PKCE (RFC 7636), state and nonce.

An attempt is one secret in the browser's cookie, from which state, nonce and verifier are worked out: the answer counts
for the browser that asked, once, and nothing is kept of it here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from exchange.accounts import not_good
from exchange.borrowed import Vouched
from exchange.errors import Busy, NotThere
from exchange.oidc.claims import has
from exchange.oidc.issuer import Issuer
from exchange.oidc.provider import bounded, safe, silent

SCOPE: Final = "openid profile"


@dataclass(frozen=True)
class Attempt:
    """One login, from its start to the provider's answer."""

    seed: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def of(self, purpose: str) -> str:
        """`state`, `nonce`, `verifier`: 43 characters each, and none of them tells another."""
        made = hmac.digest(self.seed.encode(), purpose.encode(), "sha256")
        return _base64(made)

    @property
    def challenge(self) -> str:
        return _base64(hashlib.sha256(self.of("verifier").encode()).digest())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def start(issuer: Issuer, attempt: Attempt, redirect: str) -> str:
    """Where the browser is sent to log in. NotThere where the exchange has no client at the provider."""
    if not issuer.client_id:
        raise NotThere("people do not log in by an identity provider here", next_step="log in by password")
    asked = {
        "response_type": "code",
        "client_id": issuer.client_id,
        "redirect_uri": redirect,
        "scope": SCOPE,
        "state": attempt.of("state"),
        "nonce": attempt.of("nonce"),
        "code_challenge": attempt.challenge,
        "code_challenge_method": "S256",
    }
    return _with(_endpoint(issuer, "authorization_endpoint"), asked)


def finish(issuer: Issuer, attempt: Attempt, redirect: str, answer: dict[str, str]) -> Vouched:
    """Who logged in, by the answer that the browser brought back. Unauthenticated for an answer to another attempt,
    of another issuer (RFC 9207), or that the provider does not stand by; Unplaced as for an access token."""
    document = issuer.provider.document()
    if not hmac.compare_digest(answer.get("state", "").encode(), attempt.of("state").encode()):
        raise not_good("login")
    needs = document.get("authorization_response_iss_parameter_supported") is True
    if answer.get("iss", None if needs else issuer.provider.issuer) != issuer.provider.issuer:
        raise not_good("login")
    if "code" not in answer:
        raise not_good("login")
    given = _tokens(issuer, attempt, redirect, answer["code"])
    said = issuer.claims_of_id(str(given.get("id_token", "")), attempt.of("nonce"))
    return issuer.vouched(_completed(issuer, said, given), issuer.clock())


def leave(issuer: Issuer, back: str) -> str | None:
    """Where the browser is sent to log out at the provider too, where that can be."""
    url = issuer.provider.document().get("end_session_endpoint")
    if not (issuer.client_id and safe(url)):
        return None
    return _with(str(url), {"client_id": issuer.client_id, "post_logout_redirect_uri": back})


def _tokens(issuer: Issuer, attempt: Attempt, redirect: str, code: str) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "client_id": issuer.client_id,
        "code_verifier": attempt.of("verifier"),
    }
    methods = issuer.provider.document().get("token_endpoint_auth_methods_supported", [])
    basic = None
    if issuer.secret and "client_secret_basic" not in methods and "client_secret_post" in methods:
        form["client_secret"] = issuer.secret
    elif issuer.secret:
        basic = httpx.BasicAuth(quote(issuer.client_id, safe=""), quote(issuer.secret, safe=""))
    return _asked(issuer, "POST", "token_endpoint", data=form, auth=basic)


def _completed(issuer: Issuer, said: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The claims, with those of the userinfo endpoint (OpenID Connect Core, 5.3) where the ID token lacks some."""
    claims = (issuer.claims.department.claim, issuer.claims.roles.claim)
    document, access = issuer.provider.document(), given.get("access_token")
    if all(has(said, each) for each in claims) or "userinfo_endpoint" not in document or not access:
        return said
    bearer = {"Authorization": f"Bearer {access}"}
    more = _asked(issuer, "GET", "userinfo_endpoint", headers=bearer)
    if more.get("sub") != said["sub"]:
        raise not_good("login")
    return more | said


def _asked(
    issuer: Issuer, method: str, endpoint: str, auth: httpx.Auth | None = None, **more: Any
) -> dict[str, Any]:
    """An answer of the provider. Unauthenticated where it says no, Busy where it says nothing, or too much."""
    http, url = issuer.provider.http, _endpoint(issuer, endpoint)
    try:
        with closing(http.send(http.build_request(method, url, **more), auth=auth, stream=True)) as answer:
            found = json.loads(bounded(answer)) if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        raise silent() from None
    if answer.is_client_error:
        raise not_good("login")
    if not isinstance(found, dict):
        raise silent()
    return found


def _endpoint(issuer: Issuer, name: str) -> str:
    url = issuer.provider.document().get(name)
    if not safe(url):
        raise Busy(f"the identity provider names no {name} that is https", next_step="tell the operator")
    return str(url)


def _with(url: str, asked: dict[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"
