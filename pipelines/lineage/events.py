"""A stage in OpenLineage's words: its run, its job, the datasets it reads and writes."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import NAMESPACE_URL, uuid5

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    ownership_job,
    parent_run,
    schema_dataset,
)

from lake import balance, store
from lake.batch import Batch
from lake.records import Checked, Record, Stage, Verdict
from pipelines.context import Context
from pipelines.lineage.steps import Part, Step, Turn, step
from schemas.lineage import DIRECT
from schemas.model import Entry

NAMESPACE = "xuanwu"
PRODUCER = "urn:xuanwu"
"""Who says it: a producer is a URI."""


def event(ctx: Context, turn: Turn, outcome: Record | str | None) -> RunEvent:
    """Of one attempt: START where there is no outcome, COMPLETE with a record, FAIL with a message."""
    batch, stage, part, attempt = turn
    entry = ctx.catalogue.entry(batch.dataset)
    state = {str: RunState.FAIL, type(None): RunState.START}.get(type(outcome), RunState.COMPLETE)
    done = step(ctx.catalogue, entry, stage, part)
    record = outcome if isinstance(outcome, Record) else None
    name = ".".join(filter(None, (entry.id, stage, part.replace("/", "."))))
    return RunEvent(
        eventTime=ctx.clock().isoformat(),
        eventType=state,
        run=Run(_run_id(batch, stage, part, str(attempt)), facets=_run_facets(batch, outcome)),
        job=Job(NAMESPACE, name, facets=_job_facets(entry)),
        inputs=[
            InputDataset(each.namespace, each.name, inputFacets=_assertions(record)) for each in done.reads
        ],
        outputs=[_output(entry, stage, done, record)] if done.writes else [],
        producer=PRODUCER,
    )


def _run_id(batch: Batch, *of: str) -> str:
    """Derived, never random: an attempt's events find each other."""
    return str(uuid5(NAMESPACE_URL, "/".join((PRODUCER, batch.dataset, batch.id, *of))))


def _run_facets(batch: Batch, outcome: Record | str | None) -> dict[str, RunFacet]:
    """The data interval, the batch as parent of its stages, and what failed."""
    facets: dict[str, RunFacet] = {
        "nominalTime": nominal_time_run.NominalTimeRunFacet(
            batch.start.isoformat(), batch.end.isoformat(), producer=PRODUCER
        ),
        "parent": parent_run.ParentRunFacet(
            parent_run.Run(_run_id(batch)), parent_run.Job(NAMESPACE, batch.dataset), producer=PRODUCER
        ),
    }
    if isinstance(outcome, str):
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(outcome, "Python", producer=PRODUCER)
    return facets


def _job_facets(entry: Entry) -> dict[str, JobFacet]:
    return {
        "jobType": job_type_job.JobTypeJobFacet("BATCH", "XUANWU", "TASK", producer=PRODUCER),
        "ownership": ownership_job.OwnershipJobFacet([ownership_job.Owner(entry.owner)], producer=PRODUCER),
    }


def _output(entry: Entry, stage: Stage, done: Step, record: Record | None) -> OutputDataset:
    assert done.writes is not None  # noqa: S101
    counted: dict[str, OutputDatasetFacet] = {}
    if record is not None:
        counted["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=balance.FLOW[stage](record)[1], producer=PRODUCER
        )
    types = {field.source or name: field.type for name, field in entry.fields.items()}
    types |= {name: field.type for name, field in entry.fields.items()}
    columns = [schema_dataset.SchemaDatasetFacetFields(name=name, type=types.get(name)) for name in done.made]
    facets: dict[str, DatasetFacet] = {
        "schema": schema_dataset.SchemaDatasetFacet(fields=columns, producer=PRODUCER),
        "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={name: column_lineage_dataset.Fields(_inputs(parts)) for name, parts in done.made.items()},
            producer=PRODUCER,
        ),
    }
    return OutputDataset(done.writes.namespace, done.writes.name, facets=facets, outputFacets=counted)


def _inputs(parts: Iterable[Part]) -> list[column_lineage_dataset.InputField]:
    by_column: dict[tuple[str, str, str], list[column_lineage_dataset.Transformation]] = {}
    for part in parts:
        change = column_lineage_dataset.Transformation(
            type="DIRECT" if part.how in DIRECT else "INDIRECT", subtype=part.how, masking=part.masked
        )
        by_column.setdefault((part.place.namespace, part.place.name, part.column), []).append(change)
    return [
        column_lineage_dataset.InputField(*column, transformations=changes)
        for column, changes in by_column.items()
    ]


def _assertions(record: Record | None) -> dict[str, InputDatasetFacet]:
    """The verdict of a check, as assertions on what it read."""
    if not isinstance(record, Checked):
        return {}
    verdict = Verdict.model_validate_json(store.read_bytes(record.verdict))
    assertions = [
        data_quality_assertions_dataset.Assertion(
            assertion=each.expect,
            success=each.success,
            column=each.column,
            severity="warn" if each.on_fail == "warn" else "error",
        )
        for each in verdict.results
    ]
    return {
        "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            assertions, producer=PRODUCER
        )
    }
