"""Certificates: what was published, from what, how it balances, and the digest of every file that it is (law 4).

    proof/certificates/<zone>/<table>/<snapshot>.json

Canonical JSON, signed. A certificate is written and logged before its snapshot is committed, when every file but the
table's metadata lies there already; so there is no readable snapshot without one. After the commit it is completed
with the digests of the metadata and the downloads. Paths are relative to the lake, so that a copy proves as much.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from lake import store
from lake.signing import KEYS, Signer, Trust, canonical, public_key
from schemas.errors import LakeError

FOLDER: Final = "proof/certificates"
PURPOSE: Final = "certificate"
PROPERTY: Final = "certificate"
"""Under which a published snapshot names the path of its certificate (`lake.properties`)."""


class Part(BaseModel):
    """Frozen, and no key more or less than the form has: what is not understood is not proof."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileProof(Part):
    """A file of the lake as it stands. `path` is relative to the lake."""

    path: str
    sha256: str
    size: int
    rows: int | None = None


class Original(Part):
    """A landed file as it came. Its name, which a department chose, stays out; the manifest holds it, and the salt: a
    certificate has the `salted` digest. Only certificates of files that landed without a salt have a plain one."""

    sha256: str | None = None
    salted: str | None = None
    size: int
    rows: int

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """One digest, in the form that it has."""
        return {name: value for name, value in handler(self).items() if value is not None}


class Check(Part):
    """A check's result in counts; the verdict holds its arguments."""

    number: int
    expect: str
    column: str | None
    dimension: str
    on_fail: str
    row_level: bool
    success: bool
    evaluated: int
    failed: int


class Balance(Part):
    """The rows of one batch from its landing to the curated table, as the ledger holds them; None where it does not
    hold the stage. `erased` were on their way to the landing zone; the others went between a stage and the next.
    `corrected` counts values, not rows."""

    counted: int | None = None
    landed: int | None = None
    erased: int = 0
    landed_erased: int = 0
    standardised_erased: int = 0
    checked_erased: int = 0
    corrected: int = 0
    standardised: int | None = None
    standardise_quarantined: int | None = None
    checked: int | None = None
    check_quarantined: int | None = None
    inserted: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    superseded: int | None = None
    merge_quarantined: int | None = None
    deleted: int | None = None
    total_before: int | None = None
    total: int | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Certificates from before anything was erased or corrected keep their form."""
        said = handler(self).items()
        return {name: value for name, value in said if value or not name.endswith(("erased", "corrected"))}


class LedgerProof(Part):
    """Digest over the ledger's closed attempts of a batch up to publication, which itself is not among them."""

    attempts: tuple[int, ...]
    sha256: str


class InputProof(Part):
    """The curated snapshot of another dataset that a derived batch read, and the certificates of its publications."""

    dataset: str
    snapshot: int
    certificates: tuple[FileProof, ...] = ()


class BatchProof(Part):
    """One batch that came into the curated table since the publication before; or an erasure, which took rows out of
    it: then there is no manifest and no verdict, and its balance is what it deleted. `corrections` are what was laid
    over the originals."""

    id: str
    start: datetime | None
    end: datetime | None
    balance: Balance
    checks: tuple[Check, ...]
    verdict: FileProof | None
    manifest: FileProof | None
    landed: tuple[Original, ...]
    corrections: tuple[FileProof, ...] = ()
    inputs: tuple[InputProof, ...] = ()
    ledger: LedgerProof | None = None
    erasure: str | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Certificates from before anything was erased or corrected keep their form."""
        said = handler(self).items()
        return {name: value for name, value in said if value or name not in ("erasure", "corrections")}


class Words(Part):
    zh: str
    en: str


class GrantProof(Part):
    """The grant whose own table it is: the request, who is given it, and of which territory its rows are."""

    request: int
    of: str
    recipient: str
    territory: str | None = None
    division: str | None = None


class Certificate(Part):
    """One published snapshot. `batches` are those since the certificate `previous` of the same table, the oldest
    first. `metadata` and `downloads` are filled in after the commit. `risk` is what the disclosure gate measured,
    `releases` what the public was given before, which it was measured against, and noise that was drawn; after the
    commit also what the public is given by it, where that was written down.
    `outside` are curated rows that are not of the grant's territory: rows_in = rows + suppressed + outside.
    `unfit` are values by field, of the rows within it, that are not of the form in which `fpe` enciphers: published as
    null."""

    version: Literal[1] = 1
    dataset: str
    zone: Literal["share", "open"]
    policy: str
    table: str
    snapshot: int
    curated_snapshot: int
    batch: str
    batches: tuple[BatchProof, ...]
    previous: FileProof | None
    rows_in: int
    rows: int
    suppressed: int
    outside: int = 0
    unfit: dict[str, int] = {}
    grant: GrantProof | None = None
    masks_hash: str
    masks: dict[str, Words]
    hashes: tuple[str, ...]
    key_version: str | None
    contract: str
    code_version: str
    risk: dict[str, str | int | bool | None] | None = None
    data: tuple[FileProof, ...]
    manifest_list: FileProof
    manifests: tuple[FileProof, ...]
    metadata: FileProof | None = None
    downloads: tuple[FileProof, ...] = ()
    releases: tuple[FileProof, ...] = ()
    issued_at: datetime
    key: str

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What a certificate has nothing of is left out: it keeps the form from before there was any."""
        return {name: value for name, value in handler(self).items() if name not in _LATER or value}


