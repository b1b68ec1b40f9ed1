"""What people wrote of the subject in the exchange: in cases and the notes of tokens."""

from __future__ import annotations

from collections import Counter

from exchange.forgetting import Tells, forget, traces
from exchange.state import State
from lake.erasures import Place
from pipelines.context import Context
from pipelines.erasure.batches import Work
from pipelines.erasure.subject import Subject
from pipelines.erasure.traces import tokens_of
from schemas.errors import LakeError


def plan_written(ctx: Context, subject: Subject) -> list[Place]:
    """Texts that hold an identifier, by dataset; those that hold a token alone are told by the erasure itself, which
    has the masking key."""
    found = Counter(each.dataset for each in traces(State(ctx.settings), subject.in_text))
    return [Place(zone="exchange", dataset=name, rows=rows, files=0) for name, rows in sorted(found.items())]


def erase_written(work: Work) -> None:
    """Take out every text that holds an identifier or a token of the subject."""
    state = State(work.ctx.settings)
    found = traces(state, _telling(work))
    for dataset, rows in Counter(each.dataset for each in found).items():
        work.progress.note("exchange", dataset, "written", rows, 0)
    if found or _begun(work):
        forget(state, found)


def require_unwritten(work: Work) -> None:
    """LakeError where somebody has written of the subject since."""
    if found := traces(State(work.ctx.settings), _telling(work)):
        raise LakeError(
            f"{len(found)} texts in the exchange tell of the subject again",
            rule="an erasure is certified only when nothing is left",
            next_step="run the erasure again",
        )


def _telling(work: Work) -> Tells:
    tokens = tokens_of(work.ctx, work.subject)
    return lambda text: work.subject.in_text(text) or any(token in text for token in tokens)


def _begun(work: Work) -> bool:
    """Whether a run before was killed at it: the bytes of what it took out may be there still."""
    return any(each.zone == "exchange" for each in work.progress.state.counts.values())
