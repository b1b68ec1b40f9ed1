"""Asking another platform's exchange: bounded answers, again where that can help, and never a secret in a message."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import stamina

from pipelines.sources.http_client import BACKOFF, PATIENCE, AgainError, again, body_of
from pipelines.sources.http_connection import Api, parse
from schemas.errors import SourceError

_REFUSALS = {
    401: ("the other platform does not know our token (401)", "renew the token in the connection"),
    403: (
        "the other platform does not (any longer) grant us this table (403)",
        "ask its provider for a grant",
    ),
    404: ("the other platform shares no such table (404)", "see what it shares, or correct source.dataset"),
}


@dataclass
class Peer:
    """The exchange of another platform."""

    client: httpx.Client
    api: Api
    what: str
    retries: int

    def get(self, *path: str, **params: Any) -> bytes:
        """The body of one answer. SourceError in plain words where there is none."""
        url = self.api.url("/".join(quote(part, safe="") for part in ("api", "v1", *path)))
        try:
            for attempt in stamina.retry_context(
                on=again,
                attempts=self.retries + 1,
                timeout=None,
                wait_initial=BACKOFF,
                wait_jitter=BACKOFF,
                wait_max=60.0,
            ):
                with attempt:
                    return self._once(url, {**self.api.query, **params})
        except AgainError as error:
            raise SourceError(
                f"{error}, {self.retries + 1} time(s) in a row",
                file=self.what,
                next_step="the other platform is down or overloaded: run the batch again later",
            ) from None
        raise AssertionError("stamina gave no attempt")

    def _once(self, url: str, params: Mapping[str, Any]) -> bytes:
        try:
            with self.client.stream("GET", url, params=params) as response:
                if response.status_code == 429 or response.status_code >= 500:
                    raise AgainError(f"the other platform answers {response.status_code}", _wait(response))
                if response.status_code != 200:
                    unknown = (f"the other platform answers {response.status_code}", "see its documentation")
                    message, step = _REFUSALS.get(response.status_code, unknown)
                    raise SourceError(message, file=self.what, next_step=step)
                return body_of(response, self.what)
        except httpx.TransportError as error:
            raise AgainError(f"no answer ({type(error).__name__})") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise SourceError(f"the request failed ({type(error).__name__})", file=self.what) from None


def _wait(response: httpx.Response) -> float | None:
    asked = response.headers.get("retry-after", "")
    return min(float(asked), PATIENCE) if asked.isdigit() and asked.isascii() else None


@contextmanager
def open_peer(connection: str, url: str, what: str, *, timeout: float, retries: int) -> Iterator[Peer]:
    """A client that follows no redirect and takes no proxy or password from the environment. SettingsError where the
    connection is malformed."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # at INFO httpx logs whole URLs
    api = parse(connection, url)
    with httpx.Client(auth=api.basic, headers=api.headers, timeout=timeout, trust_env=False) as client:
        yield Peer(client, api, what, retries)
