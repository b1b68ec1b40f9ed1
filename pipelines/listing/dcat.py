"""What is open, and its downloads, for other catalogues: DCAT 3 as JSON-LD, by the shapes of DCAT-AP 3.0.1, which want
a node with its class where DCAT takes a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lake.media import MEDIA
from lake.releases import Standing
from pipelines.context import Context
from pipelines.listing.tables import cycle
from schemas.model import Entry, Licence
from schemas.policy import open_fields

Json = dict[str, Any]
CONTEXT: Final = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_IANA: Final = "https://www.iana.org/assignments/media-types/"
_FREQUENCY: Final = "http://publications.europa.eu/resource/authority/frequency/"
_RIGHTS: Final = "http://publications.europa.eu/resource/authority/access-right/"


def catalog(ctx: Context, opened: Mapping[str, Standing | None], base: str) -> Json:
    """The datasets of these ids, each with the release that it is told with."""
    released = [release[1]["released_at"] for release in opened.values() if release]
    return {
        "@context": CONTEXT,
        "@type": "dcat:Catalog",
        "dct:title": _texts("公共数据开放目录", "Open data catalogue"),
        "dct:description": _texts(
            "本市向社会开放的数据及其下载。", "What the city opens to the public, and its downloads."
        ),
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": _texts("数据主管部门", "Data authority")},
        **({"dct:modified": _typed(max(released), "dateTime")} if released else {}),
        "dcat:dataset": [
            _dataset(ctx, ctx.catalogue.entries[name], found, base) for name, found in opened.items()
        ],
    }


def _dataset(ctx: Context, entry: Entry, found: Standing | None, base: str) -> Json:
    department = ctx.catalogue.departments[entry.owner]
    conditions = entry.open.conditions
    told: Json = {
        "@id": f"urn:xuanwu:{entry.id}",
        "@type": "dcat:Dataset",
        "dct:identifier": entry.code,
        "dct:title": _texts(entry.title.zh, entry.title.en),
        "dct:description": _texts(entry.summary.zh, entry.summary.en),
        "dct:publisher": {
            "@type": "foaf:Agent",
            "dct:identifier": department.uscc,
            "foaf:name": _texts(department.title.zh, department.title.en),
        },
        "dct:accrualPeriodicity": {
            "@id": _FREQUENCY + cycle(ctx.catalogue, entry)[1],
            "@type": "dct:Frequency",
        },
        "dcat:keyword": [
            {"@language": "zh", "@value": entry.fields[name].title.zh} for name in open_fields(entry)
        ],
    }
    free = entry.open.type == "unconditional"
    told["dct:accessRights"] = {
        "@id": _RIGHTS + ("PUBLIC" if free else "RESTRICTED"),
        "@type": "dct:RightsStatement",
    }
    if conditions:
        told["dct:rights"] = {
            "@type": "dct:RightsStatement",
            "dct:description": _texts(conditions.zh, conditions.en),
        }
    if found is not None:
        told["dct:modified"] = _typed(found[1]["released_at"], "dateTime")
        if distributions := list(_distributions(ctx, entry, found, base)):
            told["dcat:distribution"] = distributions
    return told


def _distributions(ctx: Context, entry: Entry, found: Standing, base: str) -> Iterator[Json]:
    """The files of data. What is opened on conditions has no address to be downloaded from: it is applied for, where
    there is an exchange that the public comes to."""
    (_, _, folder), index = found[0].partition("/"), found[1]
    files = [file for file in index["files"] if file["rows"] is not None]
    exchange = ctx.settings.portal_exchange.rstrip("/")
    if entry.open.type == "unconditional":
        licence = {"dct:license": _licence(entry.open.licence)} if entry.open.licence else {}
        for file in files:
            address = {
                "@id": f"{base.rstrip('/')}/{folder}/{file['name']}" if base else f"{folder}/{file['name']}"
            }
            yield _distribution(file) | licence | {"dcat:accessURL": address, "dcat:downloadURL": address}
    elif exchange:
        address = {"@id": f"{exchange}/applications/new?dataset={entry.id}"}
        yield from (_distribution(file) | {"dcat:accessURL": address} for file in files)


def _distribution(file: Mapping[str, Any]) -> Json:
    return {
        "@type": "dcat:Distribution",
        "dct:title": _texts(file["name"], ""),
        "dct:format": {"@type": "dct:MediaTypeOrExtent", "rdfs:label": file["format"].upper()},
        "dcat:mediaType": {"@id": f"{_IANA}{MEDIA[file['format']]}", "@type": "dct:MediaType"},
        "dcat:byteSize": _typed(str(file["size"]), "nonNegativeInteger"),
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256", "@type": "spdx:ChecksumAlgorithm"},
            "spdx:checksumValue": _typed(file["sha256"], "hexBinary"),
        },
    }


def _licence(licence: Licence) -> Json:
    """By its address where it has one: two of one address are one licence."""
    told: Json = {"@type": "dct:LicenseDocument", "dct:title": _texts(licence.zh, licence.en)}
    if licence.url:
        told["@id"] = licence.url
    if licence.text:
        told["dct:description"] = _texts(licence.text.zh, licence.text.en)
    return told


def _texts(zh: str, en: str) -> list[Json]:
    return [{"@language": tag, "@value": text} for tag, text in (("zh", zh), ("en", en)) if text]


def _typed(text: str, kind: str) -> Json:
    return {"@type": f"xsd:{kind}", "@value": text}
