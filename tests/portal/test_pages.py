"""The pages: whole, safe whatever the city's words hold, and the same for the same content."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from portal import Site
from portal.pages import FED, texts
from portal.rendering import kind, size
from schemas.model import Licence, Open, Text
from tests.portal.making import HOSTILE, dataset, site
from tests.portal.reading import broken, parsed

ATOM = "{http://www.w3.org/2005/Atom}"


def pages(shown: Site) -> dict[str, str]:
    return {path: text.decode() for path, text in texts(shown)}


def html(shown: Site) -> dict[str, str]:
    return {path: text for path, text in pages(shown).items() if path.endswith(".html")}


def test_every_dataset_has_its_page_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    shown = site(dataset("school", releases=2), dataset("announced", releases=0))
    made = pages(shown)
    assert list(made)[-1] == "index.html", "the first page comes last"
    for path, text in made.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    (tmp_path / "SHA256SUMS").touch()
    (tmp_path / "catalog.jsonld").touch()
    home = tmp_path / "downloads/education/school"
    for number in (1, 2):
        (home / f"batch-{number:08}").mkdir(parents=True)
        for name in ("school.csv", "data_dictionary.json", "SHA256SUMS"):
            (home / f"batch-{number:08}" / name).touch()
    (home / "latest.json").touch()
    assert broken(tmp_path) == []
    (home / "batch-00000001" / "school.csv").unlink()
    assert len(broken(tmp_path)) == 1, "earlier releases are led to as well"


def test_no_word_of_the_city_becomes_part_of_a_page() -> None:
    calm = html(site(dataset("school", said="学校", opened=licensed(SAID))))
    hostile = Licence(zh=HOSTILE, en=HOSTILE, text=Text(zh=HOSTILE, en=HOSTILE))
    wild = html(site(dataset("school", said=HOSTILE, opened=licensed(hostile)), said=HOSTILE))
    assert calm.keys() == wild.keys()
    for path, text in wild.items():
        expected, found = parsed(calm[path]), parsed(text)
        assert [tag for tag, _ in found.elements] == [tag for tag, _ in expected.elements], path
        assert [attrs.keys() for _, attrs in found.elements] == [
            attrs.keys() for _, attrs in expected.elements
        ]
        assert not [link for link in found.links() if "evil.example" in link]
    (told,) = [
        text for text in parsed(wild["datasets/education/school.html"]).texts["script"] if "@context" in text
    ]
    assert json.loads(told)["name"] == HOSTILE
    feed = ElementTree.fromstring(pages(site(dataset("school", said=HOSTILE), said=HOSTILE))["updates.atom"])
    assert feed.findtext(f"{ATOM}title") == HOSTILE


def test_a_character_that_no_page_or_feed_may_hold_breaks_neither() -> None:
    """XML 1.0, section 2.2: a feed with one of them is read by nobody."""
    shown = site(
        dataset("school", said="学\x08校\x00\x0b\x1f\x7f\ufffe\n"), address="https://data.city.example"
    )
    for path, text in pages(shown).items():
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]", text), path
    feed = ElementTree.fromstring(pages(shown)["updates.atom"])
    assert (feed.findtext(f".//{ATOM}entry/{ATOM}title") or "").startswith("学\ufffd校")


def test_a_page_runs_its_own_script_alone_and_loads_nothing() -> None:
    for path, text in html(site(dataset("school"), exchange="https://exchange.example")).items():
        page = parsed(text)
        (policy,) = [attrs["content"] for attrs in page.of("meta") if "http-equiv" in attrs]
        assert policy is not None and policy.startswith("default-src 'none'; ")
        allowed = set(re.findall(r"'(sha256-[^']+)'", policy))
        assert len(allowed) == 2
        own = [
            *page.texts["style"],
            *(each for each in page.texts.get("script", []) if "@context" not in each),
        ]
        assert {digest(each) for each in own} <= allowed
        assert bool(page.texts.get("script")) == (path.startswith("datasets/"))
        assert not [
            name for _, attrs in page.elements for name in attrs if name.startswith("on") or name == "style"
        ]
        loading = [
            attrs for tag, attrs in page.elements if "src" in attrs or tag in {"iframe", "object", "embed"}
        ]
        assert loading == []
        assert all(attrs.get("rel") != "stylesheet" for attrs in page.of("link"))


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_same_content_gives_the_same_bytes() -> None:
    shown = site(dataset("school"), dataset("announced", releases=0), address="https://data.city.example")
    assert list(texts(shown)) == list(texts(shown))


def test_what_a_dataset_s_page_says() -> None:
    opened = Open(type="conditional", fields=("no",), conditions=Text(zh="须注明来源", en="name the source"))
    page = pages(site(dataset("school", releases=2, opened=opened)))["datasets/education/school.html"]
    for said in (
        "2,400",
        "1.4 MB",
        "2026-03-03",
        "须注明来源",
        "概括到年代 ",
        "by decade",
        "50.0%",
        "太大",
        "a" * 64,
    ):
        assert said.strip() in page, said
    assert "有条件开放" in page and "无条件开放" not in page
    assert not [link for link in parsed(page).links() if "downloads/" in link], "who wants it asks for it"
    assert "申请后获取" in page and "distribution" not in page
    announced = pages(site(dataset("school", releases=0)))["datasets/education/school.html"]
    assert "尚未发布" in announced and "downloads/" not in announced


def test_what_is_opened_on_conditions_leads_to_where_it_is_applied_for() -> None:
    opened = Open(type="conditional", fields=("no",), conditions=Text(zh="须注明来源", en="name the source"))
    place = "https://exchange.example/applications/new?dataset=education.school"
    there, page = "https://exchange.example", "datasets/education/school.html"
    assert html(site(dataset("school", opened=opened), exchange=there))[page].count(place) == 2
    assert place not in html(site(dataset("school"), exchange=there))[page]  # open to everybody
    nowhere = html(site(dataset("school", opened=opened)))[page]
    assert "applications" not in nowhere and "申请后获取" in nowhere


def test_the_exchange_is_led_to_where_there_is_one() -> None:
    place = "https://exchange.example/objections/new?table=open/education.school/open"
    with_one = html(site(dataset("school"), exchange="https://exchange.example"))
    without = html(site(dataset("school")))
    assert place in parsed(with_one["datasets/education/school.html"]).links()
    assert not [each for text in without.values() for each in parsed(text).links() if "objections" in each]


def test_whole_addresses_where_the_site_has_one() -> None:
    named = pages(site(dataset("school"), address="https://data.city.example"))
    assert "sitemap.xml" in named and "sitemap.xml" not in pages(site(dataset("school")))
    places = [
        each.text for each in ElementTree.fromstring(named["sitemap.xml"]).iter() if each.tag.endswith("loc")
    ]
    assert {place.removeprefix("https://data.city.example/") for place in places if place} == {
        path for path in named if path.endswith(".html")
    }
    links = [
        each.get("href", "") for each in ElementTree.fromstring(named["updates.atom"]).iter(f"{ATOM}link")
    ]
    assert {link.removeprefix("https://data.city.example/") for link in links} == {
        "updates.atom",
        "updates.html",
        "datasets/education/school.html",
    }
    assert all(link.startswith("https://data.city.example/") for link in links), (
        "many readers know no xml:base"
    )
    (told,) = [t for t in parsed(named["datasets/education/school.html"]).texts["script"] if "@context" in t]
    (file,) = json.loads(told)["distribution"]
    assert (
        file["contentUrl"] == "https://data.city.example/downloads/education/school/batch-00000001/school.csv"
    )


def test_a_program_that_was_copied_from_a_page_reads_the_newest_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release's own address is gone after a few more: the page's program asks which is the newest."""
    base = tmp_path.as_uri()
    page = pages(site(dataset("school", releases=2), address=base))["datasets/education/school.html"]
    (program,) = parsed(page).texts["pre"]
    home = tmp_path / "downloads/education/school"
    (home / "newest").mkdir(parents=True)
    (home / "latest.json").write_text('{"release": "newest"}')
    (home / "newest/school.csv").write_text("\ufeffno,kind\n007,1\n", encoding="utf-8")
    told: dict[str, Any] = {}
    exec(program, told)
    assert told["rows"].to_dict("list") == {"no": ["007"], "kind": ["1"]}


