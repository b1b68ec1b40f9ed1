"""What the identity provider says of itself: its endpoints (OpenID Connect Discovery) and its public keys (RFC 7517).

Both are kept and read again after an hour; a key that nobody knows makes them be read at once, so that a rotation is
found, but never twice within half a minute, so that made-up keys make no flood. While the provider does not answer
what was read last goes on, for a day.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from exchange.accounts import OF_ISSUER
from exchange.errors import Busy

log = logging.getLogger(__name__)

FRESH: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=1)
PAUSE: Final = timedelta(seconds=30)
LARGEST: Final = 1 << 20
"""Bytes of an answer."""
RSA_BITS: Final = 2048
_OF_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVE: Final = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
_OF_OKP: Final = {"Ed25519": ("EdDSA",), "Ed448": ("EdDSA",)}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def safe(url: Any) -> bool:
    """Whether nobody on the way can change what is read there: https, or this machine."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and (
            (parts.scheme == "https" and bool(parts.hostname))
            or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        )
    except ValueError:
        return False


@dataclass(frozen=True)
class Known:
    """As it was read. `keys` are by id and algorithm: a key is good for the algorithms that it is made for alone."""

    document: Mapping[str, Any]
    keys: Mapping[tuple[str, str], PyJWK]
    at: datetime

    def has(self, kid: str) -> bool:
        return any(kid == each for each, _ in self.keys)


class Provider:
    """One issuer. `algorithms` are those that are allowed; `prefix` is how the names of its subjects begin here."""

    def __init__(
        self,
        issuer: str,
        algorithms: Collection[str],
        http: httpx.Client,
        clock: Callable[[], datetime],
        prefix: str = OF_ISSUER,
    ) -> None:
        self.issuer, self.http, self.prefix = issuer, http, prefix
        self._algorithms, self._clock = algorithms, clock
        self._known: Known | None = None
        self._tried: datetime | None = None
        self._lock = Lock()

    def document(self) -> Mapping[str, Any]:
        """The discovery document. Busy where the provider does not answer, and has not for a day."""
        return self._current().document

    def key(self, kid: str, algorithm: str) -> PyJWK | None:
        """The key of this id for this algorithm; None where the provider has none such. Busy as `document`."""
        known = self._current()
        if not known.has(kid):
            known = self._renewed(known, wait=True) or known
        return known.keys.get((kid, algorithm))

    def _current(self) -> Known:
        known, now = self._known, self._clock()
        if known is None or now - known.at >= FRESH:
            known = self._renewed(known, wait=known is None or now - known.at >= KEPT)
        if known is None or now - known.at >= KEPT:
            raise silent()
        return known

    def _renewed(self, seen: Known | None, *, wait: bool) -> Known | None:
        """Read again, once for all who ask at one time, and not at all within `PAUSE` of the last time. Who need not
        `wait` for another's reading goes on with what was `seen`: a provider that hangs holds up one caller."""
        if not self._lock.acquire(blocking=wait):
            return seen
        try:
            now = self._clock()
            if self._known is not seen or (self._tried is not None and now - self._tried < PAUSE):
                return self._known
            self._tried = now
            self._known = self._read(now)
        except (httpx.HTTPError, ValueError) as error:
            log.warning("the identity provider's keys cannot be read: %s", type(error).__name__)
        finally:
            self._lock.release()
        return self._known

    def _read(self, now: datetime) -> Known:
        document = self._json(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self.issuer:
            raise ValueError("the document is another issuer's")
        keys = self._json(document.get("jwks_uri")).get("keys")
        found = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
        return Known(document, dict(pair for each in found for pair in _usable(each, self._algorithms)), now)

    def _json(self, url: Any) -> dict[str, Any]:
        if not safe(url):
            raise ValueError("an address of the provider is not https")
        with self.http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
            answer.raise_for_status()
            found = json.loads(bounded(answer))
        if not isinstance(found, dict):
            raise ValueError("the provider's answer is no object")
        return found


def bounded(answer: httpx.Response) -> bytes:
    """The body. ValueError where it is larger than `LARGEST`, or packed, which was not asked for: unpacked it may be
    of any size."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise ValueError("the provider's answer is packed")
    body = b""
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > LARGEST:
            raise ValueError("the provider's answer is too large")
    return body


def silent() -> Busy:
    """What is said while the provider does not answer, or nothing that can be read."""
    return Busy(
        "统一身份认证暂无响应 the city's identity provider does not answer", next_step="try again in a minute"
    )


def _usable(jwk: dict[str, Any], allowed: Collection[str]) -> list[tuple[tuple[str, str], PyJWK]]:
    """A public key for signatures, under each algorithm that it may be used with; nothing for any other."""
    kid, kind, curve = jwk.get("kid"), jwk.get("kty"), jwk.get("crv")
    of_curve = _OF_CURVE if kind == "EC" else _OF_OKP if kind == "OKP" else {}
    fitting = _OF_RSA if kind == "RSA" else of_curve.get(curve, ()) if isinstance(curve, str) else ()
    if not isinstance(kid, str) or jwk.get("use", "sig") != "sig":
        return []
    made = []
    for algorithm in fitting:
        if algorithm in allowed and jwk.get("alg", algorithm) == algorithm:
            with suppress(PyJWTError, ValueError, TypeError):
                key = PyJWK(jwk, algorithm)
                if kind != "RSA" or key.key.key_size >= RSA_BITS:
                    made.append(((kid, algorithm), key))
    return made
