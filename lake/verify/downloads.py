"""The open zone's downloads: as certified, all there, and nothing beside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from lake.certificates import Certificate, FileProof, own_path
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log


def check(copy: Copy, log: Log, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    standing = [certificates.get(entry["certificate"]["path"]) for entry in log.standing.values()]
    named: dict[str, FileProof] = {
        proof.path: proof for each in standing if each is not None for proof in each.downloads
    }
    for each in standing:
        if each is not None and each.downloads:
            yield from _release(copy, each)
    for path in (yield from copy.below("downloads")):
        if path not in named:
            yield Finding(path, "no certificate names this download")


def _release(copy: Copy, certificate: Certificate) -> Iterator[Finding]:
    """Every file is as certified, and those that people are sent to hold the rows of the table."""
    broken = [finding for proof in certificate.downloads for finding in copy.same(proof)]
    yield from broken
    pointer = next(
        (proof.path for proof in certificate.downloads if proof.path.endswith("/latest.json")), None
    )
    if pointer is None:
        yield Finding(own_path(certificate), "it names downloads and no latest.json that leads to them")
    elif not broken:
        folder = pointer.removesuffix("latest.json") + json.loads(copy.read(pointer))["release"]
        for proof in certificate.downloads:
            if proof.path.rpartition("/")[0] == folder and proof.rows not in {None, certificate.rows}:
                yield Finding(
                    proof.path, f"published rows {certificate.rows} ≠ rows for download {proof.rows}"
                )
