"""The public site, twice an hour, where XUANWU_PORTAL says that there is one: what was opened since goes in, what was
withdrawn goes out. A run that finds nothing new writes nothing."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from airflow.sdk import DAG, task

from dags.citywide import citywide
from dags.tasks import plainly
from schemas.settings import Settings


@plainly
def build() -> dict[str, int]:
    """Counts of the files that were copied, written, removed and left alone."""
    from dags.connections import connect
    from pipelines.context import open_context
    from pipelines.listing import build_site

    _, _, built = build_site(open_context(connect=connect))
    return asdict(built)


def portal_dag(settings: Settings) -> DAG:
    """One task. A missed run is not made up for: the next one does its work."""
    with DAG(
        dag_id="xuanwu_portal",
        dag_display_name="开放门户 xuanwu_portal",
        description="The public site of what is open",
        doc_md=__doc__,
        tags=["open"],
        **citywide(
            "10,40 * * * *", until=settings.until, pause=timedelta(minutes=2), longest=timedelta(hours=2)
        ),
    ) as dag:

        @task
        def portal() -> dict[str, int]:
            return build()

        portal()
    return dag


if Settings().portal:
    xuanwu_portal = portal_dag(Settings())
