"""Connections of departments: a name in the catalogue, a URL in the environment, and never a secret in a
message.

A URL is, by kind of source: a SQLAlchemy URL (`postgresql://user:password@host/db`, `mysql://…`,
`sqlite:////path`, any other `dialect+driver://…`); a folder, `file://` or `s3://bucket/prefix`; or
`https://…`, whose userinfo or query carries the authorisation (`pipelines.sources.http` reads that).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

PREFIX = "XUANWU_CONN_"
HIDDEN = "***"


def variable(name: str) -> str:
    """The variable that holds a connection: `civil_affairs` is in `XUANWU_CONN_CIVIL_AFFAIRS`."""
    return PREFIX + name.upper()


def from_environment(name: str) -> str:
    """URL of a connection; SettingsError names the variable that would hold it."""
    url = os.environ.get(variable(name), "").strip()
    if not url:
        raise SettingsError(
            f"there is no connection {name!r}",
            expected="a SQLAlchemy URL, a folder, an s3:// prefix or an https:// base URL",
            next_step=f"set {variable(name)}, or add the connection in Airflow",
        )
    return url


def redact(url: str) -> str:
    """The URL without its secrets, for messages: the password, a userinfo that is a token, every value of the
    query.

    A password may hold `/`, `?`, `#` or `@` unescaped, so the userinfo ends at the last `@`; where that could
    as well be part of the query nothing after the scheme is shown.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.partition("?")[0]
    userinfo, at, place = rest.rpartition("@")
    if "?" in userinfo:
        return f"{scheme}://{HIDDEN}"
    path, _, query = place.partition("#")[0].partition("?")
    user = f"{userinfo.partition(':')[0]}:{HIDDEN}" if ":" in userinfo else HIDDEN
    shown = "&".join(f"{pair.partition('=')[0]}={HIDDEN}" for pair in query.split("&") if "=" in pair)
    return f"{scheme}://{user + at if at else ''}{path}{'?' + shown if shown else ''}"


def libpq(url: URL, defaults: Mapping[str, str]) -> str:
    """The URL as PostgreSQL's own library reads it (its manual, "Connection URIs"), with `defaults` for options that
    it does not name. SQLAlchemy writes a blank of a user or password as a blank, which libpq refuses, and one of an
    option as `+`, which libpq takes for a plus."""
    options = {**defaults, **{name: value for name, value in url.query.items() if isinstance(value, str)}}
    place = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    return f"{place.replace(' ', '%20')}?{urlencode(options, quote_via=quote)}"
