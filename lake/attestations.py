"""What lies in an inner zone, by digest: every file that the snapshots of a curated or quarantine table lead to.

    proof/attestations/<zone>/<table>/<metadata>.json

Nobody outside reads these tables, so they have no certificates; but what is published next is made of them, and a row
set aside must still be there tomorrow. So whoever changed one says afterwards in the audit log what it is now: the
log's entry holds the digest of this file, and this file those of the rest. There is one file to a table; a process
killed before it said so leaves the table as it was attested before, whose files stay until the next one says it.
"""

from __future__ import annotations

import json
from collections.abc import Container
from itertools import takewhile
from typing import Any, Final

from pydantic import ValidationError
from pyiceberg.table import Table

from lake import certificates, commits, store
from lake.auditlog import AuditLog
from lake.certificates import FileProof, Part, digest_of, prove, relative
from lake.signing import canonical
from lake.tables import Tables
from lake.zones import Identifier

FOLDER: Final = "proof/attestations"
ACTION: Final = "attest"


class Attestation(Part):
    """`data` are data files with their rows, and delete files with the rows they take away, as negative numbers;
    `earlier` the files of earlier snapshots that are no more among those of the current one. A table that nothing was
    committed to has metadata only."""

    table: str
    snapshot: int | None
    metadata: FileProof
    manifest_list: FileProof | None = None
    manifests: tuple[FileProof, ...] = ()
    data: tuple[FileProof, ...] = ()
    earlier: tuple[FileProof, ...] = ()

    @property
    def lasting(self) -> tuple[FileProof, ...]:
        """The files that stay when there is another snapshot: all but the metadata."""
        manifest_list = (self.manifest_list,) if self.manifest_list else ()
        return (*manifest_list, *self.manifests, *self.data, *self.earlier)

    @property
    def files(self) -> tuple[FileProof, ...]:
        return (self.metadata, *self.lasting)


def encode(attestation: Attestation) -> bytes:
    return canonical(attestation.model_dump(mode="json")) + b"\n"


def decode(data: bytes) -> Attestation:
    """ValueError where it is none, or in another form than `encode` gives."""
    try:
        found = Attestation.model_validate(json.loads(data))
    except (ValidationError, ValueError, RecursionError):
        raise ValueError("it is no attestation, or was changed") from None
    if encode(found) != data:
        raise ValueError("it is not in its canonical form")
    return found


def attest(tables: Tables, log: AuditLog, table: Identifier, kept: Container[str] | None = None) -> None:
    """Say what the table is now, unless that was said already. Files that were attested before are not read again: they
    are written once. Of those of earlier snapshots only what is in `kept` is attested further (default: all), for
    whoever is about to remove others. LakeError, with the table attested as it was, where the log cannot be written."""
    while not _attested(tables, log, table, kept):
        pass


def _attested(tables: Tables, log: AuditLog, table: Identifier, kept: Container[str] | None) -> bool:
    """Whether it is said of the table as it stands; not where another process has moved it on meanwhile. Files are read
    before it is this process's turn, for others wait in that time."""
    loaded, root = tables._load(table), tables.root
    folder = store.join(root, FOLDER, *table)
    uri = store.join(folder, loaded.metadata_location.rpartition("/")[2])
    if store.exists(uri):
        return True
    attestation = _looked_at(root, loaded, _known(_there(folder)), kept)
    data = encode(attestation)
    proof = FileProof(path=relative(root, uri), sha256=digest_of(data), size=len(data))
    with log.turn() as append:
        if tables.metadata_file(table) != loaded.metadata_location:
            return False
        append(_entry(attestation, proof))
        store.write_atomic(uri, data)
        store.remove_files(each for each in _there(folder) if each != uri)
        return True


def _there(folder: str) -> list[str]:
    return [each for each in store.list_files(folder) if not store.is_unfinished(each)]


def _known(uris: list[str]) -> dict[str, FileProof]:
    """What the files were that were attested before; nothing where that is damaged, which is for verify to say."""
    known: dict[str, FileProof] = {}
    for uri in uris:
        try:
            known |= {proof.path: proof for proof in decode(store.read_bytes(uri)).lasting}
        except ValueError:
            continue
    return known


def _looked_at(
    root: str, table: Table, known: dict[str, FileProof], kept: Container[str] | None
) -> Attestation:
    """The current snapshot, and those before it back to the one that was attested last."""

    def proof(uri: str, rows: int | None = None) -> FileProof:
        found = known.get(relative(root, uri))
        return found if found and found.rows == rows else prove(root, uri, rows)

    said = Attestation(
        table=commits.name_of(table), snapshot=None, metadata=prove(root, table.metadata_location)
    )
    fresh = takewhile(lambda each: relative(root, each.manifest_list) not in known, commits.history(table))
    snapshots = [commits.staged(table, each) for each in fresh]
    if not snapshots and (current := table.current_snapshot()):
        snapshots = [commits.staged(table, current)]
    for at, staged in enumerate(snapshots):
        own = {
            "manifest_list": proof(staged.manifest_list),
            "manifests": tuple(proof(uri) for uri in sorted(staged.manifests)),
            "data": tuple(proof(uri, rows) for uri, rows in sorted(staged.files.items())),
        }
        made = said.model_copy(update={"snapshot": staged.snapshot, **own})
        known |= {each.path: each for each in made.lasting}
        said = said if at else made
    now = {each.path for each in said.files}
    stay = {path: each for path, each in known.items() if path not in now and _stays(root, path, kept)}
    return said.model_copy(update={"earlier": tuple(stay[path] for path in sorted(stay))})


def _stays(root: str, path: str, kept: Container[str] | None) -> bool:
    return kept is None or store.join(root, path).removeprefix("file://") in kept


def _entry(attestation: Attestation, proof: FileProof) -> dict[str, Any]:
    return {
        "action": ACTION,
        "phase": "outcome",
        "table": attestation.table,
        "snapshot": attestation.snapshot,
        "rows": sum(each.rows or 0 for each in attestation.data),
        "attestation": certificates.entry_of(proof),
    }
