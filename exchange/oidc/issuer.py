"""The city's identity provider, as the exchange uses it: whose an access token is, and who has logged in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from exchange.accounts import OF_ISSUER, Session, not_good
from exchange.borrowed import Vouched, introduce
from exchange.oidc.claims import Claims, principal_of, read_claims, scopes_of
from exchange.oidc.provider import Provider, safe
from exchange.oidc.tokens import LEEWAY, checked, issuer_of, of_id
from exchange.state import State
from schemas.errors import SettingsError
from schemas.settings import Settings

TIMEOUT: Final = 5.0
"""Seconds that the provider has for an answer."""
LONGEST: Final = timedelta(days=366)


@dataclass(frozen=True)
class Issuer:
    """`audience` is what access tokens for the exchange name; `client_id` and `secret` are the exchange's own, for the
    login of people, where it has any. `others` are issuers whose access tokens are taken besides, each by its own keys
    and claims: nobody logs in by them."""

    provider: Provider
    claims: Claims
    audience: str
    departments: Collection[str]
    clock: Callable[[], datetime]
    client_id: str = ""
    secret: str = field(default="", repr=False)
    others: tuple[Issuer, ...] = ()

    def session(self, state: State, text: str) -> Session:
        """Whom an access token stands for, of the city's own issuer or another. Unauthenticated for one that is not
        good, Unplaced for somebody without department or role, Busy where its issuer's keys cannot be had."""
        told = issuer_of(text) if self.others else None
        whose = next((each for each in self.others if each.provider.issuer == told), self)
        return whose._session(state, text)

    def _session(self, state: State, text: str) -> Session:
        now = self.clock()
        said = checked(
            self.provider,
            text,
            now,
            audience=self.audience,
            types=self.claims.types,
            algorithms=self.claims.algorithms,
        )
        if of_id(said):
            raise not_good("kind")
        scopes = scopes_of(self.claims, said)
        return introduce(state, self.vouched(said, now), now, token=text, scopes=scopes)

    def vouched(self, said: dict[str, Any], now: datetime) -> Vouched:
        """What the provider says of somebody in claims that were checked."""
        principal = principal_of(self.claims, said, self.departments, self.provider.prefix)
        ends = min(said["exp"], (now + LONGEST).timestamp()) + LEEWAY.total_seconds()
        made = min(said["iat"], now.timestamp())
        return Vouched(principal, _moment(made), _moment(ends))

    def claims_of_id(self, text: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token for this exchange's login (OpenID Connect Core, 3.1.3.7)."""
        said = checked(
            self.provider,
            text,
            self.clock(),
            audience=self.client_id,
            types=("jwt",),
            algorithms=self.claims.algorithms,
        )
        if said.get("nonce") != nonce or said.get("azp", self.client_id) != self.client_id:
            raise not_good("login")
        return said


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(max(0, seconds), UTC)


def open_issuer(
    settings: Settings, departments: Collection[str], clock: Callable[[], datetime]
) -> Issuer | None:
    """The issuer of the settings; None where there is none. SettingsError says which setting is missing or cannot be.
    Nothing is asked of the provider yet."""
    if not settings.oidc_issuer:
        return None
    if not safe(settings.oidc_issuer):
        raise SettingsError(
            "XUANWU_OIDC_ISSUER is malformed", expected="the issuer's https:// address (http:// on loopback)"
        )
    if not settings.oidc_audience:
        raise SettingsError(
            "XUANWU_OIDC_AUDIENCE is missing",
            expected="what the provider writes in `aud` of access tokens for the exchange",
            next_step="register the exchange as a resource (an API) at the provider",
        )
    if settings.oidc_audience == settings.oidc_client_id:
        raise SettingsError(
            "XUANWU_OIDC_AUDIENCE is the client's own id, which the provider writes into ID tokens too",
            expected="an audience of the exchange's own, such as its address",
        )
    claims = read_claims(settings.oidc_claims, departments)
    if any(each.issuer == settings.oidc_issuer for each in claims.others.values()):
        raise SettingsError("the claims' file has the city's own issuer among the others")
    return Issuer(
        provider=_provider(settings.oidc_issuer, claims, clock),
        claims=claims,
        audience=settings.oidc_audience,
        departments=frozenset(departments),
        clock=clock,
        client_id=settings.oidc_client_id,
        secret=settings.oidc_client_secret.get_secret_value(),
        others=tuple(
            Issuer(
                provider=_provider(each.issuer, each, clock, f"{OF_ISSUER}{name}:"),
                claims=each,
                audience=each.audience,
                departments=frozenset(departments),
                clock=clock,
            )
            for name, each in claims.others.items()
        ),
    )


def _provider(
    issuer: str, claims: Claims, clock: Callable[[], datetime], prefix: str = OF_ISSUER
) -> Provider:
    http = httpx.Client(timeout=TIMEOUT, follow_redirects=False, headers={"Accept-Encoding": "identity"})
    return Provider(issuer, claims.algorithms, http, clock, prefix)