def test_the_feed_has_the_newest_first_and_not_without_end() -> None:
    many = [dataset(f"school{number}") for number in range(FED + 5)]
    assert f"The newest {FED};" not in pages(site(*many[:FED]))["updates.html"]
    shown = pages(site(*many))["updates.html"]
    assert f"The newest {FED};" in shown and f"all {FED + 5} datasets" in shown
    feed = ElementTree.fromstring(pages(site(*many, dataset("late", releases=3)))["updates.atom"])
    ids = [each.findtext(f"{ATOM}id") for each in feed.iter(f"{ATOM}entry")]
    assert ids[0] == "urn:xuanwu:education.late:batch-00000003" and len(ids) == len(set(ids)) == FED
    when = feed.findtext(f"{ATOM}updated")
    assert when and datetime.fromisoformat(when) == datetime(2026, 3, 3, 20, 30, tzinfo=UTC)


def test_a_city_that_has_opened_nothing_has_a_site_too() -> None:
    made = html(site())
    assert all(parsed(text) for text in made.values())
    assert "还没有发布的数据" in made["index.html"]


def test_a_screen_reader_is_told_which_words_are_english() -> None:
    """WCAG 2.2, 3.1.2. A title, a placeholder and a choice can hold no element, and code is no language."""
    shown = replace(
        site(dataset("school"), dataset("no", releases=0), said="学校"), name=Text(zh="开放", en="Open data")
    )
    names = {
        "GB",
        "string",
        "date",
        "Atom",
        "DCAT",
        "SHA",
        "XLSX",
        "CSV",
        "JSON",
        "Parquet",
        "Lines",
        "UTF",
        "MB",
    }
    for path, text in html(shown).items():
        for tag, language, words in parsed(text).said:
            if tag not in {"title", "option", "style", "script", "code", "pre", "bdi", "noscript"}:
                english = set(
                    re.findall(r"[A-Za-z]{2,}", re.sub(r"\w+\.(csv|jsonld|json|atom)|SHA256SUMS", "", words))
                )
                assert language == "en" or english <= names, (path, words)
                assert language != "en" or not re.search(r"[\u4e00-\u9fff]", words.replace("学校", "")), words


