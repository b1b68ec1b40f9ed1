"""One answer of a JSON API: asked for at a bounded rate, again where that can help, and judged before it is
used.

Asked again: transport errors, 429 and 5xx, with an exponential back-off, or after what `Retry-After` says.
Not asked again: anything that another try will not change. No message, and no log line of ours or of httpx,
holds the query, a header or a piece of a body.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import stamina

from pipelines.sources.http_connection import Api
from schemas.errors import SourceError
from schemas.model import HttpSource

PAGE = 64 << 20
"""Bytes of one answer at most."""
BACKOFF = 0.5
"""Seconds before the second try; doubled for each one after it, with as much jitter."""
PATIENCE = 300.0
"""Seconds that we wait at most because an API asks us to."""
REDIRECTS = 5
_JSON = ("application/json", "text/json", "text/plain", "application/octet-stream", "")
_REFUSALS = {
    401: ("the API does not accept our authorisation (401)", "renew the key or password in the connection"),
    403: ("the API refuses us this data (403)", "ask the department to grant the connection this path"),
    404: ("there is nothing at this path (404)", "correct source.path, or ask the department where it went"),
}


@dataclass(frozen=True)
class Answer:
    """A body as received (content-encoding taken off), its text encoding, and the JSON in it."""

    body: bytes
    encoding: str
    document: Any


class AgainError(Exception):
    """Worth another try; `after` is how long the API asks us to wait, in seconds."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


@dataclass
class Session:
    """An API's client with its pace."""

    client: httpx.Client
    url: httpx.URL
    source: HttpSource
    query: Mapping[str, str] = field(repr=False)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    last: float | None = None

    def pace(self) -> None:
        """Wait until the next request is allowed."""
        if self.source.rate and self.last is not None:
            time.sleep(max(0.0, self.last + 1 / self.source.rate - time.monotonic()))
        self.last = time.monotonic()

    def get(self, params: Mapping[str, str]) -> Answer:
        """One answer. SourceError in plain words where there is none, or where it is not JSON."""
        try:
            for attempt in stamina.retry_context(
                on=again,
                attempts=self.source.retries + 1,
                timeout=None,
                wait_initial=BACKOFF,
                wait_jitter=BACKOFF,
                wait_max=60.0,
            ):
                with attempt:
                    return self._once(params)
        except AgainError as error:
            raise SourceError(
                f"{error}, {self.source.retries + 1} time(s) in a row",
                file=self.source.path,
                next_step="the API is down or overloaded: run the batch again later",
            ) from None
        raise AssertionError("stamina gave no attempt")

    def _once(self, params: Mapping[str, str]) -> Answer:
        url = self.url.copy_merge_params({**self.query, **params})
        for _ in range(REDIRECTS):
            self.pace()
            try:
                with self.client.stream("GET", url) as response:
                    if not response.is_redirect:
                        return self._judged(response)
                    url = self._redirected(response, url)
            except httpx.TransportError as error:
                raise AgainError(f"no answer ({type(error).__name__})") from None
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise self.refused(f"the request failed ({type(error).__name__})") from None
        raise self.refused(f"more than {REDIRECTS} redirects")

    def _redirected(self, response: httpx.Response, url: httpx.URL) -> httpx.URL:
        target = url.join(response.headers.get("location", ""))
        if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
            raise self.refused(
                f"the API redirects to another host ({response.status_code}), which we do not follow",
                "correct the connection's base URL",
            )
        return target

    def _judged(self, response: httpx.Response) -> Answer:
        status = response.status_code
        if status == 429 or status >= 500:
            raise AgainError(f"the API answers {status}", self._asked_to_wait(response))
        if status != 200:
            message, step = _REFUSALS.get(status, (f"the API answers {status}", "see the API's manual"))
            raise self.refused(message, step)
        return self._parsed(response, body_of(response, self.source.path))

    def _asked_to_wait(self, response: httpx.Response) -> float | None:
        asked = response.headers.get("retry-after", "")
        try:
            wait = float(asked) if asked.isdigit() else _until(asked, self.now())
        except (ValueError, TypeError):
            return None
        if wait > PATIENCE:
            raise self.refused(
                f"the API asks us to wait {wait:.0f} s ({response.status_code})", "run the batch again then"
            )
        return max(wait, 0.001)

    def _parsed(self, response: httpx.Response, body: bytes) -> Answer:
        kind = Message()
        kind["content-type"] = response.headers.get("content-type", "")
        media = kind.get_content_type() if kind["content-type"] else ""
        if "html" in media or body.lstrip()[:1] == b"<":
            raise self.refused(
                "the API sent a web page, not JSON", "it may be a login or an error page: look at it"
            )
        if media not in _JSON and not media.endswith("+json"):
            raise self.refused(f"the API sent {media}, not JSON")
        encoding = kind.get_content_charset() or json.detect_encoding(body)
        try:
            return Answer(body, encoding, json.loads(body.decode(encoding)))
        except (ValueError, LookupError, RecursionError):
            raise self.refused(f"the answer of {len(body)} bytes is not JSON in {encoding}") from None

    def refused(self, message: str, step: str | None = None) -> SourceError:
        return SourceError(message, file=self.source.path, next_step=step, expected="a JSON answer")


def _until(date: str, now: datetime) -> float:
    """Seconds until an HTTP date (RFC 9110, section 5.6.7)."""
    return (parsedate_to_datetime(date) - now).total_seconds()


def again(error: Exception) -> bool | float:
    if not isinstance(error, AgainError):
        return False
    return True if error.after is None else error.after


def body_of(response: httpx.Response, name: str) -> bytes:
    """The whole body, within `PAGE` bytes after content-encoding is taken off."""
    held = bytearray()
    for chunk in response.iter_bytes():
        held += chunk
        if len(held) > PAGE:
            raise SourceError(
                f"one answer is larger than {PAGE} bytes",
                file=name,
                next_step="set a smaller paging.page_size",
            )
    return bytes(held)


@contextmanager
def open_session(api: Api, source: HttpSource, now: Callable[[], datetime]) -> Iterator[Session]:
    """A client that follows no redirect by itself and takes no proxy, certificate or password from the
    environment."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # at INFO httpx logs whole URLs
    with httpx.Client(
        auth=api.basic,
        headers={"accept": "application/json", **api.headers},
        timeout=source.timeout.total_seconds(),
        trust_env=False,
    ) as client:
        yield Session(client, httpx.URL(api.url(source.path)), source, api.query, now)
