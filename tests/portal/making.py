"""A site with two datasets of one department, with what a hostile source might have written in it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from portal import Original, Site
from portal.content import Dataset, Field, File, Provider, Release
from schemas.model import Code, Open, Text, Title

HOSTILE = "</script><script>alert(1)</script>\"'&<img src=https://evil.example/x onerror=alert(1)>"
AT = datetime(2026, 3, 5, 20, 30, tzinfo=UTC)
"""The sixth of March, in the city."""


def dataset(name: str, *, said: str = "学校", releases: int = 1, **more: object) -> Dataset:
    text = Title(zh=said, en=said)
    made: dict[str, object] = {
        "id": f"education.{name}",
        "code": "304001/000001",
        "title": text,
        "summary": text,
        "owner": "education",
        "opened": Open(type="unconditional", fields=("no", "kind")),
        "cycle": Text(zh="每日", en="Daily"),
        "sort": Text(zh="部门", en="Department"),
        "fields": (
            Field("no", text, "string", None, filled=1.0),
            Field("kind", text, "string", None, (Code(code="1", zh=said, en=said),), 0.5),
            Field("born", text, "date", Text(zh="概括到年代", en="by decade"), filled=None),
        ),
        "releases": tuple(release(name, number) for number in range(releases, 0, -1)),
        "sample": (("1", said, None),) if releases else (),
    }
    return Dataset(**(made | more))  # type: ignore[arg-type]


def release(name: str, number: int) -> Release:
    files = (
        File(f"{name}.csv", "csv", 1_400_000, "a" * 64, 1200),
        File("data_dictionary.json", "json", 950, "b" * 64, None),
    )
    why = Text(zh="太大", en="too large")
    return Release(f"batch-{number:08}", AT.replace(day=number), 1200 * number, files, (("xlsx", why),))


def site(*datasets: Dataset, said: str = "公共数据开放", **more: str) -> Site:
    return Site(
        name=Text(zh=said),
        providers={"education": Provider(Title(zh=said, en=said), "11320100MB9034012M")},
        datasets=datasets,
        **more,  # type: ignore[arg-type]
    )


def original(folder: Path, name: str, data: bytes) -> Original:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return Original(str(folder / name), len(data), hashlib.sha256(data).hexdigest())
