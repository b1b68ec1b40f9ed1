"""The city's lists: every dataset and field in the words of the standard, and what is open with its files."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from lake import releases
from lake.media import MEDIA
from pipelines.cli import app
from pipelines.context import Context
from pipelines.listing import export
from pipelines.listing.dcat import catalog
from pipelines.listing.tables import CYCLES, FORMATS, SHEETS, TYPES, cycle
from schemas.load import Catalogue
from schemas.model import Entry, Text, Title
from schemas.model.sources import FileSource
from schemas.settings import Settings
from tests.pipelines.publishing.making import ID, KEY, OPEN, SECRET, City, people

LICENCE = {"zh": "某市许可", "en": "The city's", "url": "https://data.city.example/licence"}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_dataset_and_field_is_listed_once(ctx: Context, tmp_path: Path) -> None:
    resources, items, opened, _ = export(ctx, tmp_path / "lists")
    entries = ctx.catalogue.entries
    assert resources.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel knows UTF-8 by it"
    assert {row["标识"] for row in table(resources)} == set(entries) and len(table(resources)) == len(entries)
    assert len(table(items)) == sum(len(entry.fields) for entry in entries.values())
    assert {row["标识"] for row in table(opened)} == {
        name for name, entry in entries.items() if entry.open.type != "none"
    }
    (school,) = [row for row in table(resources) if row["标识"] == "education.school"]
    assert school == {
        "信息资源分类": "部门 304001",
        "信息资源名称": "学校名录",
        "信息资源代码": "304001/000001",
        "标识": "education.school",
        "信息资源提供方": "市教育局",
        "提供方代码": "11320100MB9034012M",
        "信息资源摘要": entries["education.school"].summary.zh,
        "信息资源格式": "2 电子表格",
        "共享类型": "1 无条件共享",
        "共享条件": "",
        "共享方式": "1 共享平台",
        "是否向社会开放": "1",
        "开放条件": "",
        "更新周期": "每日",
        "发布日期": "",
        "关联资源代码": "",
    }
    assert all(row["共享条件"] for row in table(resources) if not row["共享类型"].startswith("1"))


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "＝1"])
def test_no_cell_is_a_formula(ctx: Context, tmp_path: Path, text: str) -> None:
    """A title may be of an entry that came from another platform."""
    school = ctx.catalogue.entries["education.school"]
    said = {"title": Title(zh=text, en=text), "summary": Text(zh=text)}
    name, field = next(iter(school.fields.items()))
    fields = {**school.fields, name: field.model_copy(update={"title": Title(zh=text, en=text)})}
    entries = {**ctx.catalogue.entries, school.id: school.model_copy(update={**said, "fields": fields})}
    written = export(replace(ctx, catalogue=replace(ctx.catalogue, entries=entries)), tmp_path / "lists")
    cells = [cell for path in written[:3] for row in table(path) for cell in row.values()]
    assert f"'{text}" in cells and text not in cells


def test_every_kind_of_type_source_and_download_has_its_word(ctx: Context) -> None:
    for entry in ctx.catalogue.entries.values():
        assert {field.type for field in entry.fields.values()} <= set(TYPES)
        assert entry.source.kind in {*FORMATS, "file"}
        assert set(entry.open.downloads) <= set(MEDIA)
    assert set(get_args(FileSource.model_fields["format"].annotation)) == SHEETS | {
        "json",
        "jsonl",
        "parquet",
    }


@pytest.mark.parametrize(
    ("cron", "word"),
    [
        ("0 * * * *", "实时"),
        ("0 3 * * *", "每日"),
        ("0 3 * * 1-5", "每日"),
        ("0 3 * * 1", "每周"),
        ("0 3 1 * *", "每月"),
        ("0 3 1 */3 *", "每季度"),
        ("0 3 1 1,7 *", "每半年"),
        ("0 3 1 1 *", "每年"),
    ],
)
def test_the_cycle_is_that_of_the_schedule(ctx: Context, cron: str, word: str) -> None:
    entry = ctx.catalogue.entries["education.school"]
    assert entry.schedule is not None
    other = entry.model_copy(update={"schedule": entry.schedule.model_copy(update={"cron": cron})})
    assert cycle(ctx.catalogue, other)[0] == word
    assert word in {each for _, each, _ in CYCLES}


def test_a_derived_dataset_comes_as_often_as_its_most_frequent_input(ctx: Context) -> None:
    derived = ctx.catalogue.entries["base.legal_person"]
    hourly = ctx.catalogue.entries["education.school"]
    assert hourly.schedule is not None
    entries: dict[str, Entry] = ctx.catalogue.entries | {
        hourly.id: hourly.model_copy(
            update={"schedule": hourly.schedule.model_copy(update={"cron": "0 * * * *"})}
        )
    }
    changed = ctx.catalogue.__class__(**{**vars(ctx.catalogue), "entries": entries})
    assert (cycle(ctx.catalogue, derived)[0], cycle(changed, derived)[0]) == ("每日", "实时")


def test_what_is_open_leads_to_its_files_and_to_nothing_else(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    city = City(settings, make_catalogue)
    lists = tmp_path / "lists"
    before = json.loads(export(city.ctx, lists)[3].read_text("utf-8"))
    assert "dcat:distribution" not in before["dcat:dataset"][0]
    published = city.publish(city.curate(1, people(400)), "open")
    _, _, opened, catalog = export(city.ctx, lists, base="https://data.city.example/downloads/")
    (row,) = table(opened)
    assert (row["标识"], row["行数"]) == (ID, str(published.rows_out))
    (dataset,) = json.loads(catalog.read_text("utf-8"))["dcat:dataset"]
    home = Path(settings.lake_root) / "downloads"
    found: dict[str, Any] = {
        each["dct:format"]["rdfs:label"].lower(): each for each in dataset["dcat:distribution"]
    }
    assert set(found) == {each.format for each in published.downloads} == set(row["下载格式"].split())
    for each in found.values():
        address = each["dcat:downloadURL"]["@id"]
        data = (home / address.removeprefix("https://data.city.example/downloads/")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == each["spdx:checksum"]["spdx:checksumValue"]["@value"]
        assert str(len(data)) == each["dcat:byteSize"]["@value"]
    assert [each.name for each in lists.iterdir() if each.suffix not in {".csv", ".jsonld"}] == []


def test_the_command(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUANWU_HOME", str(settings.home))
    done = CliRunner().invoke(app, ["catalogue", "export", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert [Path(line).name for line in done.stdout.splitlines()] == [
        "resources.csv",
        "items.csv",
        "open.csv",
        "catalog.jsonld",
    ]


def test_what_dcat_ap_wants_as_nodes_of_a_class_is_such(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DCAT-AP 3.0.1, SHACL: sh:nodeKind sh:BlankNodeOrIRI and sh:class of these properties."""
    classes = {
        "dct:license": "dct:LicenseDocument",
        "dct:format": "dct:MediaTypeOrExtent",
        "dcat:mediaType": "dct:MediaType",
        "dct:accrualPeriodicity": "dct:Frequency",
        "dct:accessRights": "dct:RightsStatement",
        "spdx:algorithm": "spdx:ChecksumAlgorithm",
        "dct:publisher": "foaf:Agent",
    }
    monkeypatch.setenv(KEY, SECRET)
    city = City(settings, make_catalogue, open=OPEN | {"licence": LICENCE})
    city.publish(city.curate(1, people(400, 1)), "open")
    told = catalog(city.ctx, {ID: releases.holding(city.ctx.settings.lake_root, city.entry)}, "downloads")
    found = list(nodes(told))
    assert {name for name, _ in found} >= classes.keys()
    assert not [
        (name, value) for name, value in found if name in classes and value.get("@type") != classes[name]
    ]


