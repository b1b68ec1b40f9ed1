"""The evidence under a certificate: what landed, byte for byte, and the verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lake.certificates import BatchProof, Certificate, FileProof
from lake.verify.copy import Copy, Finding
from lake.verify.journal import Log


def check(copy: Copy, log: Log, certificate: Certificate) -> Iterator[Finding]:
    """The batches of one published snapshot. What the log says was removed by retention or erasure need not be
    there."""
    for batch in certificate.batches:
        if batch.manifest is None or batch.verdict is None:
            yield Finding(
                f"batch {batch.id}", f"{certificate.table} names no landing manifest or no verdict of it"
            )
            continue
        if not log.gone(batch.manifest.path):
            yield from _landed(copy, batch, batch.manifest)
        if not log.gone(batch.verdict.path):
            yield from _verdict(copy, log, batch.verdict)


def _landed(copy: Copy, batch: BatchProof, manifest: FileProof) -> Iterator[Finding]:
    """The manifest is as certified, and so are the files that it names, and there are no others."""
    broken = list(copy.same(manifest))
    yield from broken
    if broken:
        return
    folder = manifest.path.rpartition("/")[0]
    files: list[dict[str, Any]] = json.loads(copy.read(manifest.path))["files"]
    named = {f"{folder}/files/{file['path'].rsplit('/', 1)[-1]}": file for file in files}
    told = Counter((file["sha256"], file["size"], file["rows"]) for file in files)
    if told != Counter((file.sha256, file.size, file.rows) for file in batch.landed):
        yield Finding(manifest.path, "it names other files than the certificate")
    for path, file in named.items():
        yield from copy.same(FileProof(path=path, sha256=file["sha256"], size=file["size"]))
    for path in copy.below(f"{folder}/files"):
        if path not in named:
            yield Finding(path, "the manifest does not name this file")


def _verdict(copy: Copy, log: Log, proof: FileProof) -> Iterator[Finding]:
    """As certified, or as the log says that a later run of the same check left it."""
    if copy.exists(proof.path) and copy.sha256(proof.path) == log.verdicts.get(proof.path):
        return
    yield from copy.same(proof)
