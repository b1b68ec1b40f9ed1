"""Releases: which files of the open zone lie for download, which of them hold, and which may be shown.

    <place>/<department>/<dataset>/latest.json                     the release that holds, and earlier ones that stay
    <place>/<department>/<dataset>/<release>/<dataset>.csv …       the data
                                             data_dictionary.csv, .json
                                             SHA256SUMS
                                             index.json            what it is, and its files

The place is `downloads/`, which a city may serve to everybody, or `conditional/`, which nobody but the exchange reads:
`place_of` says by the entry which. They are made by `pipelines.downloads`. Shown, on the public site and to who was
granted what is opened on conditions, is what a certificate names that holds (law 4), as it names it. The certificate of
the snapshot that readers see names every file of every release that stands. While a publication is at work, or was
killed, it names none yet: then it is the certificate before it, and the release that is being made is not shown.
Without a table, or without its certificate, nothing is; nor is a release with a field that the entry has closed since.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from lake import certificates, store
from lake.certificates import PROPERTY, Certificate, FileProof
from lake.properties import said
from lake.zones import identifier, split
from schemas.errors import LakeError
from schemas.model import Entry
from schemas.policy import open_fields

if TYPE_CHECKING:
    from lake.tables import Tables

log = logging.getLogger(__name__)

Place = Literal["downloads", "conditional"]
PLACES: Final[tuple[Place, ...]] = get_args(Place)
POINTER, INDEX, SUMS = "latest.json", "index.json", "SHA256SUMS"
DICTIONARY: Final = "data_dictionary"
Json = dict[str, Any]
Standing = tuple[str, Json]
"""Folder of a release below the lake, and its index."""


# ── what lies there ───────────────────────────────────────────────────────────────────────────────────────


def place_of(entry: Entry) -> Place:
    """Where the releases of an entry lie: what is opened on conditions apart from what everybody may have."""
    return "conditional" if entry.open.type == "conditional" else "downloads"


def home_of(root: str, entry: Entry) -> str:
    """Where the releases of an entry lie in the lake at `root`."""
    return _home(root, entry.id, place_of(entry))


def places(root: str, dataset: str) -> list[Place]:
    """Where a dataset has releases."""
    return [place for place in PLACES if store.exists(_home(root, dataset, place))]


def misplaced(root: str, entry: Entry) -> list[Place]:
    """Where an entry has releases that do not belong there: it was opened in another way before, or the lake is from
    the time when all lay in `downloads/`."""
    return [place for place in places(root, entry.id) if place != place_of(entry)]


def datasets(root: str) -> list[str]:
    """The datasets that have releases."""
    departments = [each for place in PLACES for each in store.list_folders(store.join(root, place))]
    folders = [folder for department in departments for folder in store.list_folders(department)]
    return sorted({".".join(folder.rsplit("/", 2)[-2:]) for folder in folders})


def files(root: str, dataset: str) -> list[str]:
    """Every file of a dataset's releases."""
    return [uri for place in PLACES for uri in store.list_files(_home(root, dataset, place))]


def holding(root: str, entry: Entry) -> Standing | None:
    """The release of an entry that holds now; None without one."""
    return next(standing(root, entry), None)


def standing(root: str, entry: Entry) -> Iterator[Standing]:
    """The release that holds, and those before it that are kept under the same masks."""
    home = home_of(root, entry)
    for name in _names(store.join(home, POINTER)):
        index = read(store.join(home, name, INDEX))
        if index is None:
            return
        yield f"{place_of(entry)}/{entry.id.replace('.', '/')}/{name}", index


def withdraw(root: str, dataset: str, where: Iterable[Place] = PLACES) -> None:
    """Remove every release of a dataset that lies in these places; `latest.json` first, so that nobody is sent to what
    is going."""
    for place in where:
        home = _home(root, dataset, place)
        store.remove_file(store.join(home, POINTER))
        store.remove_tree(home)


def withdraw_misplaced(root: str, entry: Entry) -> None:
    """Remove an entry's releases that do not belong where they are, though they have no successor in their place yet: a
    city may serve `downloads/` to everybody. It is told: somebody may look for them there, or wait for what comes."""
    for place in misplaced(root, entry):
        withdraw(root, entry.id, [place])
        log.warning(
            "下载已撤下 the releases of %s are gone from %s/%s", entry.id, place, _until_then(root, entry)
        )


