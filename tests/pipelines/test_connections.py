from __future__ import annotations

import pytest

from pipelines.connections import from_environment, redact
from schemas.errors import SettingsError


def test_a_connection_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_CONN_CIVIL_AFFAIRS", " sqlite:////srv/a.db\n")
    assert from_environment("civil_affairs") == "sqlite:////srv/a.db"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_connection_names_its_variable(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("XUANWU_CONN_CIVIL_AFFAIRS", raising=False)
    if value is not None:
        monkeypatch.setenv("XUANWU_CONN_CIVIL_AFFAIRS", value)
    with pytest.raises(SettingsError, match="set XUANWU_CONN_CIVIL_AFFAIRS"):
        from_environment("civil_affairs")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:s3c@r/et@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:s3c?r#et@h:5432/db", "postgresql://***"),
        ("postgresql://h/db?user=u&password=s3cret", "postgresql://h/db?user=***&password=***"),
        ("https://s3cret@h/api", "https://***@h/api"),
        ("https://h/api?key=s3cret#s3cret", "https://h/api?key=***"),
        ("https://h/api?s3cret", "https://h/api"),
        ("https://h/api?mail=a@b&key=s3cret", "https://***"),
        ("s3://key:s3cret@bucket/prefix", "s3://key:***@bucket/prefix"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("sqlite:////srv/a.db", "sqlite:////srv/a.db"),
        ("/srv/files", "/srv/files"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert "s3cret" not in shown
