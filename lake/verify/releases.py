"""What the public was given before: kept for good, as certified, since every later release is measured against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lake.certificates import Certificate
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log

FOLDER = "released"


def check(copy: Copy, log: Log, certificates: Mapping[str, Certificate]) -> Iterator[Finding]:
    """Every release that a certificate or a withdrawal names is there and the same. One that none names yet was written
    down by a publication that came to no end, which is noted: the next one certifies it."""
    named = log.releases | {
        proof.path: proof.sha256 for certificate in certificates.values() for proof in certificate.releases
    }
    there = yield from copy.finished(FOLDER)
    for path, sha256 in sorted(named.items()):
        if path not in there:
            yield Finding(path, "the release is missing: later ones are measured against it")
        elif copy.sha256(path) != sha256:
            yield Finding(path, "the release is not the one that was certified: it was changed")
    published = {(each.table, str(each.snapshot)) for each in certificates.values()}
    for path in there:
        if path not in named:
            if _of(path) in published or path.startswith(f"{FOLDER}/noise/"):
                copy.notes.append(
                    f"{path}: written down and not certified yet: the next publication names it"
                )
            else:
                yield Finding(path, "no certificate names this release, nor the snapshot that it would be of")


def _of(path: str) -> tuple[str, str]:
    """Table and snapshot of a release's file, `released/<zone>/<table>/<number>-<snapshot>.parquet`."""
    _, *table, name = path.split("/")
    return ".".join(table), name.rpartition(".")[0].partition("-")[2]