def test_headings_landmarks_and_tables_as_assistive_technology_needs_them() -> None:
    for text in html(site(dataset("school"), dataset("announced", releases=0))).values():
        page = parsed(text)
        tags = [tag for tag, _ in page.elements]
        levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1, "one title"
        assert all(after <= before + 1 for before, after in pairwise(levels)), "no level is left out"
        assert tags.index("header") < tags.index("main") < tags.index("h1"), "who skips to it hears the title"
        assert page.of("main") == [{"id": "main", "tabindex": "-1"}]
        assert all(attrs.get("scope") == "col" for attrs in page.of("th"))
        scrolled = [attrs for attrs in page.of("div") if attrs.get("class") == "scroll"]
        assert len(scrolled) == tags.count("table")
        assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in scrolled)


def test_without_its_script_the_list_says_so() -> None:
    page = parsed(html(site(dataset("school")))["datasets/index.html"])
    (form,) = (attrs for attrs in page.of("form"))
    assert "hidden" in form and "搜索和筛选需要脚本" in "".join(page.texts["noscript"] + page.texts["p"])


def test_what_is_searched_for_is_in_the_list() -> None:
    (item,) = [
        a
        for a in parsed(html(site(dataset("school", said="学校 School")))["datasets/index.html"]).of("li")
        if "data-text" in a
    ]
    words = item["data-text"] or ""
    assert all(each in words for each in ("学校", "school", "304001/000001", "education.school", "born"))
    assert (item["data-department"], item["data-sort"], item["data-formats"]) == ("education", "部门", "csv")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_400_000, "1.4 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said


def test_types_are_told_in_chinese_too() -> None:
    assert (kind("decimal(12,2)"), kind("timestamp (UTC)")) == (
        "小数 decimal(12,2)",
        "日期时间 timestamp (UTC)",
    )
    assert kind("list") == "list"


def licensed(licence: Licence | None, **more: Any) -> Open:
    return Open(**{"type": "unconditional", "fields": ("no",), "licence": licence} | more)


READ = Licence(zh="知识共享 署名", en="CC BY", url="https://creativecommons.example/by/4.0/")
SAID = Licence(zh="某市许可", en="The city's", text=Text(zh="须注明来源", en="name the source"))


def told_of(opened: Open) -> tuple[str, dict[str, Any]]:
    """A dataset's page, and what search engines read on it."""
    page = pages(site(dataset("school", opened=opened)))["datasets/education/school.html"]
    (told,) = [text for text in parsed(page).texts["script"] if "@context" in text]
    return page, json.loads(told)


def test_a_page_leads_to_the_licence_or_has_it_in_full() -> None:
    page, told = told_of(licensed(READ))
    assert [a["href"] for a in parsed(page).of("a") if a.get("rel") == "license"] == [READ.url]
    assert told["license"] == {
        "@type": "CreativeWork",
        "name": "知识共享 署名",
        "alternateName": "CC BY",
        "url": READ.url,
    }
    page, told = told_of(licensed(SAID))
    assert "某市许可" in page and "须注明来源" in page and "name the source" in page
    assert told["license"]["text"] == "须注明来源" and "url" not in told["license"]


def test_where_there_is_no_licence_none_is_claimed_and_conditions_are_the_terms() -> None:
    page, told = told_of(licensed(None))
    assert "未声明许可" in page and "none stated" in page and "license" not in told
    conditions = Text(zh="须注明来源", en="name the source")
    page, told = told_of(licensed(None, type="conditional", conditions=conditions))
    assert "未声明许可" not in page and "使用以该条件为准" in page
    assert "license" not in told and told["conditionsOfAccess"] == "须注明来源"


def test_the_page_about_the_data_names_the_citys_licence() -> None:
    with_one = pages(replace(site(dataset("school")), licence=READ))["about.html"]
    assert [a["href"] for a in parsed(with_one).of("a") if a.get("rel") == "license"] == [READ.url]
    without = pages(site(dataset("school")))["about.html"]
    assert "没有统一声明的许可" in without and "自由使用" not in without
