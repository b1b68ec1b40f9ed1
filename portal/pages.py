"""The site's texts: every path below its root that is written rather than copied, with its bytes. The same content
gives the same bytes, so that what did not change is not written again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from lake.media import MEDIA
from portal.content import Dataset, Site
from portal.rendering import moment, render
from schemas.model import Licence

LATEST: Final = 8
"""Updates on the first page; the feed and the page of updates have `FED`."""
FED: Final = 100
Made = Iterator[tuple[str, bytes]]


def texts(site: Site) -> Made:
    """Path and bytes of every list, page and feed, the first page last."""
    yield from ((name, text.encode()) for name, text in site.lists.items())
    for each in site.datasets:
        depth = each.path.count("/") + 1
        facts = {"each": each, "provider": site.providers[each.owner], "metadata": _metadata(site, each)}
        yield _page(site, f"datasets/{each.path}.html", "dataset.html", depth, **facts)
    yield _page(site, "datasets/index.html", "datasets.html", 1, groups=_groups(site), formats=_formats(site))
    yield _page(site, "updates.html", "updates.html", updates=site.newest[:FED], most=FED)
    yield _page(site, "about.html", "about.html")
    yield _page(site, "updates.atom", "updates.atom", updates=site.newest[:FED])
    if site.address:
        yield _page(site, "sitemap.xml", "sitemap.xml")
    yield _page(site, "index.html", "index.html", updates=site.newest[:LATEST], groups=_groups(site))


def _page(site: Site, path: str, template: str, depth: int = 0, **facts: Any) -> tuple[str, bytes]:
    return path, render(template, depth, site=site, path=path, **facts).encode()


def _groups(site: Site) -> list[tuple[str, list[Dataset]]]:
    """The datasets of each department, in the order of the departments' ids."""
    ordered = sorted(site.datasets, key=lambda each: (each.owner, each.id))
    return [(owner, list(those)) for owner, those in groupby(ordered, lambda each: each.owner)]


def _formats(site: Site) -> list[str]:
    """The formats that something can be downloaded in, the most frequent first."""
    found = Counter(file.format for each in site.newest for file in each.releases[0].data)
    return [name for name, _ in found.most_common()]


def _metadata(site: Site, each: Dataset) -> dict[str, Any]:
    """The dataset as search engines read it (schema.org/Dataset)."""
    provider, release = site.providers[each.owner], each.release
    told: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Dataset",
        "name": each.title.zh,
        "alternateName": each.title.en,
        "description": each.summary.zh,
        "identifier": each.code,
        "isAccessibleForFree": each.free,
        "keywords": [field.title.zh for field in each.fields],
        "creator": {"@type": "GovernmentOrganization", "name": provider.title.zh},
        "variableMeasured": [field.title.zh for field in each.fields],
    }
    if each.opened.licence:
        told["license"] = _licence(each.opened.licence)
    if each.opened.conditions:
        told["conditionsOfAccess"] = each.opened.conditions.zh
    if site.address:
        told["url"] = f"{site.address}/datasets/{each.path}.html"
    if release:
        told["dateModified"] = moment(release.at)
        told["version"] = release.name
    if release and site.address and each.free:
        folder = f"{site.address}/downloads/{each.path}/{release.name}"
        told["distribution"] = [
            {
                "@type": "DataDownload",
                "contentUrl": f"{folder}/{file.name}",
                "encodingFormat": MEDIA[file.format],
                "contentSize": str(file.size),
                "sha256": file.sha256,
            }
            for file in release.data
        ]
    return told


def _licence(licence: Licence) -> dict[str, str]:
    told = {"@type": "CreativeWork", "name": licence.zh, "alternateName": licence.en}
    if licence.url:
        told["url"] = licence.url
    if licence.text:
        told["text"] = licence.text.zh
    return told


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
