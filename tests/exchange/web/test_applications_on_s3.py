"""What an application gives of a lake on S3: the files as they were certified, and no other that has their name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake import store
from schemas.settings import Settings
from tests.exchange.web.conftest import Exchange
from tests.exchange.web.test_applications import exchange, granted, releases  # noqa: F401
from tests.exchange.web.test_tables import problem
from tests.pipelines.publishing.making import ID
from tests.s3 import S3


@pytest.fixture
def settings(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    yield Settings(home=tmp_path / "home", lake=f"{s3.bucket('lake')}/applied")


def test_a_file_that_was_changed_is_not_given(exchange: Exchange) -> None:  # noqa: F811
    root = exchange.city.settings.lake_root
    assert store.list_files(store.join(root, "downloads")) == []
    (release, _) = releases(exchange, granted(exchange))
    for told in release["files"]:
        assert hashlib.sha256(exchange.get(told["url"], "citizen").content).hexdigest() == told["sha256"]
    told = release["files"][0]
    uri = store.join(root, "conditional", *ID.split("."), release["release"], told["name"])
    data = store.read_bytes(uri)
    store.write_atomic(uri, data.replace(b"V00", b"W00"))
    for part in ({}, {"Range": "bytes=0-9"}):
        problem(exchange.get(told["url"], "citizen", headers=part), 500)
    store.write_atomic(uri, data)
    assert exchange.get(told["url"], "citizen").content == data