def nodes(told: object) -> Iterator[tuple[str, Any]]:
    """Every property of a JSON-LD text with its value."""
    for each in told if isinstance(told, list) else [told]:
        if isinstance(each, dict):
            for name, value in each.items():
                yield name, value
                yield from nodes(value)


@pytest.mark.parametrize(
    ("opened", "word", "told"),
    [
        (
            {"licence": LICENCE},
            "某市许可 https://data.city.example/licence",
            {
                "@id": "https://data.city.example/licence",
                "@type": "dct:LicenseDocument",
                "dct:title": [
                    {"@language": "zh", "@value": "某市许可"},
                    {"@language": "en", "@value": "The city's"},
                ],
            },
        ),
        (
            {"licence": {"zh": "甲", "en": "A", "text": {"zh": "须注明来源"}}},
            "甲 须注明来源",
            {
                "@type": "dct:LicenseDocument",
                "dct:title": [{"@language": "zh", "@value": "甲"}, {"@language": "en", "@value": "A"}],
                "dct:description": [{"@language": "zh", "@value": "须注明来源"}],
            },
        ),
        ({}, "未声明许可", None),
        ({"type": "conditional", "conditions": {"zh": "依申请"}}, "见开放条件", None),
    ],
)
def test_each_download_has_its_licence_or_none_is_claimed(
    settings: Settings,
    make_catalogue: Callable[[dict[str, str]], Catalogue],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: dict[str, Any],
    word: str,
    told: dict[str, Any] | None,
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    at = settings.model_copy(update={"portal_exchange": "https://exchange.example"})
    city = City(at, make_catalogue, open=OPEN | opened)
    city.publish(city.curate(1, people(400)), "open")
    _, _, listed, listing = export(city.ctx, tmp_path / "lists")
    assert [row["许可"] for row in table(listed)] == [word]
    (dataset,) = json.loads(listing.read_text("utf-8"))["dcat:dataset"]
    licences = [each.get("dct:license") for each in dataset["dcat:distribution"]]
    assert len(licences) == 4 and all(each == told for each in licences)
