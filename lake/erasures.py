"""Certificates of erasure: of whom (a keyed digest), what was removed where, and that nothing was found afterwards.

    proof/erasures/<id>.json            begun: written and logged before anything is removed; completed: afterwards
    proof/erasures/<id>.lifted.json     from then on the subject may be collected again

Canonical JSON, signed, and named in the audit log with its digest. It is what makes a landed file lawful that is no
longer the one that came, and as long as it is not lifted its subject's rows are erased again as they arrive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import ValidationError

from lake import store
from lake.certificates import FileProof, Original, Part
from lake.signing import Signer, Trust, canonical
from schemas.errors import LakeError

FOLDER: Final = "proof/erasures"
PURPOSE: Final = "erasure"
LIFTED: Final = ".lifted.json"
Zone = Literal[
    "landing",
    "standard",
    "quarantine",
    "handling",
    "curated",
    "share",
    "open",
    "downloads",
    "exchange",
    "incidents",
]


class Identifier(Part):
    """One identifier of the subject: its element, and a keyed digest of its value under a version of the masking
    key."""

    element: str
    digest: str
    key_version: str


class Place(Part):
    """What was removed of one dataset in one zone: rows, and files that held them (rewritten or gone). Of `exchange`
    the rows are cases, steps and tokens, in which somebody had written of the subject; of `incidents` steps."""

    zone: Zone
    dataset: str
    rows: int
    files: int


class Located(Original):
    """A landed file and where it lies, with its rows before an erasure or after it."""

    path: str


class ErasedFile(Part):
    """A landed file as it was found and as it is now."""

    before: Located
    after: Located
    rows: int


class ErasedBatch(Part):
    """A landed batch whose manifest is another since the erasure."""

    dataset: str
    batch: str
    manifest: FileProof
    manifest_before: str
    files: tuple[ErasedFile, ...]


class Search(Part):
    """The search for the subject's identifiers, in every form of them, in every file of the lake and its home;
    `unread` files could not be read as what they seem to be."""

    files: int
    unread: int
    bytes: int
    forms: int
    found: int


class Erasure(Part):
    """`removed` are files and folders that are gone whole, `publications` the certificates of what was published
    without the subject."""

    version: Literal[1] = 1
    id: str
    state: Literal["begun", "completed"]
    basis: str
    subject: tuple[Identifier, ...]
    places: tuple[Place, ...] = ()
    batches: tuple[ErasedBatch, ...] = ()
    removed: tuple[str, ...] = ()
    publications: tuple[FileProof, ...] = ()
    search: Search | None = None
    begun_at: datetime
    completed_at: datetime | None = None
    key: str


def path_of(erasure: str) -> str:
    return store.join(FOLDER, f"{erasure}.json")


def encode(erasure: Erasure, signer: Signer) -> bytes:
    said = erasure.model_dump(mode="json")
    return canonical({"erasure": said, "signature": signer.sign(PURPOSE, said)}) + b"\n"


def decode(data: bytes, trust: Trust | None) -> Erasure:
    """The certificate, if the bytes are the one form of it and a trusted key signed them (without `trust`: unsigned
    reading). ValueError says what is wrong."""
    try:
        found = json.loads(data)
        said, signature = found["erasure"], found["signature"]
        same = canonical({"erasure": said, "signature": signature}) + b"\n" == data
        erasure = Erasure.model_validate(said)
    except (ValidationError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it is no certificate of erasure, or was changed") from None
    if not same or erasure.model_dump(mode="json") != said:
        raise ValueError("it is not in its canonical form")
    if trust is not None and not trust.signed(PURPOSE, said, erasure.key, signature):
        raise ValueError(f"its signature by the key {erasure.key} is not right, or the key is not trusted")
    return erasure


def every(lake: str) -> Iterator[Erasure]:
    """The erasures of our own lake, the oldest first. LakeError where one is damaged."""
    for uri in store.list_files(store.join(lake, FOLDER)):
        if not uri.endswith(LIFTED):
            try:
                yield decode(store.read_bytes(uri), None)
            except ValueError as error:
                raise LakeError(
                    f"a certificate of erasure is damaged: {error}",
                    file=uri,
                    next_step="run `xuanwu verify`, and find out who changed it; nothing is collected before",
                ) from None


def in_force(lake: str) -> list[Erasure]:
    """Those whose subjects are not to come back."""
    return [each for each in every(lake) if not store.exists(store.join(lake, lifted_path(each.id)))]


def lifted_path(erasure: str) -> str:
    return store.join(FOLDER, f"{erasure}{LIFTED}")


def entry(erasure: Erasure, data: bytes, digest: str, phase: str) -> dict[str, Any]:
    """What the audit log says of it."""
    return {
        "action": "erase",
        "phase": phase,
        "erasure": erasure.id,
        "state": erasure.state,
        "certificate": {"path": path_of(erasure.id), "sha256": digest, "size": len(data)},
        "removed": list(erasure.removed),
    }


def unfinished(lake: str, subject: Sequence[Identifier]) -> Erasure | None:
    """The erasure of this subject that was begun and not completed."""
    wanted = {each.digest for each in subject}
    return next(
        (
            each
            for each in every(lake)
            if each.state == "begun" and {one.digest for one in each.subject} == wanted
        ),
        None,
    )