_LATER: Final = ("outside", "unfit", "grant", "releases")


def path_of(zone: str, table: str, snapshot: int) -> str:
    return store.join(FOLDER, zone, table, f"{snapshot}.json")


def own_path(certificate: Certificate) -> str:
    """Where this certificate belongs, and nowhere else."""
    zone, _, table = certificate.table.partition(".")
    return path_of(zone, table, certificate.snapshot)


def encode(certificate: Certificate, signer: Signer) -> bytes:
    """The file's bytes: certificate and signature."""
    said = certificate.model_dump(mode="json")
    return canonical({"certificate": said, "signature": signer.sign(PURPOSE, said)}) + b"\n"


def decode(data: bytes, trust: Trust | None) -> Certificate:
    """The certificate, if the bytes are the one form of it and a trusted key signed them (without `trust`: unsigned
    reading, for what is shown only). ValueError says what is wrong."""
    try:
        found = json.loads(data)
        said, signature = found["certificate"], found["signature"]
        same = canonical({"certificate": said, "signature": signature}) + b"\n" == data
        certificate = Certificate.model_validate(said)
    except (ValidationError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it is no certificate, or was changed") from None
    if not same or certificate.model_dump(mode="json") != said:
        raise ValueError("it is not in its canonical form")
    if trust is not None and certificate.key not in trust.keys:
        raise ValueError(f"it is signed by the key {certificate.key}, which is not trusted")
    if trust is not None and not trust.signed(PURPOSE, said, certificate.key, signature):
        raise ValueError("its signature is not right")
    return certificate


def load(lake: str, path: str) -> Certificate | None:
    """A certificate of our own lake, or None. LakeError where it is damaged."""
    uri = store.join(lake, path)
    if not store.exists(uri):
        return None
    try:
        return decode(store.read_bytes(uri), None)
    except ValueError as error:
        raise LakeError(
            f"a certificate is damaged: {error}", file=path, next_step="run `xuanwu verify`"
        ) from None


def lake_keys(lake: str) -> Trust:
    """The public keys that lie in the lake itself: they prove that nothing changed since they were put there, and
    nothing about who did."""
    return Trust.of(
        public_key(store.read_bytes(uri), uri) for uri in store.list_files(store.join(lake, KEYS))
    )


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def salted(salt: str, sha256: str) -> str:
    """HMAC-SHA-256 of a file's SHA-256 under its salt, all in hexadecimal digits. It is as good a proof as the digest,
    and whoever has no salt cannot try against it what the file may hold. Nothing is read again for it."""
    return hmac.digest(bytes.fromhex(salt), bytes.fromhex(sha256), "sha256").hex()


def seal(salt: str, sha256: str) -> dict[str, str]:
    """A landed file's digest as an `Original` holds it."""
    return {"salted": salted(salt, sha256)} if salt else {"sha256": sha256}


def relative(lake: str, uri: str) -> str:
    """A path below the lake, from a path or URI as Iceberg or our records hold it. LakeError for others."""
    path, root = uri.removeprefix("file://"), lake.removeprefix("file://").rstrip("/") + "/"
    if not path.startswith(root):
        raise LakeError("a file lies outside the lake", file=uri, expected=f"a path below {lake}")
    return path.removeprefix(root)


def prove(lake: str, uri: str, rows: int | None = None) -> FileProof:
    """Digest and size of a file as it stands."""
    sha256, size = store.digest_of(uri)
    return FileProof(path=relative(lake, uri), sha256=sha256, size=size, rows=rows)


def entry_of(proof: FileProof) -> dict[str, Any]:
    """A file in an entry of the log."""
    return {"path": proof.path, "sha256": proof.sha256}
