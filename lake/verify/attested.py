"""Inner tables: what the audit log said last that they are is what lies there, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

from lake.attestations import FOLDER, Attestation, decode
from lake.certificates import FileProof
from lake.verify.copy import LEFT, Copy, Finding
from lake.verify.journal import Entry, Log


def check(copy: Copy, log: Log) -> Iterator[Finding]:
    """The attestation of every inner table, and its files. What nobody has attested is none."""
    wanted = {entry["attestation"]["path"]: entry for entry in log.attested.values()}
    for path in (yield from copy.finished(FOLDER)):
        if path not in log.attestations:
            yield Finding(path, f"the log does not hold this attestation: {LEFT}")
        elif path not in wanted:
            copy.notes.append(f"{path} was to be removed when a newer one was written: the next change will")
    for path, entry in wanted.items():
        if not copy.exists(path):
            yield Finding(path, f"the attestation of {entry['table']} is missing: run the dataset again")
        elif copy.sha256(path) != entry["attestation"]["sha256"]:
            yield Finding(path, "the attestation is not the one in the audit log: it was changed")
        else:
            yield from _files(copy, path, entry)


def _files(copy: Copy, path: str, entry: Entry) -> Iterator[Finding]:
    attestation = _decoded(copy, path)
    if attestation is None or (attestation.table, attestation.snapshot) != (
        entry["table"],
        entry["snapshot"],
    ):
        yield Finding(path, "the attestation and its entry in the log tell different things")
        return
    copy.attested[attestation.table] = attestation.metadata.path
    for proof in attestation.files:
        yield from copy.same(proof)


def _decoded(copy: Copy, path: str) -> Attestation | None:
    try:
        return decode(copy.read(path))
    except ValueError:
        return None


def sizes(copy: Copy, log: Log) -> dict[str, int]:
    """The files that are attested, with their sizes, as far as they can be told before they are looked at."""
    proofs: list[FileProof] = []
    for entry in log.attested.values():
        path = entry["attestation"]["path"]
        attestation = _decoded(copy, path) if copy.exists(path) else None
        proofs += attestation.files if attestation else ()
    return {proof.path: proof.size for proof in proofs}
