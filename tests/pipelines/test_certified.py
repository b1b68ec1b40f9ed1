"""The public site shows what a certificate names, as it names it: whoever can write on the lake's disk publishes nothing
by it, and what is not certified is not shown."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.listing import build_site
from pipelines.publishing.withdrawal import withdraw
from portal import Built
from schemas.errors import LakeError
from schemas.load import Catalogue
from schemas.settings import Settings
from tests.pipelines.publishing.making import ID, KEY, SECRET, City, people

Changed = Callable[[dict[str, Any]], object]


@pytest.fixture
def city(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> City:
    """A city with two releases and its site."""
    monkeypatch.setenv(KEY, SECRET)
    city = City(settings, make_catalogue)
    for day in (1, 2):
        city.publish(city.curate(day, people(400, day)), "open")
    assert build_site(city.ctx)[2].copied == 12
    return city


def home(city: City) -> Path:
    return Path(city.settings.lake_root, "downloads", *ID.split("."))


def newest(city: City) -> Path:
    return home(city) / str(json.loads((home(city) / "latest.json").read_text())["release"])


def change(file: Path, how: Changed) -> None:
    told = json.loads(file.read_text())
    how(told)
    file.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")


def public(city: City) -> dict[str, bytes]:
    root = Path(city.settings.portal_root)
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def refused(city: City, match: str) -> None:
    """The site is built without the dataset, and without what else was withdrawn meanwhile; and the build says why."""
    root = Path(city.settings.portal_root)
    stray, marker = root / "downloads/other/dataset/1/withdrawn.csv", root / ".portal.json"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"withdrawn")
    marker.write_text(json.dumps([*json.loads(marker.read_text()), str(stray.relative_to(root))]))
    with pytest.raises(LakeError, match=r"built without 1 dataset\(s\)") as caught:
        build_site(city.ctx)
    assert re.search(match, "".join(caught.value.__notes__))
    left = public(city)
    assert not [path for path in left if path.startswith("downloads/")]
    assert not json.loads(left["catalog.jsonld"])["dcat:dataset"]
    assert "尚未发布" in left[f"datasets/{ID.replace('.', '/')}.html"].decode()


@pytest.mark.parametrize(
    "how",
    [
        lambda index: index["files"][0].update(name="../../../../../home/signing.key"),
        lambda index: index["files"][0].update(name="/etc/hostname"),
        lambda index: index["files"][0].update(format="<b>exe</b>"),
        lambda index: index.update(rows="<b>many</b>"),
        lambda index: index.clear(),
    ],
)
def test_an_index_that_somebody_changed(city: City, how: Changed) -> None:
    change(newest(city) / "index.json", how)
    refused(city, r"index\.json|is not what was certified")


def test_a_file_with_its_digest_that_somebody_changed(city: City) -> None:
    """It would pass by the index alone."""
    data = b"what nobody published"
    (newest(city) / "visit.csv").write_bytes(data)
    told = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change(newest(city) / "index.json", lambda index: index["files"][0].update(told))
    refused(city, "is not what was certified")


def test_a_dictionary_that_hides_a_field(city: City) -> None:
    change(newest(city) / "data_dictionary.json", lambda words: words["fields"].pop())
    refused(city, r"is not what was certified.*data_dictionary\.json")


@pytest.mark.parametrize("name", ["latest.json", "index.json", "data_dictionary.json"])
def test_what_is_no_json(city: City, name: str) -> None:
    (home(city) if name == "latest.json" else newest(city)).joinpath(name).write_text("junk")
    refused(city, f"changed.*{name}")


@pytest.mark.parametrize("said", [[], {"release": "x"}, {"release": "../x", "earlier": []}])
def test_a_pointer_that_was_changed(city: City, said: object) -> None:
    (home(city) / "latest.json").write_text(json.dumps(said or [1]))
    refused(city, "was damaged or changed|not a name inside the lake")


def test_a_pointer_to_a_release_that_no_certificate_names(city: City) -> None:
    shutil.copytree(newest(city), home(city) / "ours")
    change(home(city) / "latest.json", lambda pointer: pointer.update(release="ours"))
    _, site, built = build_site(city.ctx)
    assert len(site.datasets[0].releases) == 1 and built.copied == 0
    assert not [path for path in public(city) if "/ours/" in path]


def test_a_certificate_that_was_changed(city: City) -> None:
    for file in Path(city.settings.lake_root, "proof/certificates/open").rglob("*.json"):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes().replace(b"visit.csv", b"visit.tsv"))
    refused(city, "its signature is not right")


def test_without_a_certificate_nothing_is_shown(city: City) -> None:
    shutil.rmtree(Path(city.settings.lake_root, "proof/certificates/open"))
    assert nothing_is_left(city, build_site(city.ctx)[2])


def test_without_its_table_nothing_is_shown(city: City) -> None:
    """A withdrawal that was killed before it came to the downloads."""
    city.ctx.tables.drop(("open", ID.replace(".", "__")))
    assert nothing_is_left(city, build_site(city.ctx)[2])


def nothing_is_left(city: City, built: Built) -> bool:
    catalog = json.loads(public(city)["catalog.jsonld"])
    return (
        built.removed == 17
        and not catalog["dcat:dataset"]
        and not [path for path in public(city) if path.startswith("downloads/")]
    )


def test_a_release_whose_publication_was_killed_comes_with_its_certificate(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its commit and its certificate's completion the releases before it stay, and lists lead to no other."""
    from pipelines.proof import certifying

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    merged = city.curate(3, people(400, 3))
    with monkeypatch.context() as patch:
        patch.setattr(certifying, "_downloads", killed)
        with pytest.raises(KeyboardInterrupt):
            city.publish(merged, "open")
    place, site, built = build_site(city.ctx)
    assert (len(site.datasets[0].releases), built.copied, built.removed) == (2, 0, 0)
    (dataset,) = json.loads(public(city)["catalog.jsonld"])["dcat:dataset"]
    links = [each["dcat:downloadURL"]["@id"] for each in dataset["dcat:distribution"]]
    assert links and all(Path(place, link).is_file() for link in links)
    city.publish(merged, "open")
    assert build_site(city.ctx)[2].copied == 6


def test_what_was_withdrawn_goes(city: City) -> None:
    city.change(open={"type": "none", "basis": {"zh": "不开放", "en": "closed"}})
    withdraw(city.ctx, city.entry)
    _, site, _ = build_site(city.ctx)
    assert site.datasets == () and not [path for path in public(city) if "visit" in path]
