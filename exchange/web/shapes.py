"""Errors in the form that each door's protocol has for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from xml.sax.saxutils import escape

from fastapi import Response
from fastapi.responses import JSONResponse

Shape = Callable[[int, str], Response]


def delta(status: int, message: str) -> Response:
    """`errorCode` and `message` (Delta Sharing, REST APIs). What is malformed is 400 there."""
    codes = {
        400: "INVALID_PARAMETER_VALUE",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "RESOURCE_DOES_NOT_EXIST",
        429: "RESOURCE_EXHAUSTED",
        503: "TEMPORARILY_UNAVAILABLE",
    }
    status = 400 if status in (422, 405) else status
    return JSONResponse({"errorCode": codes.get(status, "INTERNAL_ERROR"), "message": message}, status)


def iceberg(status: int, message: str) -> Response:
    """An ErrorModel (Iceberg REST OpenAPI)."""
    kinds = {
        400: "BadRequestException",
        401: "NotAuthorizedException",
        403: "ForbiddenException",
        404: "NoSuchTableException",
        406: "UnsupportedOperationException",
        429: "TooManyRequestsException",
        503: "ServiceUnavailableException",
    }
    status = 400 if status == 422 else status
    kind = kinds.get(status, "InternalServerError")
    return JSONResponse({"error": {"message": message, "type": kind, "code": status}}, status)


def s3(status: int, message: str) -> Response:
    """`Error` with `Code` and `Message` (Amazon S3 API Reference, Error Responses). Nobody is told whether a key is
    there that is not theirs."""
    codes = {404: "NoSuchKey", 405: "MethodNotAllowed", 416: "InvalidRange", 503: "SlowDown", 429: "SlowDown"}
    status = 403 if status == 401 else 503 if status == 429 else status
    code = codes.get(status, "AccessDenied" if status < 500 else "InternalError")
    told = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Response(f"<?xml version='1.0' encoding='UTF-8'?>\n{told}", status, media_type="application/xml")


SHAPES: Final[dict[str, Shape]] = {
    "/delta-sharing": delta,
    "/iceberg": iceberg,
    "/xuanwu": s3,
    "/files": s3,
}


def shape_of(path: str) -> Shape | None:
    """The form for a path; None where errors are problem+json."""
    return next((shape for start, shape in SHAPES.items() if f"{path}/".startswith(f"{start}/")), None)


_PAGES: Final = frozenset(
    {
        "login",
        "logout",
        "account",
        "workspace",
        "tables",
        "requests",
        "objections",
        "applications",
        "notices",
        "deliveries",
        "risks",
        "incidents",
    }
)


def is_page(path: str) -> bool:
    """Whether people came there with a browser: what is refused is told on a page."""
    return path.startswith("/") and path.split("/", 2)[1] in _PAGES


_DOORS: Final = {
    "api": "api",
    "delta-sharing": "delta",
    "iceberg": "iceberg",
    "xuanwu": "files",
    "files": "files",
}


def door_of(path: str) -> str:
    """Which door was knocked at, in the audit log's words."""
    return _DOORS.get(path.split("/", 2)[1] if path.startswith("/") else "", "pages")
