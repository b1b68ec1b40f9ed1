"""The inbox (通知) over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from exchange.notices import Kept, inbox, mark_read
from exchange.web.house import Applicant, Before, House, Number, TheHouse
from exchange.words import body, subject

router = APIRouter(prefix="/api/v1/notices", tags=["通知 notices"])


@router.get("", summary="收件箱 What your department was told, the newest first")
def notices(
    house: TheHouse, caller: Applicant, unread: bool = False, before: Before = None
) -> list[dict[str, Any]]:
    """500 at a time: those before them with the last number as `before`; `unread` leaves out what somebody of the
    department has read."""
    found = inbox(house.desk.state, caller.principal, unread=unread, before=before)
    return [_told(house, each) for each in found]


@router.post("/{number}/read", status_code=204, summary="已读 Mark one as read")
def read(house: TheHouse, caller: Applicant, number: Number) -> None:
    mark_read(house.desk.state, caller.principal, number, house.desk.clock())


def _told(house: House, each: Kept) -> dict[str, Any]:
    notice = each.notice
    return {
        "number": each.id,
        "kind": notice.kind,
        **notice.numbers,
        "dataset": notice.dataset,
        "policy": notice.policy,
        "state": notice.state,
        "due": notice.due.isoformat() if notice.due else None,
        "subject": subject(notice),
        "text": body(notice, house.desk.catalogue),
        "made": each.made.isoformat(),
        "read": each.read.isoformat() if each.read else None,
    }
