"""Deliveries (交付) over HTTP: what is delivered where, with its receipts; one to what is shared without conditions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from exchange.receipts import Receipt, newest, receipts
from exchange.subscriptions import Subscription, declare, listed, seen, stop
from exchange.web.house import Applicant, Before, Number, TheHouse
from exchange.web.requests import Delivery, Text

router = APIRouter(prefix="/api/v1/deliveries", tags=["交付 deliveries"])


class Declaration(Delivery):
    """A delivery of a table that is shared without conditions."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"dataset": "education.school", "method": "batch", "place": "inbox.school"}
        },
    )

    dataset: Text
    policy: Text = "default"
    method: Literal["batch", "file"] = Field(default="batch", description="into a table, or as files")


@router.post("", status_code=201, summary="订阅 Have what is shared without conditions delivered")
def declared(house: TheHouse, caller: Applicant, declaration: Declaration) -> dict[str, Any]:
    """What is shared by request declares its delivery in the request."""
    return told(declare(house.desk, caller.principal, declaration.model_dump()), None)


@router.get("", summary="清单 Those to your department, and of its data, each with its newest receipt")
def deliveries(house: TheHouse, caller: Applicant) -> list[dict[str, Any]]:
    last = newest(house.desk)
    return [told(each, last.get(each.number)) for each in listed(house.desk, caller.principal)]


@router.get("/{number}", summary="一项交付 One, with its receipts, the newest first")
def delivery(house: TheHouse, caller: Applicant, number: Number, before: Before = None) -> dict[str, Any]:
    """Receipts 100 at a time: those before them with the last number as `before`."""
    found = seen(house.desk, caller.principal, number)
    kept = receipts(house.desk, number, before)
    return told(found, newest(house.desk).get(number)) | {"receipts": [receipt_told(each) for each in kept]}


@router.delete("/{number}", summary="停止 Deliver no more")
def stopped(house: TheHouse, caller: Applicant, number: Number) -> dict[str, Any]:
    """What was delivered stays where it is."""
    return told(stop(house.desk, caller.principal, number), None)


def told(found: Subscription, last: Receipt | None) -> dict[str, Any]:
    """As JSON tells it, to people and programs."""
    names = ("number", "request", "department", "dataset", "policy", "method", "connection", "place")
    said = {name: getattr(found, name) for name in (*names, "mode", "format", "keep")}
    ended = found.ended.isoformat() if found.ended else None
    return said | {"stopped": ended, "receipt": receipt_told(last) if last else None}


def receipt_told(each: Receipt) -> dict[str, Any]:
    moments = {name: getattr(each, name).isoformat() for name in ("began", "at")}
    names = ("number", "snapshot", "state", "digest", "why")
    return {name: getattr(each, name) for name in names} | asdict(each.counts) | moments
