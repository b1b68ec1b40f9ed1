"""Accounts and personal tokens of our own, for a city (or one machine) without an OpenID Connect issuer.

A password is kept as Argon2id. A token `xw_<id>_<secret>` is shown once and kept as SHA-256: the secret has 256 random
bits, which a slow hash would make no safer. Tokens have scopes, end on a day, and can be revoked; a closed account's
tokens end with it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from typing import Any, Final, Literal, cast, get_args

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from exchange.errors import NotThere, Unauthenticated, Unfit
from exchange.people import ROLES, Principal, Role
from exchange.schema import ACCOUNTS, TOKENS
from exchange.state import State, keeps, moment_text

Scope = Literal["read", "request"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""read: share tables that are granted. request: applying, answering, deciding."""
Kind = Literal["personal", "login", "issuer"]
"""personal: shown once, for a person or a system. login: in a browser's cookie, and good nowhere else. issuer: an
access token of the identity provider, of which a digest is kept from its first use to its end."""
LONGEST: Final = timedelta(days=366)
REMEMBERED: Final = timedelta(days=7)
"""How long an ended login, or token of the provider, is listed."""
OF_ISSUER: Final = "oidc:"
"""How the names of the identity provider's people and systems begin; no account of our own can be called so."""
BORROWED: Final = timedelta(days=30)
"""The longest personal token of somebody whom the provider vouches for: their department and roles are as old as their
last login."""
_TOKEN = re.compile(r"xw_([a-z0-9]{16})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,99}")


@dataclass(frozen=True)
class Token:
    """What is kept of a token; the secret is not."""

    id: str
    account: str
    note: str
    scopes: tuple[Scope, ...]
    made: datetime
    expires: datetime
    revoked: datetime | None
    kind: Kind = "personal"


@dataclass(frozen=True)
class Account:
    """Who may come in, and by which tokens that are good now; of the identity provider's people as it last said."""

    name: str
    department: str
    roles: tuple[Role, ...]
    password: bool
    closed: datetime | None
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Session:
    """Who calls, and what the token that they came with is good for."""

    principal: Principal
    scopes: frozenset[Scope]
    token: str
    kind: Kind = "personal"


# ── accounts ──────────────────────────────────────────────────────────────────────────────────────────────


def open_account(
    state: State,
    name: str,
    department: str,
    roles: Iterable[str],
    password: str | None = None,
    *,
    beside: Callable[[], object] = lambda: None,
) -> Principal:
    """A new account. Unfit where the name is taken or malformed, a role is unknown, or a password is too short.
    `beside` is done before it is there, and where that fails it is not."""
    said = tuple(dict.fromkeys(roles))
    if not _NAME.fullmatch(name):
        raise Unfit("an account's name is malformed", expected="small letters, digits and . _ @ -")
    if unknown := [role for role in said if role not in ROLES]:
        raise Unfit(f"no role {', '.join(unknown)}", expected=", ".join(ROLES))
    if department and set(said) == {"public"}:
        raise Unfit("the public is of no department", expected="another role, or no department")
    kept = None if password is None else _hashed(password)
    row = {"name": name, "department": department, "roles": list(said), "password": kept, "closed": None}
    try:
        with state.begin() as connection:
            connection.execute(sa.insert(ACCOUNTS).values(row))
            beside()
    except IntegrityError:
        raise Unfit("there is an account of this name", next_step="choose another name") from None
    return Principal(name, department, frozenset(cast("tuple[Role, ...]", said)))


def _hashed(password: str) -> str:
    from argon2 import PasswordHasher

    if len(password) < 12:
        raise Unfit("the password is too short", expected="12 characters or more")
    return PasswordHasher().hash(password)


def close_account(state: State, name: str, now: datetime) -> None:
    """Nobody comes in by it any more, at once. NotThere where there is none."""
    with state.begin() as connection:
        changed = connection.execute(
            sa.update(ACCOUNTS).where(ACCOUNTS.c.name == name).values(closed=moment_text(now))
        ).rowcount
    if not changed:
        raise NotThere(f"no account `{name}`")


def is_closed(state: State, name: str) -> bool:
    """Whether there was such an account, and is no more."""
    with state.begin() as connection:
        query = sa.select(ACCOUNTS.c.name).where(ACCOUNTS.c.name == name, ACCOUNTS.c.closed.isnot(None))
        return connection.execute(query).first() is not None


def accounts(state: State, now: datetime) -> list[Account]:
    """Every account by name, closed ones too; whether there is a password, and never what is kept of it."""
    good: dict[str, list[Token]] = {}
    for each in tokens(state):
        if each.revoked is None and each.expires > now:
            good.setdefault(each.account, []).append(each)
    with state.begin() as connection:
        rows = connection.execute(sa.select(ACCOUNTS).order_by(ACCOUNTS.c.name)).mappings().all()
    return [
        Account(
            name=row["name"],
            department=row["department"],
            roles=tuple(row["roles"]),
            password=row["password"] is not None,
            closed=datetime.fromisoformat(row["closed"]) if row["closed"] else None,
            tokens=() if row["closed"] else tuple(good.get(row["name"], ())),
        )
        for row in rows
    ]


def log_in(state: State, name: str, password: str) -> Principal:
    """Whoever knows the account's password. Unauthenticated says no more than that: not whether the name is known."""
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError

    known = name if _NAME.fullmatch(name) else ""  # whatever else was written, no database is asked for it
    with state.begin() as connection:
        row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.name == known)).mappings().first()
    kept = row["password"] if row is not None and row["password"] and row["closed"] is None else None
    try:
        with _HASHING:
            PasswordHasher().verify(kept or _NOBODY, password)
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        kept = None
    if kept is None or row is None:
        raise Unauthenticated("name or password is wrong", reason="password")
    return _principal(row)


