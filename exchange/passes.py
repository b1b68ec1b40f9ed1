"""Passes: what a reader shows for the files of one table, or for one file, in place of its token.

A pass is a statement of ours, signed: whose token it was made with, for which table (and file), until when. It is asked
again at each use whether that token and that right to read still hold, so that a revocation, a suspension and the end
of a grant end every pass at once. Nothing is kept of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from exchange.access import Access, access
from exchange.accounts import Session, session_by
from exchange.desk import Desk
from exchange.errors import Unauthenticated
from exchange.trail import Door
from lake.signing import canonical

URL_LIVES: Final = timedelta(minutes=15)
"""How long a URL to one file is good for, ours and an object store's."""
TABLE_LIVES: Final = timedelta(hours=1)
"""How long the credentials for the files of a table are good for."""
_PURPOSE: Final = "exchange pass"
_SECRET: Final = "exchange s3 secret"  # noqa: S105  what it is for
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")
LONGEST: Final = 2_000
"""Characters of a pass."""


@dataclass(frozen=True)
class Pass:
    """`key` is the one file that it is for, or empty: every file of the table. `until` is in seconds of Unix time."""

    token: str
    door: Door
    dataset: str
    policy: str
    key: str
    until: int


@dataclass(frozen=True)
class Bearer:
    """Who came with a pass, and what it is good for just now."""

    session: Session
    access: Access
    shown: Pass


def issue(
    desk: Desk, session: Session, right: Access, door: Door, lives: timedelta, *, key: str = ""
) -> tuple[str, int]:
    """A pass's text, of characters that a URL's path takes, and until when it is good (seconds of Unix time)."""
    until = int((desk.clock() + lives).timestamp())
    said = asdict(Pass(session.token, door, right.entry.id, right.policy, key, until))
    signature = desk.log.signer.sign(_PURPOSE, said).translate(_URL).rstrip("=")
    return f"{_encoded(canonical(said))}.{signature}", until


_URL: Final = str.maketrans("+/", "-_")
_PLAIN: Final = str.maketrans("-_", "+/")


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def bearer(desk: Desk, text: str) -> Bearer:
    """Who shows this pass. Unauthenticated, in the same words, for one that is none, is altered or has run out, and
    where its token has; Forbidden and NotThere as `exchange.access.access` says."""
    shown = _read(desk, text)
    if shown is None or shown.until <= desk.clock().timestamp():
        raise Unauthenticated(
            "the pass is unknown or expired", reason="pass", next_step="ask for the table again"
        )
    session = session_by(desk.state, shown.token, desk.clock())
    return Bearer(session, access(desk, session, shown.dataset, shown.policy), shown)


def _read(desk: Desk, text: str) -> Pass | None:
    if len(text) > LONGEST or not _FORM.fullmatch(text):
        return None
    body, _, signature = text.partition(".")
    try:
        raw = base64.b64decode(body.translate(_PLAIN) + "=" * (-len(body) % 4), validate=True)
        said = json.loads(raw)
    except (ValueError, binascii.Error, RecursionError):
        return None
    signer, padded = desk.log.signer, signature.translate(_PLAIN) + "=" * (-len(signature) % 4)
    if not isinstance(said, dict) or _encoded(raw) != body:
        return None
    try:
        if canonical(said) != raw or not signer.trust.signed(_PURPOSE, said, signer.id, padded):
            return None
    except (TypeError, UnicodeEncodeError):
        return None
    return Pass(**said)


def key_pair(desk: Desk, text: str) -> tuple[str, str]:
    """The access key id and secret that go with a pass, for readers that speak S3."""
    secret = desk.log.signer.secret(_SECRET, text)
    return f"XW{desk.log.signer.secret('exchange s3 key id', text)[:18].upper()}", secret
