"""From the facts to the page."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exchange.words import COUNTED, INCIDENTS, RISKS
from lake import store
from pipelines.context import Context
from pipelines.report.charts import trend
from pipelines.report.departments import WITHIN, departments
from pipelines.report.facts import DIMENSIONS, WATCHED, DatasetFacts, gather
from pipelines.report.proof import proofs
from pipelines.report.words import (
    CHECK_WORDS,
    DIMENSION_WORDS,
    ON_FAIL_WORDS,
    SCORE_WORDS,
    STAGE_WORDS,
    STATE_WORDS,
    TYPE_WORDS,
)

TEMPLATES = Path(__file__).parents[1] / "templates"
NEWEST = 50
"""Changed contracts, risks and incidents on the page; `xuanwu catalogue history`, `risks` and `incident list --all`
tell the others."""
CITY = ZoneInfo("Asia/Shanghai")


def write_report(ctx: Context, path: Path) -> Path:
    """Write the page whole, over an earlier one; returns its absolute path."""
    facts = gather(ctx)
    return write_page(
        path,
        "report.html.j2",
        facts=facts,
        proofs=proofs(ctx, [each for dataset in facts.datasets for each in dataset.publications]),
        trend=_trend,
        dimensions=DIMENSIONS,
        words=DIMENSION_WORDS,
        checks=CHECK_WORDS,
        on_fail=ON_FAIL_WORDS,
        stages=STAGE_WORDS,
        states=STATE_WORDS,
        types=TYPE_WORDS,
        departments=ctx.catalogue.departments,
        answer_within=ctx.catalogue.numbers.exchange.answer_within,
        verify_within=ctx.catalogue.numbers.exchange.verify_within,
        scores=departments(ctx, facts),
        score_words=SCORE_WORDS,
        score_days=WITHIN.days,
        update_within=ctx.catalogue.numbers.catalogue.update_within,
        review_within=ctx.catalogue.numbers.catalogue.review_within,
        newest_changes=NEWEST,
        risk_words=RISKS,
        risk_counts=COUNTED,
        watched=WATCHED.days,
        incident_words=INCIDENTS,
        incident_numbers=ctx.catalogue.numbers.incidents,
        titles={name: entry.title.zh for name, entry in ctx.catalogue.entries.items()},
    )


def write_page(path: Path, template: str, **said: object) -> Path:
    """Write a template, filled in, whole over an earlier page; returns its absolute path."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": _share, "number": _number, "tone": _tone}
    page = environment.get_template(template).render(zone=CITY, **said)
    store.write_atomic(str(path.resolve()), page.encode())
    return path.resolve()


def _trend(dataset: DatasetFacts) -> str:
    batches = dataset.batches[-30:]
    return trend(
        [batch.status.day[5:] for batch in batches],
        [batch.score.share if batch.verdict else None for batch in batches],
        [batch.status.quarantined or 0 for batch in batches],
    )


def _share(value: float | None) -> str:
    """A share as per cent that never rounds a failure away to 100%."""
    if value is None:
        return "–"
    if value == 1:
        return "100%"
    return f"{min(value, 0.9999):.2%}"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _tone(value: float | None) -> str:
    if value is None:
        return "none"
    return "good" if value == 1 else "fair" if value >= 0.98 else "poor"
