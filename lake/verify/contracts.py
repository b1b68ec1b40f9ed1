"""In which form a dataset's contract was in use: each form is in the audit log as it is, and lies there; what the
authority reviewed is one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lake.certificates import Certificate
from lake.contracts import FOLDER
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log


def check(copy: Copy, log: Log, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    """The forms' files, and the contract of every certificate that was issued since forms of its dataset were logged.
    One that was only attempted need not be there."""
    there = yield from copy.finished(FOLDER)
    for path in there:
        if path not in log.forms:
            yield Finding(path, "the log does not hold this form of the contract")
        elif copy.sha256(path) != log.forms[path]["form"]["sha256"]:
            yield Finding(path, "the form of the contract is not the one in the audit log: it was changed")
    for path, entry in log.forms.items():
        if entry["phase"] == "outcome" and path not in there:
            yield Finding(path, f"the form of the contract of {entry['dataset']} is missing")
    for review in log.unfounded:
        yield Finding(
            review["form"]["path"], f"a review at {review['at']} is of a form that the log did not hold then"
        )
    for path, certificate in certificates.items():
        known = log.contracts.get(certificate.dataset, {})
        before = {contract for contract, index in known.items() if index < log.first[path]}
        if before and certificate.contract not in before:
            yield Finding(path, "it was published under a contract that the log does not hold")
