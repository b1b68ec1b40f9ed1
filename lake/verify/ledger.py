"""The ledger beside the certificates: a database can be changed by whoever runs it, a certificate cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lake.certificates import BatchProof, Certificate
from lake.evidence import ledger_lines
from lake.ledger import Attempt, Ledger
from lake.verify.copy import Finding


def check(ledger: Ledger, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    """Every attempt that was certified is in the ledger as it was, with none between them that was not; every
    publication with its rows, and none without its certificate."""
    yield from _uncertified(ledger, certificates)
    for certificate in certificates.values():
        for batch in certificate.batches:
            yield from _batch(ledger, certificate, batch)
        if certificate.metadata is not None:
            yield from _publication(ledger, certificate)


def _batch(ledger: Ledger, certificate: Certificate, batch: BatchProof) -> Iterator[Finding]:
    place = f"ledger, {certificate.dataset} batch {batch.id}"
    if batch.ledger is None:
        yield Finding(place, f"the certificate of {certificate.table} holds no line of it")
        return
    certified = set(batch.ledger.attempts)
    attempts = ledger.attempts(batch.id, certificate.dataset)
    lines = [each for each in attempts if each.id in certified]
    if any(each.id < max(certified) and each.id not in certified and _counts(each) for each in attempts):
        yield Finding(
            place, "it holds an attempt among the certified ones that was not there when it was published"
        )
    if len(lines) != len(certified):
        yield Finding(
            place, f"{len(certified) - len(lines)} of {len(certified)} certified attempts are missing"
        )
    elif ledger_lines(lines) != batch.ledger.sha256:
        yield Finding(place, "its attempts are not what they were when the batch was published")


def _counts(attempt: Attempt) -> bool:
    """Whether a certificate would have named it: what was done, but for publications."""
    return attempt.stage != "publish" and attempt.state == "done"


def _uncertified(ledger: Ledger, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    certified = {
        (each.dataset, f"{each.zone}/{each.policy}", each.snapshot) for each in certificates.values()
    }
    for attempt in ledger.runs():
        dataset, snapshot = attempt.batch.dataset, attempt.counts.get("snapshot")
        known = (dataset, attempt.part, snapshot) in certified
        if attempt.stage == "publish" and attempt.state == "done" and not known:
            place = f"ledger, {dataset} batch {attempt.batch.id}"
            yield Finding(place, f"it says that {attempt.part} was published, and no certificate does")


def _publication(ledger: Ledger, certificate: Certificate) -> Iterator[Finding]:
    """A process killed between commit and ledger left no done attempt for its snapshot until it was run again."""
    part = f"{certificate.zone}/{certificate.policy}"
    published = [
        (each.rows_in, each.rows_out)
        for each in ledger.runs(certificate.dataset)
        if each.part == part and each.state == "done" and each.counts.get("snapshot") == certificate.snapshot
    ]
    place = f"ledger, {certificate.table} snapshot {certificate.snapshot}"
    if not published:
        yield Finding(place, "no attempt that was done published it")
    if any(rows != (certificate.rows_in, certificate.rows) for rows in published):
        yield Finding(place, "its rows are not those of the certificate")
