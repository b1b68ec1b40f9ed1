"""Where notices to a department are sent besides its inbox: addresses, which the operator says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import sqlalchemy as sa

from exchange.errors import NotThere, Unfit
from exchange.schema import CONTACTS, DELIVERIES, NOTICES
from exchange.state import State

Channel = Literal["email", "webhook"]
CHANNELS: Final[tuple[Channel, ...]] = ("email", "webhook")


def add_contact(
    state: State,
    department: str,
    channel: str,
    address: str,
    *,
    beside: Callable[[], object] = lambda: None,
) -> None:
    """From now on the department's notices are sent there too. Unfit for an address that is none. `beside` is done
    before that holds, and where it fails it does not."""
    _require_address(channel, address)
    with state.begin() as connection:
        same = _same(department, channel, address)
        if connection.execute(sa.select(CONTACTS).where(same)).first() is None:
            connection.execute(
                sa.insert(CONTACTS).values(department=department, kind=channel, address=address)
            )
            beside()


def remove_contact(state: State, department: str, channel: str, address: str) -> None:
    """Nothing more is sent there, what waits neither. NotThere where there is no such contact."""
    waiting = sa.and_(
        DELIVERIES.c.kind == channel, DELIVERIES.c.address == address, DELIVERIES.c.state == "waiting"
    )
    with state.begin() as connection:
        if not connection.execute(sa.delete(CONTACTS).where(_same(department, channel, address))).rowcount:
            raise NotThere("there is no such contact", next_step="`xuanwu contact list` lists them")
        own = sa.select(NOTICES.c.id).where(NOTICES.c.department == department)
        connection.execute(sa.delete(DELIVERIES).where(waiting, DELIVERIES.c.notice.in_(own)))


def contacts(state: State) -> list[tuple[str, str, str]]:
    """Department, channel and address of each."""
    with state.begin() as connection:
        return [tuple(row) for row in connection.execute(sa.select(CONTACTS).order_by(*CONTACTS.c))]


def _same(department: str, channel: str, address: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        CONTACTS.c.department == department, CONTACTS.c.kind == channel, CONTACTS.c.address == address
    )


def _require_address(channel: str, address: str) -> None:
    from email.errors import MessageError
    from email.headerregistry import Address
    from urllib.parse import urlsplit

    if channel not in CHANNELS:
        raise Unfit("the channel is unknown", expected=", ".join(CHANNELS))
    if len(address) > 500 or not address.isprintable():
        raise Unfit("the address is malformed")
    try:
        if channel == "email":
            fits = bool(Address(addr_spec=address).domain)
        else:
            url = urlsplit(address)
            fits = url.scheme in ("http", "https") and bool(url.hostname) and not url.username
    except (ValueError, IndexError, MessageError):
        fits = False
    if not fits:
        wanted = {"email": "name@host", "webhook": "https://host/path without a password"}
        raise Unfit("the address is malformed", expected=wanted[channel])
