"""A batch is held for a person: what it saw is written down and logged, and so is what the person decides.

An approval is for one batch, at one stage, and for what was seen there: a batch that sees something else when it is run
again is held again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from lake import decisions
from lake.decisions import Decision, Hold, Verdict
from lake.records import Stage
from pipelines.context import Context
from pipelines.proof.certifying import open_log
from schemas.errors import DecisionNeeded, Refused, XuanwuError, one_line
from schemas.model import Entry, Field, Redact, Title

LONGEST = 500
_NUMBERS = Redact(what=tuple(kind for kind in Redact().what if kind != "name"))
_TEXT = Field(name="text", title=Title(zh="说明", en="text"), type="string", grade=1)


def require(ctx: Context, found: Hold) -> None:
    """Return if a person approved exactly this. DecisionNeeded, with the hold written down and logged, if nobody has
    decided; Refused if somebody said no."""
    log, _ = open_log(ctx)
    made = decisions.decided(ctx.settings, log, found)
    if made is not None and made.decision == "approve":
        return
    decisions.hold(ctx.settings, log, found)
    said = "; ".join(found.reasons)
    if made is not None:
        raise Refused(
            f"{made.by} refused this batch: {made.why}; it would go on to this: {said}",
            next_step=f"have the source corrected; or, to let it go on after all: {_command(found)}",
            dataset=found.batch.dataset,
            batch=found.batch.id,
        )
    raise DecisionNeeded(
        f"held for a decision before {found.stage}: {said}",
        next_step=f"look at the source, then: {_command(found)}; or xuanwu refuse",
        dataset=found.batch.dataset,
        batch=found.batch.id,
    )


def _command(found: Hold) -> str:
    return f"xuanwu approve {found.batch.dataset} --batch {found.batch.id} --why …"


def waiting(ctx: Context, datasets: list[str] | None = None) -> Iterator[tuple[Hold, Decision | None]]:
    """Every hold of these datasets (default: all) that stands, with the decision on it if there is one."""
    log, _ = open_log(ctx)
    for dataset in datasets or list(ctx.catalogue.entries):
        for found in decisions.holds(ctx.settings, dataset):
            yield found, decisions.decided(ctx.settings, log, found)


def decide(
    ctx: Context,
    entry: Entry,
    decision: Verdict,
    *,
    by: str,
    why: str,
    batch: str | None = None,
    stage: Stage | None = None,
) -> Hold:
    """Decide on the hold of a dataset: of its one held batch, or of the one that is named. Returns what was decided on.

    XuanwuError where nothing waits, several do and none is named, or the reason is missing or holds an identifier of a
    person (the audit log is never changed, so nothing that may have to be erased goes into it)."""
    who, reason = official(by, "--by"), plain(why, "--why")
    found = [
        each
        for each in decisions.holds(ctx.settings, entry.id)
        if batch in (None, each.batch.id) and stage in (None, each.stage)
    ]
    if len(found) != 1:
        raise XuanwuError(
            f"{len(found)} held batches of this dataset wait for a decision"
            if found
            else "nothing is held here",
            dataset=entry.id,
            batch=batch,
            expected=f"one of {', '.join(each.batch.id for each in found)}" if found else None,
            next_step="name the batch: --batch ID" if found else "xuanwu approve lists what waits",
        )
    decisions.decide(ctx.settings, open_log(ctx)[0], found[0], decision, by=who, why=reason)
    return found[0]


def plain(text: str, of: str) -> str:
    """A text that may be logged for ever: not empty, one line, no identifier of a person in it. XuanwuError else."""
    return _without(text, of, Redact())


def official(text: str, of: str) -> str:
    """Who decides, as it may be logged for ever: a name belongs there, a number of a person does not. XuanwuError
    else."""
    return _without(text, of, _NUMBERS)


def registered(text: str, of: str) -> str:
    """The number of a document, as it may be logged for ever. XuanwuError where there is none in it, or it holds what
    looks like a person's name or number."""
    said = plain(text, of)
    if not any(sign.isdigit() for sign in said):
        raise XuanwuError("is no number of a document", field=of, expected="such as 宁数目审〔2026〕3号")
    return said


def _without(text: str, of: str, looked_for: Redact) -> str:
    from pipelines.masks.redact import redact

    said = " ".join(text.split())
    if not said or len(said) > LONGEST:
        raise XuanwuError(
            "what is to be logged is missing, or too long", field=of, expected=f"1 to {LONGEST} characters"
        )
    if one_line(said) != said:
        raise XuanwuError(
            "holds signs that command a terminal or turn the reading direction",
            field=of,
            expected="plain text",
        )
    if redact(pa.array([said]), looked_for, _TEXT)[0].as_py() != said:
        raise XuanwuError(
            "holds what looks like a person's name or number, and goes into a log that is never changed",
            field=of,
            expected="a text without names of persons, their numbers, phones, cards or plates",
            next_step="say it in other words; name the batch, file and row instead",
        )
    return said
