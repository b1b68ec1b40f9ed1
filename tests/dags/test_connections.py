"""Airflow's connections as URLs, by the real hook over AIRFLOW_CONN_* variables."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.engine import make_url

from dags.connections import connect
from pipelines.sources.http_connection import parse
from schemas.errors import SettingsError

PASSWORD = "p@ss:w/ö?r#d %"


def given(monkeypatch: pytest.MonkeyPatch, **parts: object) -> str:
    """The URL of the connection `parks`, made of these parts."""
    monkeypatch.setenv("AIRFLOW_CONN_PARKS", json.dumps(parts))
    return connect("parks")


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/prefix?region=us-east-1",
        "https://api.example/base?header.Authorization=Bearer%20abc",
        "dm+dmPython://reader:x%40y@db:5236/PARKS",
    ],
)
def test_the_url_in_extra_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert given(monkeypatch, conn_type="generic", host="ignored", extra={"url": url}) == url


@pytest.mark.parametrize(
    ("conn_type", "driver"),
    [
        ("postgres", "postgresql"),
        ("mysql", "mysql"),
        ("mssql", "mssql+pymssql"),
        ("oracle", "oracle+oracledb"),
        ("mariadb+pymysql", "mariadb+pymysql"),
    ],
)
def test_the_parts_of_a_database_survive_special_characters(
    monkeypatch: pytest.MonkeyPatch, conn_type: str, driver: str
) -> None:
    parts = {
        "login": "reader@parks",
        "password": PASSWORD,
        "host": "db.local",
        "port": 5432,
        "schema": "parks",
    }
    url = make_url(given(monkeypatch, conn_type=conn_type, **parts))
    assert (url.drivername, url.username, url.password) == (driver, "reader@parks", PASSWORD)
    assert (url.host, url.port, url.database) == ("db.local", 5432, "parks")


def test_what_is_not_given_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, conn_type="postgres", host="db") == "postgresql://db"
    assert given(monkeypatch, conn_type="mysql", host="db", login="root") == "mysql://root@db"


def test_options_in_extra_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/city root.pem", "connect_timeout": 10}
    url = make_url(given(monkeypatch, conn_type="postgres", host="db", schema="parks", extra=extra))
    assert dict(url.query) == {name: str(value) for name, value in extra.items()}


def test_options_that_no_url_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="connect_args") as refused:
        given(monkeypatch, conn_type="postgres", host="db", extra={"connect_args": {"key": PASSWORD}})
    assert PASSWORD not in str(refused.value)


def test_a_sqlite_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, conn_type="sqlite", host="/data/园林 1.db") == "sqlite:////data/园林 1.db"
    monkeypatch.setenv("AIRFLOW_CONN_PARKS", "sqlite:////data/parks.db")
    assert make_url(connect("parks")).database == "/data/parks.db"


@pytest.mark.parametrize("conn_type", ["fs", "file"])
def test_a_folder(monkeypatch: pytest.MonkeyPatch, conn_type: str) -> None:
    assert given(monkeypatch, conn_type=conn_type, extra={"path": "/data/parks"}) == "/data/parks"
    assert given(monkeypatch, conn_type=conn_type, host="/data/parks") == "/data/parks"
    monkeypatch.setenv("AIRFLOW_CONN_PARKS", f"{conn_type}:///data/parks")
    assert connect("parks") == "/data/parks"


def test_a_folder_without_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PARKS", "/data/parks")
    assert connect("parks") == "/data/parks"


@pytest.mark.parametrize(
    ("parts", "base"),
    [
        ({"conn_type": "http", "host": "api.local"}, "http://api.local"),
        (
            {"conn_type": "http", "host": "api.local", "schema": "https", "port": 8443},
            "https://api.local:8443",
        ),
        ({"conn_type": "http", "host": "https://api.local/v1"}, "https://api.local/v1"),
        ({"conn_type": "https", "host": "api.local", "schema": "v1"}, "https://api.local/v1"),
        ({"conn_type": "http", "host": "https://api.local/v1", "port": 81}, "https://api.local:81/v1"),
    ],
)
def test_the_base_of_an_api(monkeypatch: pytest.MonkeyPatch, parts: dict[str, object], base: str) -> None:
    api = parse("parks", given(monkeypatch, login="reader", password=PASSWORD, **parts))
    assert api.base == base
    assert api.basic == ("reader", PASSWORD)


def test_the_headers_of_an_api(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"header.Authorization": "Bearer a/b+c=", "query.appkey": "k&1"}
    api = parse("parks", given(monkeypatch, conn_type="https", host="api.local", extra=extra))
    assert (api.headers, api.query) == ({"Authorization": "Bearer a/b+c="}, {"appkey": "k&1"})


def test_a_connection_without_host_or_url_says_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"'parks' has no host; expected: a host, or the whole URL"):
        given(monkeypatch, conn_type="generic")


def test_without_a_connection_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_PARKS", raising=False)
    monkeypatch.setenv("XUANWU_CONN_PARKS", "file:///data/parks")
    assert connect("parks") == "file:///data/parks"
    monkeypatch.delenv("XUANWU_CONN_PARKS")
    with pytest.raises(SettingsError, match=r"no connection 'parks'.*set XUANWU_CONN_PARKS, or add"):
        connect("parks")
