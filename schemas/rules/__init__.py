"""What a catalogue must keep to, beyond the form of each file. One table names every rule and where it
stands.

A rule is a plain generator of findings. Beside it stand the sections (top-level keys) it reads: where one of
them cannot be read, the rule is silent, as the broken section has its own finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.draft import Draft
from schemas.findings import Finding
from schemas.house import House
from schemas.model import EntryFile
from schemas.rules import (
    assessed,
    checks,
    circles,
    derived,
    fields,
    limits,
    names,
    onesource,
    publishing,
    regexes,
    retention,
    shared,
    sources,
    subject,
)

EntryRule = Callable[[EntryFile, Draft, House], Iterator[Finding]]
CityRule = Callable[[House], Iterator[tuple[Draft, Finding]]]

ENTRY_RULES: tuple[tuple[EntryRule, tuple[str, ...]], ...] = (
    (names.id_is_place, ("id",)),
    (names.departments_known, ()),
    (names.key_fields, ("key",)),
    (names.merge_order, ("merge",)),
    (names.policy_fields, ("share", "open")),
    (sources.schedule, ("source",)),
    (sources.database_cursor, ("source", "merge")),
    (sources.exchange_whole, ("source", "merge")),
    (sources.file_options, ("source",)),
    (fields.names_free, ("fields",)),
    (fields.own_element_kept, ("fields",)),
    (fields.origin_kept, ("fields",)),
    (fields.key_required, ("fields", "key")),
    (fields.options_fit_type, ("fields",)),
    (fields.formats_known, ("fields",)),
    (fields.zone_known, ("fields",)),
    (fields.codes_known, ("fields",)),
    (fields.masks_fit, ("fields",)),
    (publishing.share_reasons, ("share",)),
    (publishing.open_reasons, ("open",)),
    (publishing.share_masks, ("share", "fields")),
    (publishing.open_masks, ("open", "fields")),
    (subject.subject_said, ("subject", "fields")),
    (subject.subject_of_derived, ("subject", "source")),
    (subject.risks_said, ("subject", "open", "fields")),
    (assessed.assessed_said, ("assessed", "fields")),
    (assessed.assessed_in_order, ("assessed",)),
    (limits.limits_fit, ("share", "open", "subject", "fields")),
    (limits.ladders_fit, ("fields",)),
    (limits.aggregates_counted, ("subject", "source", "open", "fields")),
    (limits.noise_budgeted, ("share", "open", "subject", "fields")),
    (limits.noise_fits, ("open", "fields")),
    (retention.kept_no_longer, ("retention", "subject")),
    (checks.own_checks, ()),
    (checks.engine_does, ("engine", "checks")),
)
CITY_RULES: tuple[CityRule, ...] = (
    names.code_unique,
    onesource.one_source,
    circles.circles,
    sources.lake_queries,
    derived.derived_kept,
)
"""In this order: `derived_kept` goes by what `lake_queries` has noted in the drafts."""


@regexes.engine_closed()
def judge(house: House, processes: int = 1) -> None:
    """Adds what each rule finds to the findings of the file concerned. The SQL of derived datasets is DuckDB's to read:
    where it is much, so many forks do that beside the other rules (`schemas.forks`)."""
    with sources.queries_begun(house, processes) as queries:
        shared.judge_shared(house)
        for draft in house.drafts.values():
            if draft.written is not None:
                draft.findings.extend(_of_entry(draft.written, draft, house))
        for city_rule in CITY_RULES:
            found = queries if city_rule is sources.lake_queries else city_rule(house)
            for draft, finding in found:
                draft.findings.append(finding)


def _of_entry(written: EntryFile, draft: Draft, house: House) -> list[Finding]:
    rules = [rule for rule, sections in ENTRY_RULES if draft.broken.isdisjoint(sections)]
    return [finding for rule in rules for finding in rule(written, draft, house)]
