"""Bytes on their way out: gathered into pieces worth a thread's turn, and ended where their reader goes away."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Final

from anyio import CancelScope
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

PIECE: Final = 64 * 1024
"""Bytes that are gathered at least, but for the last ones."""


class Streamed(StreamingResponse):
    """What a generator gives. Whatever becomes of the answer the generator is closed, in a thread: what it does at its
    end (an entry of the log, a file to be closed) holds no other caller up."""

    def __init__(
        self,
        chunks: Generator[bytes],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self._chunks = chunks
        super().__init__(_gathered(chunks), status_code, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._chunks.close)


def _gathered(chunks: Iterator[bytes]) -> Iterator[bytes]:
    held, size = [], 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
