"""A DAG for each dataset of the catalogue, on its own schedule; a derived dataset runs when its inputs change."""

from __future__ import annotations

import gc
from datetime import datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, AssetAlias, CronDataIntervalTimetable, get_parsing_context

from dags import tasks
from dags.approval import MergeOperator
from dags.due import MAYBE
from dags.stages import CollectOperator, PublishOperator, StageOperator
from dags.texts import dag_text
from schemas.load import garbage_kept, load_catalogue
from schemas.model import Entry, LakeSource, Zone
from schemas.policy import ZONES, policies
from schemas.settings import Settings


def asset(zone: str, dataset: str, policy: str = "") -> Asset:
    """The asset of a table: `xuanwu://curated/civil_affairs/marriage`, `xuanwu://share/…/default`."""
    path = "/".join(part for part in (zone, *dataset.split("."), policy) if part)
    return Asset(name=path.replace("/", "."), uri=f"xuanwu://{path}")


def schedule(entry: Entry) -> Any:
    """The entry's cron in its own time zone, or the assets that a derived dataset is made from."""
    if isinstance(entry.source, LakeSource):
        inputs = [asset("curated", name) for name in entry.inputs]
        return reduce(and_ if entry.source.when == "all" else or_, inputs[1:], inputs[0])
    if entry.schedule is None:
        raise ValueError(f"{entry.id}: a collected dataset has a schedule")
    return CronDataIntervalTimetable(entry.schedule.cron, timezone=entry.schedule.timezone)


def bounds(entry: Entry, settings: Settings) -> dict[str, Any]:
    """First and last day of scheduled runs, and whether missed intervals are caught up."""
    if entry.schedule is None:
        return {"catchup": False}
    zone = ZoneInfo(entry.schedule.timezone)
    start = datetime.combine(entry.schedule.start, datetime.min.time(), zone)
    until = settings.until and datetime.combine(settings.until, datetime.max.time(), zone)
    return {"start_date": start, "end_date": until, "catchup": entry.schedule.catchup}


def published(entry: Entry, zone: Zone) -> list[Asset | AssetAlias]:
    """What a run's publication to a zone changes: the tables of its policies, and what is due to recipients."""
    if zone == "open":
        return [asset(zone, entry.id)]
    return [*(asset(zone, entry.id, name) for name in policies(entry, zone)), MAYBE]


def dataset_dag(entry: Entry, settings: Settings, days: int) -> DAG:
    """collect → standardise → check → merge → publish_share, publish_open. Batches of a dataset run one at a time;
    collection takes a slot of the department's pool, so that a source is never hit by more than its limit. A merge
    that is held waits `days` for a person's decision, and later batches wait behind it."""
    with DAG(
        dag_id=entry.id,
        dag_display_name=f"{entry.title.zh} {entry.id}",
        description=entry.title.en,
        doc_md=dag_text(entry),
        schedule=schedule(entry),
        max_active_runs=1,
        tags=[entry.department, entry.source.kind, f"share:{entry.share.type}", f"open:{entry.open.type}"],
        default_args={
            "owner": entry.owner,
            "retries": tasks.retries(),
            "retry_delay": timedelta(minutes=1),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=30),
            "execution_timeout": timedelta(hours=4),
        },
        **bounds(entry, settings),
    ) as dag:
        derived = entry.source.inputs if isinstance(entry.source, LakeSource) else ()
        shared = [name for name in entry.inputs if name not in derived]
        curated = asset("curated", entry.id)

        collect = CollectOperator(
            task_id="collect", pool=entry.owner, inlets=[asset("curated", name) for name in derived]
        )
        standardise = StageOperator(task_id="standardise", inlets=[asset("curated", name) for name in shared])
        check = StageOperator(task_id="check")
        merge = MergeOperator(task_id="merge", curated=curated, days=days)
        publish = [
            PublishOperator(task_id=f"publish_{zone}", inlets=[curated], outlets=published(entry, zone))
            for zone in ZONES
            if policies(entry, zone)
        ]
        collect >> standardise >> check >> merge >> publish
    return dag


def wanted() -> list[str] | None:
    """The one dataset whose task is about to run; None where Airflow asks for every DAG. A task parses this file
    again, and the other datasets' DAGs are nothing to it."""
    dag = get_parsing_context().dag_id
    return None if dag is None else [dag]


def dags(settings: Settings, datasets: list[str] | None) -> dict[str, DAG]:
    """DAGs by dataset: of these datasets, or of all. What they read needs no DAG here."""
    with garbage_kept():
        catalogue = load_catalogue(settings.catalogue, datasets, settings.stamps)
        entries, days = catalogue.entries, catalogue.numbers.brake.answer_within
        chosen = entries if datasets is None else [name for name in datasets if name in entries]
        made = {name: dataset_dag(entries[name], settings, days) for name in chosen}
        gc.freeze()  # they stay as long as the process does, and the collector need not go through them
    return made


globals().update(dags(Settings(), wanted()))
