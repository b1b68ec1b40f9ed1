"""That deliveries are due, as an asset: a run that has published something to be delivered says so, and no other."""

from __future__ import annotations

from typing import Any, Final

from airflow.sdk import Asset, AssetAlias

from dags.tasks import plainly

DUE: Final = Asset(name="xuanwu_delivery_due", uri="xuanwu://delivery/due")
MAYBE: Final = AssetAlias(name="xuanwu_delivery_maybe_due")
"""An outlet of a task that may find deliveries due: there is an event of `DUE` when it did."""


@plainly
def due(dataset: str | None = None) -> list[int]:
    """The numbers of what is to be delivered now, of a dataset or of all."""
    from exchange.state import State
    from schemas.settings import Settings

    if not State(Settings()).begun:
        return []
    from dags.connections import connect
    from pipelines.context import open_context
    from pipelines.delivering.deliver import due

    datasets = None if dataset is None else [dataset]
    return [each.number for each in due(open_context(connect=connect, datasets=datasets), dataset)]


def tell(outlet_events: Any, dataset: str | None = None) -> list[int]:
    """Let the deliveries' DAG run if anything is due."""
    found = due(dataset)
    if found:
        outlet_events[MAYBE].add(DUE, extra={"deliveries": found})
    return found
