"""Who read what, in one form for every door: an entry of the audit log before anything leaves, and one when it has.

Names, ids, counts and keyed digests only: the values of a condition may be a person's. Where the log cannot be written
nothing is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol

from exchange.accounts import Session
from exchange.desk import Desk
from exchange.errors import ExchangeError
from schemas.errors import XuanwuError
from schemas.model import Entry

Door = Literal["api", "delta", "iceberg", "push", "file", "open"]
Phase = Literal["attempt", "outcome", "fetched", "reported", "refused"]
"""attempt: before anything leaves. outcome: what left. fetched: a file that was handed out was asked for, told once.
reported: what a reader's engine says that it scanned (Iceberg's metrics). refused: nothing left."""
Told = dict[str, Any]


class Right(Protocol):
    """By what somebody reads: a share table (`exchange.access`), or what is opened on conditions
    (`exchange.applications`)."""

    @property
    def entry(self) -> Entry: ...
    @property
    def policy(self) -> str: ...
    @property
    def purpose(self) -> str: ...


def told(
    desk: Desk,
    session: Session,
    access: Right,
    door: Door,
    *,
    columns: Sequence[str] = (),
    conditions: Any = None,
) -> Told:
    """What every entry of one read says. No columns are all of them; they are names of the table's, never a caller's
    own text. Conditions are told as a keyed digest."""
    return {
        "action": "read",
        "door": door,
        "by": session.principal.name,
        "token": session.token,
        "department": session.principal.department,
        "purpose": access.purpose,
        "dataset": access.entry.id,
        "policy": access.policy,
        "columns": list(columns),
        "filter": desk.log.digest(conditions) if conditions else "",
    }


def log(desk: Desk, said: Told, phase: Phase, **more: Any) -> int:
    """Write an entry and give its index. LakeError where it cannot be written."""
    return desk.log.append({**said, "phase": phase, **more})


def log_after(desk: Desk, said: Told, phase: Phase, **more: Any) -> None:
    """As `log`, for what has left already: the attempt stands in the log, whatever becomes of this."""
    with suppress(XuanwuError):
        log(desk, said, phase, **more)


def refused(
    desk: Desk, session: Session, door: Door, *, table: tuple[str, str], error: ExchangeError
) -> None:
    """Log that somebody was not let in to a table (dataset and policy). Names that the catalogue does not have are told
    as a keyed digest."""
    dataset, policy = table
    entry = desk.catalogue.entries.get(dataset)
    said = {
        "action": "read",
        "door": door,
        "by": session.principal.name,
        "token": session.token,
        "department": session.principal.department,
        "dataset": dataset if entry else desk.log.digest(dataset.encode(errors="replace").decode()),
        "policy": policy if entry and (policy == "open" or policy in entry.share.policies) else "",
    }
    log(desk, said, "refused", rule=type(error).__name__)
