"""Accounts and tokens of those whom the identity provider vouches for, kept so that they can be ended here.

An account holds the newest that the provider said of somebody: an older token of theirs brings no role back. Of an
access token a digest is kept until its end: what was made with it ends with it, and `xuanwu token revoke` and `xuanwu
account close` hold at once, whatever the provider goes on saying.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from exchange.accounts import Scope, Session, digest, forget_ended, not_good, session_by
from exchange.people import Principal
from exchange.schema import ACCOUNTS, TOKENS
from exchange.state import State, moment_text

ID: Final = 16
"""Characters of a token's id; the whole digest is compared besides."""


@dataclass(frozen=True)
class Vouched:
    """What the provider said of somebody, when, and until when it holds."""

    principal: Principal
    said: datetime
    ends: datetime


def introduce(
    state: State, vouched: Vouched, now: datetime, *, token: str, scopes: Collection[Scope]
) -> Session:
    """The session of an access token that was checked. Unauthenticated where token or account was ended here."""
    whole = digest(token)
    ident = whole[:ID]
    kept = _kept(state, ident)
    if kept is None or _behind(kept, vouched):
        provide(state, vouched)
    if kept is None:
        _keep(state, vouched, whole, scopes, now)
        kept = _kept(state, ident)
    if kept is None or not hmac.compare_digest(kept["digest"], whole):
        raise not_good("unknown")
    return session_by(state, ident, now)


def _kept(state: State, ident: str) -> Any:
    with state.begin() as connection:
        query = sa.select(TOKENS, ACCOUNTS).join(ACCOUNTS).where(TOKENS.c.id == ident)
        return connection.execute(query).mappings().first()


def _behind(kept: Any, vouched: Vouched) -> bool:
    same = (kept["department"], sorted(kept["roles"])) == _as_kept(vouched.principal)
    return not same and (kept["said"] or "") <= moment_text(vouched.said)


def _as_kept(principal: Principal) -> tuple[str, list[str]]:
    return principal.department, sorted(principal.roles)


def provide(state: State, vouched: Vouched) -> None:
    """The account, made or brought up to date, unless something newer was said before."""
    name, said = vouched.principal.name, moment_text(vouched.said)
    department, roles = _as_kept(vouched.principal)
    told = {"department": department, "roles": roles, "said": said}
    older = sa.or_(ACCOUNTS.c.said.is_(None), ACCOUNTS.c.said <= said)
    try:
        with state.begin() as connection:
            if connection.execute(sa.select(ACCOUNTS.c.name).where(ACCOUNTS.c.name == name)).first():
                newer = sa.update(ACCOUNTS).where(ACCOUNTS.c.name == name, older)
                connection.execute(newer.values(told))
            else:
                connection.execute(sa.insert(ACCOUNTS).values(name=name, password=None, closed=None, **told))
    except IntegrityError:
        provide(state, vouched)  # somebody else made it just now


def _keep(state: State, vouched: Vouched, whole: str, scopes: Collection[Scope], now: datetime) -> None:
    row = {
        "id": whole[:ID],
        "account": vouched.principal.name,
        "digest": whole,
        "note": "",
        "scopes": sorted(scopes),
        "made": moment_text(vouched.said),
        "expires": moment_text(vouched.ends),
        "revoked": None,
        "kind": "issuer",
    }
    try:
        with state.begin() as connection:
            forget_ended(connection, now)
            connection.execute(sa.insert(TOKENS).values(row))
    except IntegrityError:
        return  # another request came with it at the same time
