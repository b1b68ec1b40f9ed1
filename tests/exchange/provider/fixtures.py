"""The provider, once for a module, and issuers that check its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from exchange.oidc.issuer import Issuer, open_issuer
from schemas.settings import Settings
from tests.exchange.clock import Clock
from tests.exchange.provider import AUDIENCE, Provider

DEPARTMENTS = ("education", "transport", "health")
CLAIMS: dict[str, Any] = {
    "clients": {
        name: {"department": "education", "roles": ["requester"]}
        for name in ("education-etl", "education-bi")
    },
    "contact": "数据局 idp@city.example",
}
MakeIssuer = Callable[..., Issuer]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture
def today() -> Clock:
    """A clock that stands still, five minutes before the provider's: however slow the machine, what the provider signs
    meanwhile (for ten minutes) is good, and is not of a time to come."""
    return Clock(datetime.now(UTC) + timedelta(minutes=5))


@pytest.fixture
def make_issuer(provider: Provider, tmp_path: Path, today: Clock) -> MakeIssuer:
    """An issuer of the provider, with these claims and settings."""

    def make(
        claims: dict[str, Any] | None = None, clock: Callable[[], datetime] = today, **said: Any
    ) -> Issuer:
        file = tmp_path / "identity.yaml"
        file.write_text(yaml.safe_dump({**CLAIMS, **(claims or {})}, allow_unicode=True), encoding="utf-8")
        settings = {
            "oidc_issuer": provider.issuer,
            "oidc_audience": AUDIENCE,
            "oidc_client_id": "exchange",
            "oidc_client_secret": SecretStr("secret of: exchange%"),
            "oidc_claims": file,
        }
        made = open_issuer(Settings(home=tmp_path, **(settings | said)), DEPARTMENTS, clock)
        assert made is not None
        return made

    return make


@pytest.fixture
def issuer(make_issuer: MakeIssuer) -> Issuer:
    return make_issuer()
