"""From ledger, landing and verdicts to what a certificate says of a batch: counts and digests, no value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from lake import handling, landing, recordstore, store
from lake.batch import Batch
from lake.certificates import (
    Balance,
    BatchProof,
    Check,
    FileProof,
    InputProof,
    LedgerProof,
    Original,
    digest_of,
    prove,
    seal,
)
from lake.ledger import Attempt, ErasedRows, Ledger
from lake.records import Checked, Landed, Stage, Standardised, Verdict
from lake.signing import canonical
from lake.zones import folder
from schemas.errors import LakeError
from schemas.settings import Settings

_COUNTS: Final = {
    "collect": {"landed": "rows", "counted": "counted", "erased": "erased"},
    "standardise": {
        "standardised": "rows_out",
        "standardise_quarantined": "quarantined",
        "corrected": "corrected",
    },
    "check": {"checked": "rows_out", "check_quarantined": "quarantined"},
    "merge": {
        **{name: name for name in ("inserted", "updated", "unchanged", "superseded", "deleted")},
        **{name: name for name in ("total_before", "total")},
        "merge_quarantined": "quarantined",
    },
}
"""Where a certificate's number stands in the ledger: stage, and the name of the count."""

_NEXT: Final[dict[str, tuple[Stage, Stage]]] = {
    "landed": ("collect", "standardise"),
    "standardised": ("standardise", "check"),
    "checked": ("check", "merge"),
}


def balance_of(attempts: Sequence[Attempt], erased: ErasedRows) -> Balance:
    """The rows of a batch by its last attempt of each stage that was done."""
    last = {each.stage: each for each in attempts if each.state == "done"}
    done = {stage: each.counts for stage, each in last.items()}
    found = {
        name: done[stage].get(count, 0 if name in {"erased", "corrected"} else None)
        for stage, names in _COUNTS.items()
        if stage in done
        for name, count in names.items()
    }
    gone = {
        f"{name}_erased": erased.gone(last[stage], last[after])
        for name, (stage, after) in _NEXT.items()
        if stage in last and after in last
    }
    return Balance(**found, **gone)


def ledger_lines(attempts: Sequence[Attempt]) -> str:
    """Digest over attempts: everything that the ledger says of them."""
    lines = [
        [
            *(each.id, each.batch.dataset, each.batch.id, each.stage, each.part, each.number, each.state),
            *(each.started.isoformat(), each.finished.isoformat() if each.finished else None),
            *(each.rows_in, each.rows_out, each.counts, each.message),
        ]
        for each in attempts
    ]
    return digest_of(canonical(lines))


def closed(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts whose lines will not change any more, but for publications."""
    return [each for each in attempts if each.stage != "publish" and each.state in {"done", "failed"}]


def batch_proof(
    settings: Settings, ledger: Ledger, dataset: str, batch_id: str, inputs: Sequence[InputProof] = ()
) -> BatchProof:
    """All that is known of a batch. What is not there stays empty, and `xuanwu verify` says that it is missing."""
    attempts = ledger.attempts(batch_id, dataset)
    batch = attempts[0].batch if attempts else None
    landed = landing.landed(settings, batch) if batch else None
    verdict = _verdict(settings, batch) if batch else None
    lines = closed(attempts)
    root = settings.lake_root
    return BatchProof(
        id=batch_id,
        start=batch.start if batch else None,
        end=batch.end if batch else None,
        balance=balance_of(attempts, ledger.erased_rows(dataset)),
        checks=_checks(verdict[1]) if verdict else (),
        verdict=prove(root, verdict[0]) if verdict else None,
        manifest=prove(root, store.join(_landing(settings, landed), landing.MANIFEST)) if landed else None,
        landed=_originals(landed),
        corrections=_corrections(settings, batch) if batch else (),
        inputs=tuple(inputs),
        ledger=LedgerProof(attempts=tuple(each.id for each in lines), sha256=ledger_lines(lines))
        if lines
        else None,
        erasure=batch.erasure if batch else None,
    )


def _landing(settings: Settings, landed: Landed) -> str:
    return folder(settings, "landing", landed.batch.dataset, landed.batch.id)


def _originals(landed: Landed | None) -> tuple[Original, ...]:
    """As they came, whatever was erased since."""
    files = [(file.salt, file.received or file) for file in landed.files] if landed else ()
    return tuple(Original(**seal(salt, came.sha256), size=came.size, rows=came.rows) for salt, came in files)


def _corrections(settings: Settings, batch: Batch) -> tuple[FileProof, ...]:
    """Those that the typed rows were made with."""
    if not recordstore.exists(settings, batch, "standardise"):
        return ()
    record = recordstore.load(settings, batch, "standardise")
    names = record.corrections if isinstance(record, Standardised) else ()
    found = handling.acts(settings, batch.dataset, batch.id) if names else []
    return tuple(handling.proofs(settings, [act for act in found if act.name in names]))


def _verdict(settings: Settings, batch: Batch) -> tuple[str, Verdict] | None:
    if not recordstore.exists(settings, batch, "check"):
        return None
    checked = recordstore.load(settings, batch, "check")
    if not isinstance(checked, Checked) or not store.exists(checked.verdict):
        return None
    try:
        return checked.verdict, Verdict.model_validate_json(store.read_bytes(checked.verdict))
    except ValidationError:
        raise LakeError("a verdict is damaged", file=checked.verdict, next_step="run check again") from None


def _checks(verdict: Verdict) -> tuple[Check, ...]:
    names = set(Check.model_fields)
    return tuple(Check(**each.model_dump(include=names)) for each in verdict.results)
