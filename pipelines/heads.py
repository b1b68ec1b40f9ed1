"""The server's HTTP with a bound on what comes before a body: it bounds neither the length of headers nor the work of
joining their pieces, and whoever sent one without an end, a token or none, held up every other caller."""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST: Final = 512 * 1024
"""Bytes of a call's first line and headers, with what came in the same piece; proxies let through 32 KiB or so."""


class Headed(HttpToolsProtocol):
    """Closes a connection, with 400, whose headers do not end."""

    _head: int = 0
    _whole: bool = False

    def data_received(self, data: bytes) -> None:
        self._head += 0 if self._whole else len(data)
        if self._head > LONGEST:
            self.send_400_response("The headers are too long.")
            return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._whole, self._head = True, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._whole = False
