"""Headers without an end are not waited for; long bodies and calls one after the other are as before."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
import uvicorn

from pipelines.heads import LONGEST
from pipelines.serving import Serving, _config
from tests.waiting import until

BEGUN = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Tells how many bytes of a body came."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    told = str(size).encode()
    headers = [(b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    config = _config(Serving("127.0.0.1", 0, 600, 256, ""), answering)
    config.lifespan = "off"
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    with socket.create_connection(server.servers[0].sockets[0].getsockname()) as found:
        found.settimeout(30)
        yield found
    server.should_exit = True
    thread.join(20)


def test_headers_without_an_end_are_refused(connection: socket.socket) -> None:
    try:
        connection.sendall(BEGUN + b"X: " + b"a" * (8 * LONGEST))
    except (BrokenPipeError, ConnectionResetError):
        return  # closed before all was sent
    assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_calls_one_after_the_other_and_long_bodies_are_answered(connection: socket.socket) -> None:
    body = b"y" * (4 * LONGEST)
    for _ in range(3):
        connection.sendall(BEGUN + b"X: " + b"a" * (LONGEST // 4) + b"\r\n\r\n")
        assert connection.recv(4096).endswith(b"\r\n\r\n0")
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert connection.recv(4096).endswith(str(len(body)).encode())
