"""The releases of the open zone, wherever they lie: as certified, all there, and nothing beside; and those of a public
site made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from lake.certificates import Certificate, FileProof, own_path
from lake.releases import PLACES
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log


def check(copy: Copy, log: Log, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    copy.downloads |= _named(log, certificates)
    for each in _standing(log, certificates):
        if each.downloads:
            yield from _release(copy, each)
    for place in PLACES:
        for path in (yield from copy.below(place)):
            if path not in copy.downloads:
                yield Finding(path, "no certificate names this download")


def check_site(site: Copy, named: Mapping[str, FileProof]) -> Iterator[Finding]:
    """What is wrong with the downloads of a public site, or of a copy of one. `named` are those that the lake's
    certificates name now; a site may lack some, and what is opened on conditions has no path in one. Nobody certifies
    its pages."""
    for path in (yield from site.below("downloads")):
        if path in named:
            yield from site.same(named[path])
        else:
            yield Finding(
                path, "no certificate of the lake names this download: it was withdrawn, or put there"
            )


def _standing(log: Log, certificates: Mapping[str, Certificate]) -> Iterator[Certificate]:
    for entry in log.standing.values():
        if (found := certificates.get(entry["certificate"]["path"])) is not None:
            yield found


def _named(log: Log, certificates: Mapping[str, Certificate]) -> dict[str, FileProof]:
    return {proof.path: proof for each in _standing(log, certificates) for proof in each.downloads}


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
