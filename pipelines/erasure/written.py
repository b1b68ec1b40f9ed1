"""What people wrote of the subject: in the exchange's cases and the notes of its tokens, and in the register of
incidents."""

from __future__ import annotations

from collections import Counter

from exchange.forgetting import Tells, forget, traces, without
from exchange.state import State
from lake.erasures import Place
from lake.incidents import Step, incidents, path_of
from lake.registering import forget as forget_texts
from pipelines.context import Context
from pipelines.erasure.batches import Work
from pipelines.erasure.subject import Subject
from pipelines.erasure.traces import tokens_of
from pipelines.proof.certifying import open_log
from schemas.errors import LakeError

OF_INCIDENTS = "incidents"
"""What the steps of incidents are counted under, which may be about several datasets."""


def plan_written(ctx: Context, subject: Subject) -> list[Place]:
    """Texts that hold an identifier, by dataset; those that hold a token alone are told by the erasure itself, which
    has the masking key."""
    found = Counter(each.dataset for each in traces(State(ctx.settings), subject.in_text))
    steps = len(_steps(ctx, subject.in_text))
    return [
        *(Place(zone="exchange", dataset=name, rows=rows, files=0) for name, rows in sorted(found.items())),
        Place(zone="incidents", dataset=OF_INCIDENTS, rows=steps, files=0),
    ]


def erase_written(work: Work) -> None:
    """Take out every text that holds an identifier or a token of the subject."""
    state, tells = State(work.ctx.settings), _telling(work)
    found = traces(state, tells)
    for dataset, rows in Counter(each.dataset for each in found).items():
        work.progress.note("exchange", dataset, "written", rows, 0)
    if found or _begun(work):
        forget(state, found)
    log, _ = open_log(work.ctx)
    for step in _steps(work.ctx, tells):
        part = path_of(step.incident, step.place)
        work.progress.note("incidents", OF_INCIDENTS, part, 1, 0)
        forget_texts(work.ctx.settings, log, step, without(dict(step.texts), tells), work.erasure)


def require_unwritten(work: Work) -> None:
    """LakeError where somebody has written of the subject since."""
    tells = _telling(work)
    if found := [*traces(State(work.ctx.settings), tells), *_steps(work.ctx, tells)]:
        raise LakeError(
            f"{len(found)} texts tell of the subject again",
            rule="an erasure is certified only when nothing is left",
            next_step="run the erasure again",
        )


def _steps(ctx: Context, tells: Tells) -> list[Step]:
    """Steps of incidents with a text that tells."""
    every = (step for each in incidents(ctx.settings.lake_root) for step in each.steps)
    return [step for step in every if any(map(tells, step.texts.values()))]


def _telling(work: Work) -> Tells:
    tokens = tokens_of(work.ctx, work.subject)
    return lambda text: work.subject.in_text(text) or any(token in text for token in tokens)


def _begun(work: Work) -> bool:
    """Whether a run before was killed at it: the bytes of what it took out may be there still."""
    return any(each.zone == "exchange" for each in work.progress.state.counts.values())