def _until_then(root: str, entry: Entry) -> str:
    """What to do where nobody has a release until the next publication."""
    if store.exists(store.join(home_of(root, entry), POINTER)):
        return ""
    return f"; {place_of(entry)}/ has none before it is published: xuanwu run {entry.id} --from publish"


def _home(root: str, dataset: str, place: Place) -> str:
    return store.join(root, place, *split(dataset))


def _names(uri: str) -> list[str]:
    """The releases that `latest.json` names, the newest first. LakeError where it is none that was written here."""
    try:
        return [found["release"], *found["earlier"]] if (found := read(uri)) else []
    except (KeyError, TypeError):
        raise _damaged(uri) from None


def read(uri: str) -> Json | None:
    """A pointer or an index; None where there is none, LakeError for what is no JSON."""
    try:
        return json.loads(store.read_bytes(uri)) if store.exists(uri) else None
    except ValueError:
        raise _damaged(uri) from None


def _damaged(uri: str) -> LakeError:
    return LakeError(
        "a file that leads to downloads was damaged or changed",
        file=uri,
        next_step="`xuanwu verify` says what else was; publishing the dataset again writes it anew",
    )


# ── how it is written ─────────────────────────────────────────────────────────────────────────────────────


def as_json(value: Json) -> bytes:
    """As index, pointer and dictionary are written."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def pointer(name: str, index: Json, earlier: list[str]) -> Json:
    """What `latest.json` says of the release that holds, and of those before it that stay."""
    return {"release": name, "index": f"{name}/{INDEX}", **under(index), "earlier": earlier}


def under(index: Json) -> Json:
    """The masks and the key that a release was made with."""
    return {"masks": index["masks"], "key_version": index["key_version"]}


def sums(files: list[Json]) -> str:
    """As `sha256sum -c` reads them."""
    return "".join(f"{file['sha256']}  {file['name']}\n" for file in files)


# ── what may be shown ─────────────────────────────────────────────────────────────────────────────────────


def shown(tables: Tables, entry: Entry) -> list[Standing]:
    """The releases that are certified, and whose every field the entry opens still; the newest first. All have the same
    fields, as they have the same masks, so that a field that was closed takes all of them. LakeError where one is not
    as its certificate says."""
    opened = set(open_fields(entry))
    return [
        release
        for release in _certified(tables, entry)
        if {field["field"] for field in fields_of(tables.root, release)} <= opened
    ]


def fields_of(root: str, release: Standing) -> list[Json]:
    """The fields of a release as its data dictionary tells them. LakeError where that is not the one of its index."""
    folder, index = release
    name = f"{DICTIONARY}.json"
    (sha256,) = (file["sha256"] for file in index["files"] if file["name"] == name)
    path = f"{folder}/{name}"
    try:
        data = store.read_bytes(store.join(root, path))
    except FileNotFoundError:
        raise _changed(path, "has gone: it was published anew or withdrawn meanwhile") from None
    _require(data, sha256, path)
    return list(json.loads(data)["fields"])


def _certified(tables: Tables, entry: Entry) -> Iterator[Standing]:
    named = _named(tables, entry.id)
    for folder, index in standing(tables.root, entry) if named else ():
        path = f"{folder}/{INDEX}"
        if path in named:
            _require(as_json(index), named[path].sha256, path)
            yield folder, index


def _named(tables: Tables, dataset: str) -> dict[str, FileProof]:
    """The files of the dataset's releases, by their paths below the lake."""
    newest = next(tables.snapshots(identifier("open", dataset)), None)
    found = _certificate(tables.root, said(newest[1], PROPERTY) if newest else None)
    while found is not None and not found.downloads:
        found = _certificate(tables.root, found.previous.path if found.previous else None)
    return {proof.path: proof for proof in found.downloads} if found else {}


def _certificate(root: str, path: str | None) -> Certificate | None:
    if path is None or not store.exists(store.join(root, path)):
        return None
    try:
        return certificates.decode(store.read_bytes(store.join(root, path)), certificates.lake_keys(root))
    except ValueError as error:
        raise _changed(path, f"does not hold: {error}") from None


def _require(data: bytes, sha256: str, path: str) -> None:
    if certificates.digest_of(data) != sha256:
        raise _changed(path, "is not what was certified: it was changed")


def _changed(path: str, what: str) -> LakeError:
    return LakeError(
        f"a file of the lake {what}",
        file=path,
        next_step="try again; if it stays so, `xuanwu verify` says what was changed",
    )
