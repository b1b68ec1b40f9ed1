"""The sums of a certificate: every landed row is accounted for, up to the rows that are published."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from lake.balance import Sum
from lake.certificates import Balance, BatchProof, Certificate


def sums(certificate: Certificate) -> Iterator[str]:
    """Every sum that does not hold, in words, and every number that is missing."""
    for batch in certificate.batches:
        yield from _of_batch(batch)
    yield from (f"the rows do not balance: {each}" for each in _of_table(certificate) if not each.holds)
    if not certificate.batches:
        yield "it names no batch"
    elif certificate.batches[-1].id != certificate.batch:
        yield "its last batch is not the one that was published"


def _of_table(certificate: Certificate) -> Iterator[Sum]:
    rows = certificate.rows
    outside = (("outside the grant", certificate.outside),) if certificate.outside else ()
    yield Sum(
        (("curated", certificate.rows_in),),
        (("published", rows), ("suppressed", certificate.suppressed), *outside),
    )
    yield Sum(
        (("published", rows),), (("rows of its files", sum(file.rows or 0 for file in certificate.data)),)
    )
    totals = [batch.balance for batch in certificate.batches if batch.balance.total is not None]
    for before, after in pairwise(totals):
        yield Sum(
            (("total before", after.total_before or 0),), (("total of the batch before", before.total or 0),)
        )
    if totals:
        yield Sum((("curated", certificate.rows_in),), (("total of the last batch", totals[-1].total or 0),))


def _of_batch(batch: BatchProof) -> Iterator[str]:
    if batch.erasure is not None:
        gone = _table_sum(batch.balance)
        if not gone.holds:
            yield f"the rows of the erasure {batch.erasure} do not balance: {gone}"
        return
    missing = [name for name, value in batch.balance if value is None and name != "counted"]
    if missing:
        yield f"the balance of batch {batch.id} lacks {', '.join(missing)}"
        return
    landed = sum(file.rows for file in batch.landed)
    for each in (
        *_stages(batch.balance),
        Sum(_terms(batch.balance, "landed", "erased"), (("rows of its files", landed),)),
    ):
        if not each.holds:
            yield f"the rows of batch {batch.id} do not balance: {each}"


def _stages(b: Balance) -> Iterator[Sum]:
    if b.counted is not None:
        yield Sum(_terms(b, "counted"), _terms(b, "landed", "erased"))
    yield Sum(_terms(b, "landed"), _terms(b, "standardised", "standardise_quarantined", "landed_erased"))
    yield Sum(_terms(b, "standardised"), _terms(b, "checked", "check_quarantined", "standardised_erased"))
    kinds = ("inserted", "updated", "unchanged", "superseded", "merge_quarantined", "checked_erased")
    yield Sum(_terms(b, "checked"), _terms(b, *kinds))
    yield _table_sum(b)


def _table_sum(b: Balance) -> Sum:
    return Sum(_terms(b, "total", "deleted"), _terms(b, "total_before", "inserted"))


def _terms(b: Balance, *names: str) -> tuple[tuple[str, int], ...]:
    said = ((name, getattr(b, name) or 0) for name in names)
    return tuple((name.replace("_", " "), rows) for name, rows in said if rows or "erased" not in name)
