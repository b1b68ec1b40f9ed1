"""Sending notices: e-mail over SMTP, and signed webhooks. Each delivery is claimed, tried, and tried again later.

A process that is killed between the sending and the note of it sends once more: the second has the same `Message-ID`,
or the same `webhook-id`, by which a receiver knows it. Webhooks are signed as Standard Webhooks says, with the
platform's own Ed25519 key (`v1a`), whose public half lies in the lake's `proof/keys`: no secret has to be shared.
"""

from __future__ import annotations

import base64
import json
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import sqlalchemy as sa

from exchange.desk import Desk
from exchange.notices import Kept, Notice, kept
from exchange.schema import DELIVERIES, NOTICES
from exchange.state import moment_text
from exchange.words import body, subject
from lake.signing import Signer
from schemas.errors import SettingsError

CONNECTION: Final = "xuanwu_smtp"
WAITS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360, 720, 1440))
"""Between one try and the next; after the last it is given up, and stays in the inbox."""
CLAIM: Final = timedelta(minutes=10)
"""So long a delivery belongs to who tries it; it takes `TIMEOUT` a step at most."""
TIMEOUT: Final = 20.0
"""Seconds that a server may take to answer."""


@dataclass(frozen=True)
class Mail:
    """An SMTP server, of `smtp://[user:password@]host[:port]?from=…[&tls=none]` or `smtps://…`. STARTTLS is asked for
    unless it says `tls=none`, as for a relay on the same machine."""

    host: str
    port: int
    sender: str
    tls: str
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Mail({self.host}:{self.port})"


@dataclass(frozen=True)
class Post:
    """By what notices are sent. `mail` is None where there is no SMTP server: e-mail then waits for one."""

    mail: Mail | None
    signer: Signer


@dataclass
class Sent:
    """What became of the deliveries that were due."""

    sent: int = 0
    later: int = 0
    given_up: int = 0


def mail_of(connect: Callable[[str], str]) -> Mail | None:
    """The SMTP server of the connection `xuanwu_smtp`; None where there is none. SettingsError, without the password,
    where it is malformed."""
    try:
        text = connect(CONNECTION)
    except SettingsError:
        return None
    try:
        url = urlsplit(text)
        said = {name: values[0] for name, values in parse_qs(url.query).items()}
        tls = "implicit" if url.scheme == "smtps" else said.get("tls", "starttls")
        ports = {"implicit": 465, "starttls": 587, "none": 25}
        mail = Mail(
            url.hostname or "",
            url.port or ports[tls],
            said["from"],
            tls,
            unquote(url.username or ""),
            unquote(url.password or ""),
        )
        if url.scheme not in ("smtp", "smtps") or not mail.host or "@" not in mail.sender:
            raise ValueError
    except (ValueError, KeyError):
        raise SettingsError(
            f"the connection {CONNECTION} is malformed",
            expected="smtp://[user:password@]host[:port]?from=address[&tls=none], or smtps://",
        ) from None
    return mail


def send(desk: Desk, post: Post) -> Sent:
    """Try every delivery that is due. What one address's server refuses does not keep the others waiting."""
    done = Sent()
    with _servers(post) as servers:
        for claimed in _due(desk, mail=post.mail is not None):
            why = _tried(desk, post, servers, claimed)
            _note(desk, claimed, why, done)
    return done


# ── the outbox ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Claimed:
    kind: str
    address: str
    tries: int
    kept: Kept


def _due(desk: Desk, *, mail: bool) -> Iterator[_Claimed]:
    """Deliveries whose time has come, each claimed before it is given: of two processes one has it."""
    now = desk.clock()
    waiting = sa.and_(DELIVERIES.c.state == "waiting", DELIVERIES.c.after <= moment_text(now))
    if not mail:
        waiting = sa.and_(waiting, DELIVERIES.c.kind != "email")
    with desk.state.begin() as connection:
        query = sa.select(DELIVERIES, NOTICES).join(NOTICES).where(waiting).order_by(DELIVERIES.c.notice)
        rows = connection.execute(query).all()
    for row in rows:
        said = row._mapping
        same = sa.and_(waiting, *(each == said[each] for each in DELIVERIES.primary_key.columns))
        claim = (
            sa.update(DELIVERIES)
            .where(same)
            .values(after=moment_text(now + CLAIM), tries=said[DELIVERIES.c.tries] + 1)
        )
        with desk.state.begin() as connection:
            mine = connection.execute(claim).rowcount
        if mine:
            notice = {each.name: said[each] for each in NOTICES.columns}
            yield _Claimed(
                said[DELIVERIES.c.kind],
                said[DELIVERIES.c.address],
                said[DELIVERIES.c.tries] + 1,
                kept(notice),
            )


