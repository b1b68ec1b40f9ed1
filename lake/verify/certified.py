"""Every certificate: signed by a trusted key, in its own place, in the log; and every one of a publication is there."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from lake.certificates import FOLDER, Certificate, FileProof, decode, own_path
from lake.signing import Trust
from lake.verify.balance import sums
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log


def read(copy: Copy, trust: Trust, log: Log) -> Generator[Finding, None, dict[str, Certificate]]:
    """The certificates that hold, by path."""
    found: dict[str, Certificate] = {}
    there = yield from copy.finished(FOLDER)
    for path in there:
        try:
            certificate = decode(copy.read(path), trust)
        except ValueError as error:
            yield Finding(path, str(error))
            continue
        wrong = _wrong(copy, log, path, certificate)
        if wrong:
            yield Finding(path, wrong)
            continue
        found[path] = certificate
        yield from _inside(log, path, certificate)
    for path in sorted(log.outcomes.difference(there)):
        yield Finding(path, f"the certificate of {log.last[path]['table']} is missing")
    copy.certificates |= found
    return found


def _wrong(copy: Copy, log: Log, path: str, certificate: Certificate) -> str | None:
    if own_path(certificate) != path:
        return f"this is another snapshot's certificate, of {certificate.table} {certificate.snapshot}"
    logged = log.certificates.get(path, [])
    digest = copy.sha256(path)
    if digest not in logged:
        return "the certificate is not the one in the audit log"
    if digest != logged[-1]:
        return "the certificate is an earlier form of the one logged last: publish again to complete it"
    entry = log.last[path]
    told = (entry["table"], entry["snapshot"], entry["rows"], entry["batch"])
    if told != (certificate.table, certificate.snapshot, certificate.rows, certificate.batch):
        return "the certificate and its entry in the log tell different things"
    return None


def _inside(log: Log, path: str, certificate: Certificate) -> Iterator[Finding]:
    """What a certificate says of itself must add up, and the certificates that it builds on must have been logged."""
    for wrong in sums(certificate):
        yield Finding(path, wrong)
    named: list[FileProof] = [
        proof for b in certificate.batches for i in b.inputs for proof in i.certificates
    ]
    for proof in [*named, *([certificate.previous] if certificate.previous else [])]:
        if proof.sha256 not in log.certificates.get(proof.path, []):
            yield Finding(path, f"it builds on {proof.path}, which the log does not hold in that form")
