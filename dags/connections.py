"""A department's connection, from Airflow's connections first and the environment after, as the URL a source reads."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

from pipelines.connections import from_environment
from schemas.errors import SettingsError

_SCHEMES = {"postgres": "postgresql", "mssql": "mssql+pymssql", "oracle": "oracle+oracledb"}
_PATHS = ("fs", "file", "")
_HTTP = ("http", "https")


def connect(name: str) -> str:
    """The URL of a connection.

    An Airflow connection whose extra holds `url` gives just that, so any SQLAlchemy, s3:// or https:// form can be
    stored; otherwise its parts are put together by connection type, and extra's keys are the URL's query. Raises
    SettingsError where there is none, or where its parts do not make a URL.
    """
    try:
        connection = BaseHook.get_connection(name)
    except (AirflowNotFoundException, AirflowRuntimeError):
        return from_environment(name)
    extra = connection.extra_dejson
    if "url" in extra:
        return str(extra["url"])
    kind = connection.conn_type or ""
    if kind in _PATHS:
        return str(extra.get("path") or connection.host or f"/{connection.schema or ''}")
    if kind == "sqlite":
        return f"sqlite:///{connection.host or connection.schema}{_query(name, extra)}"
    if not connection.host:
        raise SettingsError(
            f"the connection {name!r} has no host", expected="a host, or the whole URL as `url` in its extra"
        )
    return _url(kind, connection) + _query(name, extra)


def _url(kind: str, connection: Connection) -> str:
    """Scheme, user, password, host, port and path. Of an HTTP connection `schema` is the protocol where it names one,
    as Airflow's own hook reads it, and `host` may begin with the protocol."""
    scheme, host, path = _SCHEMES.get(kind, kind), connection.host or "", connection.schema or ""
    if kind in _HTTP:
        if path in _HTTP:
            scheme, path = path, ""
        if "://" in host:
            scheme, _, host = host.partition("://")
    user = quote(connection.login or "", safe="")
    password = f":{quote(connection.password, safe='')}" if connection.password else ""
    at = f"{user}{password}@" if user or password else ""
    host, slash, base = host.partition("/")
    port = f":{connection.port}" if connection.port else ""
    return f"{scheme}://{at}{host}{port}{slash}{base}{'/' if path else ''}{quote(path)}"


def _query(name: str, extra: dict[str, Any]) -> str:
    """Options such as `sslmode` or `header.Authorization`: left out they would go unnoticed, so none is."""
    if nested := sorted(key for key, value in extra.items() if isinstance(value, dict | list)):
        raise SettingsError(
            f"the connection {name!r} has an extra that no URL can hold: {', '.join(nested)}",
            expected="texts and numbers, or the whole URL as `url`",
        )
    return f"?{urlencode(extra, quote_via=quote)}" if extra else ""