def _note(desk: Desk, claimed: _Claimed, why: str, done: Sent) -> None:
    """What became of a try: sent, to be tried later, or given up."""
    values: dict[str, Any] = {"state": "sent", "why": ""}
    if why and claimed.tries > len(WAITS):
        values = {"state": "given up", "why": why}
    elif why:
        values = {"why": why, "after": moment_text(desk.clock() + WAITS[claimed.tries - 1])}
    same = sa.and_(
        DELIVERIES.c.notice == claimed.kept.id,
        DELIVERIES.c.kind == claimed.kind,
        DELIVERIES.c.address == claimed.address,
    )
    with desk.state.begin() as connection:
        connection.execute(sa.update(DELIVERIES).where(same).values(values))
    done.sent += not why
    done.later += bool(why) and "state" not in values
    done.given_up += values.get("state") == "given up"


# ── by mail, by webhook ───────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Servers:
    """Connections that are kept for all deliveries of one run."""

    mail: Mail | None
    smtp: smtplib.SMTP | None = None

    def opened(self) -> smtplib.SMTP:
        if self.smtp is None:
            self.smtp = _connected(self.mail)
        return self.smtp

    def close(self) -> None:
        if self.smtp is not None:
            self.smtp.close()
            self.smtp = None


@contextmanager
def _servers(post: Post) -> Iterator[_Servers]:
    servers = _Servers(post.mail)
    try:
        yield servers
    finally:
        servers.close()


def _connected(mail: Mail | None) -> smtplib.SMTP:
    if mail is None:
        raise smtplib.SMTPException("no server")
    safely = ssl.create_default_context()
    if mail.tls == "implicit":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=TIMEOUT, context=safely)
    else:
        smtp = smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT)
    try:
        if mail.tls == "starttls":
            smtp.starttls(context=safely)
        if mail.user:
            smtp.login(mail.user, mail.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _tried(desk: Desk, post: Post, servers: _Servers, claimed: _Claimed) -> str:
    """Why it could not be sent, in our own words: a server's may quote what was sent. Empty where it was."""
    import httpx

    try:
        if claimed.kind == "email" and post.mail:
            servers.opened().send_message(_message(desk, post.mail, claimed))
            return ""
        return _posted(desk, post.signer, claimed)
    except smtplib.SMTPResponseException as error:
        servers.close()
        return f"the mail server said {error.smtp_code}"
    except (smtplib.SMTPException, httpx.HTTPError, OSError) as error:
        servers.close()
        return type(error).__name__


def _message(desk: Desk, mail: Mail, claimed: _Claimed) -> EmailMessage:
    message = EmailMessage()
    message["From"] = mail.sender
    message["To"] = claimed.address
    message["Subject"] = subject(claimed.kept.notice)
    message["Date"] = format_datetime(claimed.kept.made)
    message["Message-ID"] = f"<notice-{claimed.kept.id}.{_ident(claimed)}@xuanwu>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body(claimed.kept.notice, desk.catalogue))
    return message


def _ident(claimed: _Claimed) -> str:
    """Tells a notice from those of the same number on other platforms; the same whenever it is sent again."""
    import hashlib

    return hashlib.sha256(f"{claimed.kept.notice.key} {claimed.kept.made}".encode()).hexdigest()[:16]


def _type(notice: Notice) -> str:
    """What a webhook is about, in a word that receivers sort by."""
    if notice.kind == "delivery":
        return "delivery.failed"
    if notice.risk is not None:
        return f"risk.{notice.risk[0]}"
    return f"{notice.case}.{notice.kind}"


def _posted(desk: Desk, signer: Signer, claimed: _Claimed) -> str:
    """POST it. Redirects are not followed: the address is the operator's, and no other."""
    import httpx

    notice = claimed.kept.notice
    ident = f"notice_{claimed.kept.id}_{_ident(claimed)}"
    said = {
        "type": _type(notice),
        "timestamp": claimed.kept.made.isoformat(),
        "data": {
            **notice.numbers,
            "dataset": notice.dataset,
            "policy": notice.policy,
            "about": notice.about,
            "state": notice.state,
            "due": notice.due.isoformat() if notice.due else None,
            "department": notice.department,
            "text": body(notice, desk.catalogue),
        },
    }
    content, moment = json.dumps(said, ensure_ascii=False).encode(), str(int(desk.clock().timestamp()))
    signed = signer.private.sign(f"{ident}.{moment}.".encode() + content)
    headers = {
        "content-type": "application/json",
        "webhook-id": ident,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1a,{base64.b64encode(signed).decode()}",
    }
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        answer = client.post(claimed.address, content=content, headers=headers)
    return "" if answer.is_success else f"the receiver said {answer.status_code}"
