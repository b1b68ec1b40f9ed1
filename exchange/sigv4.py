"""Is this call signed as AWS Signature Version 4 says, by whoever has the secret?

The form is that of the Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header". The pass
comes as the session token, and its secret is worked out from it: there is nothing to look up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from exchange.errors import Unauthenticated

SKEW: Final = timedelta(minutes=15)
"""How far a caller's clock may be from ours (S3: RequestTimeTooSkewed)."""
ALGORITHM: Final = "AWS4-HMAC-SHA256"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]{16,128})/(\d{8})/([a-z0-9-]{1,64})/s3/aws4_request,"
    r" ?SignedHeaders=([a-z0-9;-]{1,1000}),"
    r" ?Signature=([0-9a-f]{64})"
)
_NEEDED: Final = {"host", "x-amz-date", "x-amz-security-token"}


@dataclass(frozen=True)
class Call:
    """A call as it came: the path and the query as they were written, headers by their small names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


def session_token(call: Call, now: datetime, key_pair: Callable[[str], tuple[str, str]]) -> str:
    """The session token of a call that is signed with its secret. Unauthenticated, in the same words, for others."""
    parts = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
    token = call.headers.get("x-amz-security-token", "")
    if parts is None or not token.isascii():
        raise _unsigned()
    ident, day, region, names, signature = parts.groups()
    signed = names.split(";")
    moment = _moment(call.headers.get("x-amz-date", ""))
    right_id, secret = key_pair(token)
    scope = f"{day}/{region}/s3/aws4_request"
    text = string_to_sign(call, signed, scope)
    right = hmac.compare_digest(signature, signature_of(secret, day, region, text))
    fresh = moment is not None and abs(now - moment) <= SKEW and f"{moment:%Y%m%d}" == day
    if not (right and fresh and set(signed) >= _NEEDED and hmac.compare_digest(ident, right_id)):
        raise _unsigned()
    return token


def _unsigned() -> Unauthenticated:
    return Unauthenticated(
        "the call is not signed, or not with credentials of ours that hold",
        reason="unsigned",
        next_step="load the table again",
    )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def string_to_sign(call: Call, signed: Sequence[str], scope: str) -> str:
    """Of a canonical request with these headers, in the order that they were named."""
    headers = "".join(f"{name}:{' '.join(call.headers.get(name, '').split())}\n" for name in signed)
    payload = call.headers.get("x-amz-content-sha256", "")
    canonical = "\n".join(
        (call.method, call.path, _canonical_query(call.query), headers, ";".join(signed), payload)
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join((ALGORITHM, call.headers.get("x-amz-date", ""), scope, digest))


def _canonical_query(query: str) -> str:
    pairs = [each.partition("=")[::2] for each in query.split("&") if each]
    return "&".join(
        f"{name}={value}"
        for name, value in sorted((_escaped(name), _escaped(value)) for name, value in pairs)
    )


def _escaped(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def signature_of(secret: str, day: str, region: str, text: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()
