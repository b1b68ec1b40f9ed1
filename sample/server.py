"""The ecology bureau's API, served from the files that `write_city` wrote: JSON, page by page, with
authorisation.

    GET /v1/air-quality?date=2026-03-02&page=1&size=100    {"total": 528, "page": 1, "size": 100, "data": []}

It listens on the loopback address only.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
PORT = 8328
TOKEN = "sample-city-token"  # noqa: S105 - opens nothing but invented data on this machine
PATH = "/v1/air-quality"
LARGEST_PAGE = 1000


def base_url(port: int = PORT) -> str:
    """The connection's URL, whose userinfo is the authorisation."""
    return f"http://sample:{TOKEN}@{HOST}:{port}"


def answer(folder: Path, target: str, authorisation: str | None) -> tuple[HTTPStatus, dict[str, Any]]:
    """Status and body for a request's target and its Authorization header."""
    if not authorised(authorisation):
        return HTTPStatus.UNAUTHORIZED, {"error": "an Authorization header is needed"}
    parts = urlsplit(target)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    page, size = asked.get("page", "1"), asked.get("size", "100")
    if parts.path != PATH:
        return HTTPStatus.NOT_FOUND, {"error": f"there is only {PATH}"}
    if not (page.isdecimal() and size.isdecimal() and int(page) and 0 < int(size) <= LARGEST_PAGE):
        return HTTPStatus.BAD_REQUEST, {"error": f"page from 1, size from 1 to {LARGEST_PAGE}"}
    return HTTPStatus.OK, _page(_records(folder, asked.get("date", "")), int(page), int(size))


def _page(records: list[dict[str, Any]], page: int, size: int) -> dict[str, Any]:
    data = records[(page - 1) * size : page * size]
    return {"total": len(records), "page": page, "size": size, "data": data}


def _records(folder: Path, date: str) -> list[dict[str, Any]]:
    """A day's records; of all days without `date`. A day that is not measured yet has none."""
    files = sorted(folder.glob("air_quality_*.json"))
    chosen = [file for file in files if not date or file.stem == f"air_quality_{date}"]
    return [record for file in chosen for record in json.loads(file.read_bytes())["data"]["observations"]]


def authorised(header: str | None) -> bool:
    """Whether an Authorization header holds the token, as Bearer or as the password of Basic (RFC 6750, RFC
    7617)."""
    scheme, _, credentials = (header or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            credentials = base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
    return scheme.lower() in ("basic", "bearer") and hmac.compare_digest(credentials.encode(), TOKEN.encode())


class Handler(BaseHTTPRequestHandler):
    """GET only; says nothing on the terminal."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, *arguments: Any) -> None:
        self.folder = folder
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """One page, or an error as JSON."""
        status, body = answer(self.folder, self.path, self.headers.get("Authorization"))
        payload = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(payload)))
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="sample city"')
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the caller's own log says what was asked."""


def server(folder: Path, port: int = PORT) -> ThreadingHTTPServer:
    """A server for the city in `folder`, listening already; port 0 takes any free one."""
    return ThreadingHTTPServer((HOST, port), partial(Handler, folder / "ecology"))


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[dict[str, str]]:
    """Serve while the block runs; gives the connection's name and URL."""
    with server(folder, port) as running:
        thread = Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield {"ecology": base_url(running.server_address[1])}
        finally:
            running.shutdown()
            thread.join()


def serve_forever(folder: Path, port: int = PORT) -> None:
    """Serve until interrupted."""
    with server(folder, port) as running:
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            return
