"""The connection of a JSON API: base URL and authorisation, in one URL that no message ever shows.

    https://user:password@host/base                              Basic authorisation
    https://host/base?header.Authorization=Bearer%20abc          any request header
    https://host/base?query.appkey=abc                           a parameter of every request

Values are percent-encoded. Whatever else stands in the query is an error, so that a typing error does not go
out unauthorised.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from schemas.errors import SettingsError, SourceError

FORM = "https://host/base, with user:password@, ?header.<Name>=… or ?query.<name>=…"


@dataclass(frozen=True)
class Api:
    """Where an API is and how it is asked. Secrets are kept out of `repr`."""

    base: str
    basic: tuple[str, str] | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    query: dict[str, str] = field(default_factory=dict, repr=False)

    def url(self, path: str) -> str:
        """The address of a path below the base. SourceError for a path that could name another host."""
        if "://" in path or path.startswith("//") or ".." in path.split("/"):
            raise SourceError("a path leads out of its connection", file=path, rule="source.path")
        return f"{self.base}/{path.lstrip('/')}" if path else self.base


def parse(connection: str, url: str) -> Api:
    """The API that a connection's URL describes. SettingsError names the connection and never its URL."""
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname or "")
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _malformed(connection) from None
    kinds = [name.partition(".") for name, _ in pairs]
    printable = all(value.isprintable() and value.isascii() for _, value in pairs)
    known = all(kind in {"header", "query"} and name for kind, _, name in kinds)
    if parts.scheme not in {"http", "https"} or not host or not known or not printable or parts.fragment:
        raise _malformed(connection)
    basic = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
    chosen = {
        kind: {n[len(kind) + 1 :]: v for n, v in pairs if n.startswith(f"{kind}.")}
        for kind in ("header", "query")
    }
    bracketed = (
        f"[{parts.hostname}]" + host[len(str(parts.hostname)) :] if ":" in str(parts.hostname) else host
    )
    return Api(
        f"{parts.scheme}://{bracketed}{parts.path}".rstrip("/"), basic, chosen["header"], chosen["query"]
    )


def _malformed(connection: str) -> SettingsError:
    return SettingsError(f"the connection {connection!r} is not the URL of an API", expected=FORM)
