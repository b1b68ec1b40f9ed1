"""The ecology bureau's API: pages that add up to the total, authorisation, and errors as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sample.city import write_city
from sample.server import PATH, TOKEN, serving


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("city")
    write_city(folder, 2, 50)
    with serving(folder) as connections:
        yield connections["ecology"]


def get(url: str, **params: object) -> httpx.Response:
    return httpx.get(url + PATH, params={name: str(value) for name, value in params.items()}, trust_env=False)


def test_pages_add_up(url: str) -> None:
    total, seen = get(url, date="2026-03-02", size=100).json()["total"], []
    for page in range(1, total // 100 + 3):
        seen += get(url, date="2026-03-02", page=page, size=100).json()["data"]
    assert len(seen) == total == 22 * 24
    assert len({(row["station"], row["time"]) for row in seen}) == total
    assert {row["time"][:10] for row in seen} == {"2026-03-02"}


def test_a_day_not_measured_yet_has_no_rows(url: str) -> None:
    assert get(url, date="2026-03-04").json() == {"total": 0, "page": 1, "size": 100, "data": []}
    assert get(url).json()["total"] == 2 * 22 * 24


def test_authorisation(url: str) -> None:
    bare = httpx.URL(url).copy_with(userinfo=b"")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{bare}{PATH}", headers=headers, trust_env=False).status_code == 200
    for wrong in ({}, {"Authorization": b"Bearer no"}, {"Authorization": "Basic ä".encode()}):
        answer = httpx.get(f"{bare}{PATH}", headers=wrong, trust_env=False)
        assert answer.status_code == 401
        assert "error" in answer.json()


@pytest.mark.parametrize("params", ({"page": 0}, {"page": "x"}, {"size": 0}, {"size": 10_000}))
def test_bad_pages(url: str, params: dict[str, object]) -> None:
    assert get(url, **params).status_code == 400


def test_other_paths(url: str, tmp_path: Path) -> None:
    answer = httpx.get(f"{url}/../etc/passwd", trust_env=False)
    assert answer.status_code == 404
    assert json.loads(answer.content)
