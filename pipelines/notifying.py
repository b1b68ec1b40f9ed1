"""Telling departments what is due: with the platform's catalogue, key and connections."""

from __future__ import annotations

from dataclasses import asdict

from exchange.desk import Desk
from exchange.notices import gather
from exchange.risks import watch
from exchange.sending import Post, mail_of, send
from exchange.state import State
from pipelines.context import Context
from pipelines.proof.certifying import open_log


def notify(ctx: Context) -> dict[str, int]:
    """Watch who read what, gather what is new, send what is due; counts of all, none where there is no exchange."""
    state = State(ctx.settings)
    if not state.begun:
        return {}
    log, signer = open_log(ctx)
    desk = Desk(state, ctx.catalogue, log, ctx.clock)
    counts = {"risks": watch(desk), "new": gather(desk)}
    return counts | asdict(send(desk, Post(mail_of(ctx.connect), signer)))
