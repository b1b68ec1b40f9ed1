"""A department's connection, from Airflow's connections first and the environment after, as the URL a source reads."""

from __future__ import annotations

from urllib.parse import quote

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowRuntimeError

from pipelines.connections import from_environment

_SCHEMES = {"postgres": "postgresql", "mysql": "mysql", "mssql": "mssql+pymssql", "oracle": "oracle+oracledb"}
_PATHS = ("fs", "file")


def connect(name: str) -> str:
    """The URL of a connection.

    An Airflow connection whose extra holds `url` gives just that, so any SQLAlchemy, s3:// or https:// form can be
    stored; otherwise its parts are put together by connection type. Raises SettingsError where there is none.
    """
    try:
        connection = BaseHook.get_connection(name)
    except AirflowRuntimeError:
        return from_environment(name)
    extra = connection.extra_dejson
    if "url" in extra:
        return str(extra["url"])
    kind = connection.conn_type or ""
    if kind in _PATHS:
        return str(extra.get("path") or connection.host or "")
    if kind == "sqlite":
        return f"sqlite:///{connection.host}"
    user = quote(connection.login or "", safe="")
    password = f":{quote(connection.password, safe='')}" if connection.password else ""
    place = (connection.host or "") + (f":{connection.port}" if connection.port else "")
    at = f"{user}{password}@" if user or password else ""
    return f"{_SCHEMES.get(kind, kind)}://{at}{place}/{connection.schema or ''}"
