"""What the public site may show of the lake's downloads: what a certificate names that holds (law 4), as it names it.

The certificate of the snapshot that readers see names every file of every release that stands. While a publication is
at work, or was killed, it names none yet: then it is the certificate before it, and the release that is being made is
not shown. Without a table, or without its certificate, nothing is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lake import certificates, store
from lake.certificates import Certificate, FileProof
from lake.properties import said
from lake.zones import identifier
from pipelines import downloads
from pipelines.context import Context
from pipelines.proof.certifying import PROPERTY
from schemas.errors import LakeError

Json = dict[str, Any]
Standing = tuple[str, Json]
"""Folder below `downloads/`, and index."""


def releases(ctx: Context, dataset: str) -> Iterator[Standing]:
    """The releases that are certified, the newest first. LakeError where one is not as its certificate says."""
    named = _named(ctx, dataset)
    for folder, index in downloads.standing(ctx.settings, dataset) if named else ():
        path = f"downloads/{folder}/{downloads.INDEX}"
        if path in named:
            _require(downloads.as_json(index), named[path].sha256, path)
            yield folder, index


def words(ctx: Context, release: Standing) -> list[Json]:
    """The fields of a release as its data dictionary tells them."""
    folder, index = release
    (sha256,) = (file["sha256"] for file in index["files"] if file["name"] == "data_dictionary.json")
    path = f"downloads/{folder}/data_dictionary.json"
    try:
        data = store.read_bytes(store.join(ctx.settings.lake_root, path))
    except FileNotFoundError:
        raise _changed(path, "has gone: it was published anew or withdrawn meanwhile") from None
    _require(data, sha256, path)
    return list(json.loads(data)["fields"])


def _named(ctx: Context, dataset: str) -> dict[str, FileProof]:
    """The files of the dataset's releases, by their paths below the lake."""
    standing = next(ctx.tables.snapshots(identifier("open", dataset)), None)
    found = _certificate(ctx, said(standing[1], PROPERTY) if standing else None)
    while found is not None and not found.downloads:
        found = _certificate(ctx, found.previous.path if found.previous else None)
    return {proof.path: proof for proof in found.downloads} if found else {}


def _certificate(ctx: Context, path: str | None) -> Certificate | None:
    root = ctx.settings.lake_root
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
        next_step="build again; if it stays so, `xuanwu verify` says what was changed",
    )
