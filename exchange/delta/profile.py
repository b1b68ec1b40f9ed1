"""The profile file by which Delta Sharing's readers find an exchange and their token (Profile File Format)."""

from __future__ import annotations

import json

from exchange.accounts import Token


def profile_of(url: str, text: str, token: Token) -> str:
    """The file's text. `url` is the exchange's address; the token stands in it in clear."""
    said = {
        "shareCredentialsVersion": 1,
        "endpoint": f"{url.rstrip('/')}/delta-sharing",
        "bearerToken": text,
        "expirationTime": token.expires.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return json.dumps(said, indent=1)
