"""A person's own personal tokens, over HTTP: made, listed, ended. A token makes no token."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from exchange.accounts import SCOPES, Scope, Session, Token, make_token, revoke_token, tokens
from exchange.desk import Desk
from exchange.errors import Forbidden, NotThere
from exchange.web.house import Caller, TheHouse

router = APIRouter(prefix="/api/v1/tokens", tags=["身份 identity"])
MOST_LIVE: Final = 20
"""Tokens that one account may have at a time."""


class Wish(BaseModel):
    """What a new token is to be."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(default="", max_length=200, description="说明: where it is used")
    scopes: list[Scope] = Field(default=list(SCOPES), min_length=1, max_length=len(SCOPES))
    days: int = Field(default=30, ge=1, le=366)


@router.get("", summary="我的令牌 Your personal tokens, ended ones too")
def listed(house: TheHouse, caller: Caller) -> list[dict[str, Any]]:
    return [told(each) for each in own(house.desk, caller)]


@router.post("", status_code=201, summary="新令牌 Make a token; its text is shown this once")
def make(house: TheHouse, caller: Caller, wish: Wish) -> dict[str, Any]:
    text, kept = made(house.desk, caller, wish)
    return {**told(kept), "token": text}


@router.delete("/{ident}", status_code=204, summary="撤销 End a token at once")
def end(house: TheHouse, caller: Caller, ident: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> None:
    ended(house.desk, caller, ident)


def own(desk: Desk, caller: Session) -> list[Token]:
    """The caller's personal tokens."""
    return [each for each in tokens(desk.state, caller.principal.name) if each.kind == "personal"]


def made(desk: Desk, caller: Session, wish: Wish) -> tuple[str, Token]:
    """A new token of the caller's. Forbidden for who came by a token: one that was stolen would never end. It stands in
    the audit log."""
    if caller.kind != "login":
        raise Forbidden("a token makes no token", next_step="log in at /login, or ask the operator")
    now = desk.clock()
    live = [each for each in own(desk, caller) if each.revoked is None and each.expires > now]
    if len(live) >= MOST_LIVE:
        raise Forbidden("there are too many tokens", expected=f"{MOST_LIVE}", next_step="end one of them")

    def beside(kept: Token) -> None:
        _log(desk, caller, kept.id, "made", scopes=list(kept.scopes), expires=kept.expires.isoformat())

    who, lasts = caller.principal.name, timedelta(days=wish.days)
    return make_token(desk.state, who, wish.note, wish.scopes, now=now, lasts=lasts, beside=beside)


def ended(desk: Desk, caller: Session, ident: str) -> None:
    """End a token of the caller's. NotThere for anybody else's."""
    if ident not in {each.id for each in own(desk, caller)}:
        raise NotThere("you have no such token")
    revoke_token(desk.state, ident, desk.clock())
    _log(desk, caller, ident, "revoked")


def _log(desk: Desk, caller: Session, ident: str, phase: str, **more: Any) -> None:
    by, department = caller.principal.name, caller.principal.department
    desk.log.append(
        {"action": "token", "phase": phase, "by": by, "department": department, "token": ident, **more}
    )


def told(each: Token) -> dict[str, Any]:
    return {
        "id": each.id,
        "note": each.note,
        "scopes": list(each.scopes),
        "made": each.made.isoformat(),
        "expires": each.expires.isoformat(),
        "revoked": each.revoked.isoformat() if each.revoked else None,
    }
