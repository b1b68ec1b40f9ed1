"""Is this lake what it says it was? From its files alone, on any copy, without our databases.

`keys` and the log (`journal`) first, since all else hangs on them; then every certificate, every published table with
its metadata and manifests (`published`), what was erased (`erasures`), the evidence of the batches, the downloads, the
releases that the public has, what people did about rows set aside (`handled`), the forms of the catalogue that were in
use (`contracts`), the register of incidents, the inner tables (`attested`); last what lies in a published place and is
named nowhere. Every step yields what it finds wrong and goes on where it can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lake import progress
from lake.certificates import Certificate, FileProof
from lake.signing import Trust
from lake.verify import (
    attested,
    certified,
    contracts,
    downloads,
    erasures,
    evidence,
    handled,
    incidents,
    journal,
    keys,
    published,
    releases,
    upstream,
)
from lake.verify.copy import Copy, Finding

__all__ = ["Copy", "Finding", "verify"]


def verify(
    copy: Copy, trust: Trust | None = None, kept: Mapping[str, Any] | None = None
) -> Iterator[Finding]:
    """Everything that is wrong, the first thing first; nothing if all is right. Without `trust` the lake's own keys
    are believed. `kept` is a checkpoint from another day, as `head.json` holds it. Afterwards `copy` says how much
    was looked at."""
    lake_keys = yield from keys.read(copy)
    trust = trust or lake_keys
    log = yield from journal.replay(copy, trust, kept)
    copy.standing |= {
        name: each["metadata"]["path"] for name, each in log.standing.items() if each["metadata"]
    }
    certificates = yield from certified.read(copy, trust, log)
    erased = yield from erasures.read(copy, trust, log)
    progress.expect(sum((_sizes(certificates.values()) | attested.sizes(copy, log)).values()))
    live: dict[str, Certificate] = {}
    for table in sorted(log.standing):
        live |= yield from published.table(copy, log, certificates, table)
    yield from published.strangers(copy, log, certificates)
    for certificate in certificates.values():
        yield from evidence.check(copy, log, certificate, erased)
        yield from upstream.check(copy, log, certificate)
    yield from downloads.check(copy, log, certificates)
    yield from releases.check(copy, log, certificates)
    yield from handled.check(copy, log)
    yield from contracts.check(copy, log, certificates)
    yield from incidents.check(copy, log, erased)
    yield from attested.check(copy, log)


def _sizes(certificates: Iterable[Certificate]) -> dict[str, int]:
    """The files that are certified, with their sizes: with those that are attested nearly all that there is to read."""
    sizes: dict[str, int] = {}
    for each in certificates:
        proofs: tuple[FileProof, ...] = (*each.data, each.manifest_list, *each.manifests, *each.downloads)
        sizes |= {proof.path: proof.size for proof in proofs}
    return sizes
