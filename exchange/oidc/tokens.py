"""Is this token one that the issuer signed, for this audience, of this kind, and good now?

As RFC 9068 (JWT access tokens), RFC 8725 (best practice) and OpenID Connect Core 3.1.3.7 (ID tokens) say. The key comes
from the issuer's own set, by its id: whatever key or address a token brings itself (`jwk`, `jku`, `x5u`, `x5c`) is not
looked at. The algorithm is one of those allowed, and one that the key is for.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

import jwt

from exchange.accounts import not_good
from exchange.oidc.claims import name_of
from exchange.oidc.provider import Provider

LEEWAY: Final = timedelta(seconds=60)
"""How far the provider's clock may be from ours."""
LONGEST: Final = 8_000
"""Characters of a token."""
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_OF_ID: Final = ("nonce", "at_hash", "c_hash", "s_hash", "events")
"""Claims that an ID token or a logout token has, and an access token has not."""


def looks_like_one(text: str) -> bool:
    """Whether it has the form of a signed JWT: everything else is a token of our own, or nothing."""
    return text.count(".") == 2


def issuer_of(text: str) -> Any:
    """Whose a token says that it is: for whose keys it is to be checked by. Unauthenticated for what is no token."""
    return _opened(text)[1].get("iss")


def checked(
    provider: Provider,
    text: str,
    now: datetime,
    *,
    audience: str,
    types: Collection[str],
    algorithms: Collection[str],
) -> dict[str, Any]:
    """The claims of a good token. Unauthenticated, in the same words for all others; Busy where the provider's keys
    cannot be had."""
    header, said = _opened(text)
    if header["alg"] not in algorithms:
        raise not_good("algorithm")
    if str(header.get("typ", "jwt")).lower().removeprefix("application/") not in types:
        raise not_good("kind")
    if said.get("iss") != provider.issuer:
        raise not_good("issuer")
    key = provider.key(header["kid"], header["alg"])
    if key is None:
        raise not_good("key")
    try:
        jwt.decode(text, key, algorithms=[header["alg"]], options=_SIGNATURE)
    except jwt.PyJWTError:
        raise not_good("signature") from None
    name = name_of(said, provider.prefix)
    _good_now(said, now, name)
    if audience not in (said["aud"] if isinstance(said.get("aud"), list) else [said.get("aud")]):
        raise not_good("audience", name)
    return said


_SIGNATURE: Final[Any] = {"verify_signature": True} | {
    f"verify_{each}": False for each in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}
"""The claims are looked at here, by the exchange's own clock."""


def _opened(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not proved yet."""
    if len(text) > LONGEST or not _FORM.fullmatch(text):
        raise not_good("malformed")
    try:
        found = jwt.decode_complete(text, options={"verify_signature": False} | _UNPROVED)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise not_good("malformed") from None
    header, said = found["header"], found["payload"]
    texts = (header.get("alg"), header.get("kid"), said.get("sub"))
    if not all(isinstance(each, str) and 0 < len(each) <= 255 for each in texts):
        raise not_good("malformed")
    return header, said


_UNPROVED: Final[Any] = {name: value for name, value in _SIGNATURE.items() if name != "verify_signature"}


def _good_now(said: dict[str, Any], now: datetime, name: str) -> None:
    """`exp`, `iat` and `nbf` (RFC 7519, 4.1), each a number."""
    moments: dict[str, Any] = {"exp": said.get("exp"), "iat": said.get("iat")}
    moments |= {"nbf": said["nbf"]} if "nbf" in said else {}
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in moments.values()):
        raise not_good("malformed")
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    if not moments["exp"] > moment - leeway:  # so that NaN is over
        raise not_good("expired", name)
    if not all(moments[name] <= moment + leeway for name in moments if name != "exp"):
        raise not_good("early", name)


def of_id(said: dict[str, Any]) -> bool:
    """Whether these are the claims of an ID token, which tells a client who logged in and opens nothing, or of
    another token that is none for access."""
    kind = said.get("typ", "Bearer")
    return any(each in said for each in _OF_ID) or kind not in ("Bearer", "at+jwt", "JWT")
