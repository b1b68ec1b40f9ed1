"""Delivering a subscription: the right to it asked, the snapshot sent, what arrived counted, a receipt kept.

Every delivery stands in the audit log before anything leaves and when it has, or was refused. A mismatch, and whatever
else fails, is a receipt too, of which both departments are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from exchange import looks, receipts, trail
from exchange.access import Access
from exchange.desk import Desk
from exchange.errors import ExchangeError
from exchange.receipts import Counts, Receipt
from exchange.state import State
from exchange.subscriptions import Subscription, find_one, keys_of, right
from lake import certificates, store
from pipelines.context import Context
from pipelines.delivering.changes import change
from pipelines.delivering.order import Order
from pipelines.proof.certifying import open_log
from schemas.errors import DeliveryError, LakeError, SettingsError, XuanwuError

_SERVERS: Final = ("postgresql", "mysql", "mariadb")


def open_desk(ctx: Context) -> Desk | None:
    """The exchange's desk; None where there is no exchange."""
    state = State(ctx.settings)
    return Desk(state, ctx.catalogue, open_log(ctx)[0], ctx.clock) if state.begun else None


def due(ctx: Context, dataset: str | None = None) -> list[Subscription]:
    """What is to be delivered now, of a dataset or of all."""
    desk = open_desk(ctx)
    return receipts.due(desk, ctx.tables, dataset) if desk else []


def deliver_due(ctx: Context, desk: Desk) -> Iterator[tuple[Subscription, Receipt | XuanwuError]]:
    """Deliver all that is due; the failure of one is told and keeps no other waiting."""
    for each in receipts.due(desk, ctx.tables):
        try:
            yield each, deliver(ctx, desk, each.number)
        except XuanwuError as error:
            yield each, error


def deliver(ctx: Context, desk: Desk, number: int) -> Receipt:
    """Deliver the newest snapshot and keep the receipt. Where the target has it already, since a delivery was killed
    before its receipt, only that is written.

    Forbidden without a right to it, StageHeld while another process is at it, DeliveryError and SettingsError where it
    does not arrive; all but StageHeld are in the audit log then, and the last two are receipts."""
    with receipts.claimed(desk, number):
        found = find_one(desk, number)
        try:
            access = right(desk, found)
        except ExchangeError as error:
            table = (found.dataset, found.policy)
            trail.refused(desk, found.session, found.door, table=table, error=error)
            raise
        return _delivered(ctx, desk, found, access)


def _delivered(ctx: Context, desk: Desk, found: Subscription, access: Access) -> Receipt:
    snapshot = ctx.tables.current_snapshot(access.table)
    if snapshot is None:
        raise LakeError("nothing was published yet", next_step="it is delivered as soon as it is")
    began = desk.clock()
    schema = ctx.tables.schema(access.table)
    told = trail.told(desk, found.session, access, found.door, columns=schema.names)
    told |= {"subscription": found.number, "snapshot": str(snapshot)}
    looks.note_whole(desk, trail.log(desk, told, "attempt"), access)
    counts, result = Counts(), "broken off"
    try:
        counts, digest = _sent(ctx, desk, found, access, snapshot)
        if counts.found != counts.rows:
            raise DeliveryError(
                f"{found.place} holds {counts.found} rows after the delivery, the snapshot has {counts.rows}",
                next_step="see who else writes there; then `xuanwu deliveries retry`",
            )
        receipt = receipts.write(desk, found, snapshot, began, counts, digest=digest)
        result = "done"
    except (XuanwuError, OSError) as failed:
        error = store.refused(failed) if isinstance(failed, OSError) else failed
        result = type(error).__name__
        receipts.write(desk, found, snapshot, began, counts, why=str(error))
        raise error from None
    finally:
        trail.log_after(desk, told, "outcome", rows=counts.sent, found=counts.found, result=result)
    return receipt


def _sent(ctx: Context, desk: Desk, found: Subscription, access: Access, snapshot: int) -> tuple[Counts, str]:
    """What was counted, and the digest of the proof of it."""
    table, schema = access.table, ctx.tables.schema(access.table)
    upsert = found.method == "batch" and found.mode == "upsert"
    keys = tuple(keys_of(access.entry, access.policy, schema.names)) if upsert else ()
    order = Order(
        name=f"{found.dataset} {access.policy} {found.number}",
        place=found.place,
        snapshot=snapshot,
        schema=schema,
        rows=ctx.tables.row_count(table, snapshot),
        whole=partial(ctx.tables.scan, table, None, snapshot),
        change=lambda since: change(ctx.tables, table, keys, since=since, until=snapshot),
        still=lambda: right(desk, found),
        keys=keys,
    )
    proof = store.join(ctx.tables.root, certificates.path_of(*table, snapshot))
    if not store.exists(proof):
        raise LakeError(
            f"{'.'.join(table)} has no certificate of its snapshot {snapshot}",
            next_step="publish it again: `xuanwu run --from publish`",
            rule="what is not proved is not delivered",
        )
    certificate = store.read_bytes(proof)
    url = ctx.connect(found.connection_name)
    if found.method == "file":
        from pipelines.delivering.files import leave

        return leave(url, order, found.format, found.keep, certificate)
    return _pushed(found, url, order), certificates.digest_of(certificate)


def _pushed(found: Subscription, text: str, order: Order) -> Counts:
    url = _server(found, text)
    if url.get_backend_name() == "postgresql":
        from pipelines.delivering import postgresql

        return postgresql.push(url, order)
    from pipelines.delivering import mariadb

    return mariadb.push(url, order)


def _server(found: Subscription, text: str) -> URL:
    """The URL of a database that is delivered to; SettingsError, without the URL, for another."""
    try:
        url = make_url(text)
    except sa.exc.ArgumentError:
        url = URL.create("none")
    if url.get_backend_name() not in _SERVERS:
        raise SettingsError(
            f"the connection {found.connection_name} is no database that tables are delivered to",
            expected="postgresql://… or mysql://…",
        )
    return url