_HASHING: Final = BoundedSemaphore(4)
"""Passwords that are looked at at one time: each takes 64 MB."""
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$kXv4GgKtgL1W8KZJm3oSxPNAkDNbRbOCJtRoXhPd6zA"
)
"""A hash that no password has: an unknown name takes as long to refuse as a known one."""


def _principal(row: Any) -> Principal:
    return Principal(row["name"], row["department"], frozenset(row["roles"]))


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────


def make_token(
    state: State,
    account: str,
    note: str,
    scopes: Iterable[str],
    *,
    now: datetime,
    lasts: timedelta,
    kind: Kind = "personal",
    beside: Callable[[Token], object] = lambda made: None,
) -> tuple[str, Token]:
    """A token's text, which is shown once, and what is kept of it. NotThere where there is no such account;
    Unfit for an unknown scope, or a time beyond a year (of the provider's people, `BORROWED`). `beside` is done
    before it is good, and where that fails it never is."""
    said = tuple(dict.fromkeys(scopes))
    if not said or any(scope not in SCOPES for scope in said):
        raise Unfit(f"no scope {', '.join(said) or 'given'}", expected=", ".join(SCOPES))
    if not keeps(note):
        raise Unfit("the note has signs that cannot be kept", expected="no U+0000")
    longest = BORROWED if account.startswith(OF_ISSUER) else LONGEST
    if not timedelta(0) < lasts <= longest:
        raise Unfit("a token lasts for a while", expected=f"at most {longest.days} days")
    ident, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {
        "id": ident,
        "account": account,
        "digest": digest(secret),
        "note": note[:200],
        "scopes": list(said),
        "made": moment_text(now),
        "expires": moment_text(now + lasts),
        "revoked": None,
        "kind": kind,
    }
    with state.begin() as connection:
        known = connection.execute(
            sa.select(ACCOUNTS.c.name).where(ACCOUNTS.c.name == account, ACCOUNTS.c.closed.is_(None))
        ).first()
        if known is None:
            raise NotThere(f"no account `{account}`", next_step="`xuanwu account create` makes one")
        forget_ended(connection, now)
        connection.execute(sa.insert(TOKENS).values(row))
        beside(_token(row))
    return f"xw_{ident}_{secret}", _token(row)


def forget_ended(connection: sa.Connection, now: datetime) -> None:
    """Logins and the provider's tokens that ended a while ago; personal tokens stay in the list."""
    ended = TOKENS.c.expires < moment_text(now - REMEMBERED)
    connection.execute(sa.delete(TOKENS).where(TOKENS.c.kind != "personal", ended))


def tokens(state: State, account: str | None = None) -> list[Token]:
    """Every token, or those of one account; ended ones too, the newest last."""
    query = sa.select(TOKENS).order_by(TOKENS.c.made, TOKENS.c.id)
    if account is not None:
        query = query.where(TOKENS.c.account == account)
    with state.begin() as connection:
        return [_token(row) for row in connection.execute(query).mappings()]


def revoke_token(state: State, ident: str, now: datetime) -> None:
    """It is good for nothing from here on. NotThere where there is none; a second time changes nothing."""
    with state.begin() as connection:
        found = connection.execute(sa.select(TOKENS.c.revoked).where(TOKENS.c.id == ident)).first()
        if found is None:
            raise NotThere(f"no token `{ident}`", next_step="`xuanwu token list` lists them")
        if found.revoked is None:
            connection.execute(sa.update(TOKENS).where(TOKENS.c.id == ident).values(revoked=moment_text(now)))


def session_of(state: State, text: str, now: datetime) -> Session:
    """Who a token's text stands for. Unauthenticated, in the same words whatever is wrong with it."""
    parts = _TOKEN.fullmatch(text)
    row = _row_of(state, parts[1]) if parts else None
    right = row is not None and parts is not None and hmac.compare_digest(row["digest"], digest(parts[2]))
    return _session(row if right else None, now)


def session_by(state: State, ident: str, now: datetime) -> Session:
    """Who a token stands for that was shown before, by its id: for what was made with it and outlives the call.
    Unauthenticated as for the token itself."""
    return _session(_row_of(state, ident), now)


def _row_of(state: State, ident: str) -> Any:
    with state.begin() as connection:
        return connection.execute(_WHOSE, {"ident": ident}).mappings().first()


_WHOSE: Final = sa.select(TOKENS, ACCOUNTS).join(ACCOUNTS).where(TOKENS.c.id == sa.bindparam("ident"))


def _session(row: Any, now: datetime) -> Session:
    ended = {
        "unknown": row is None,
        "closed": row is not None and row["closed"],
        "revoked": row is not None and row["revoked"],
        "expired": row is not None and row["expires"] <= moment_text(now),
    }
    for reason, holds in ended.items():
        if holds:
            raise not_good(reason, row["name"] if row is not None else "")
    return Session(_principal(row), frozenset(row["scopes"]), row["id"], row["kind"])


def not_good(reason: str, who: str = "") -> Unauthenticated:
    """What is said of every token that is refused, whatever is wrong with it."""
    return Unauthenticated(
        "the token is unknown, expired or revoked", reason=reason, who=who, next_step="ask for a new one"
    )


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row: Any) -> Token:
    return Token(
        id=row["id"],
        account=row["account"],
        note=row["note"],
        scopes=tuple(row["scopes"]),
        made=datetime.fromisoformat(row["made"]),
        expires=datetime.fromisoformat(row["expires"]),
        revoked=datetime.fromisoformat(row["revoked"]) if row["revoked"] else None,
        kind=row["kind"],
    )
