"""The whole catalogue of the repository: it loads, and it holds an example of everything an entry may say."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sample.city import SOURCES
from schemas.load import Catalogue, check_catalogue, load_catalogue
from schemas.model import EntryFile, FileSource, Mask
from schemas.policy import mask_plan, policies
from schemas.settings import HERE

KINDS = {"keep", "drop", "hmac", "partial", "generalise", "round", "clip", "constant", "redact"}
OURS = {
    "expect_column_values_to_be_valid_resident_id",
    "expect_column_values_to_be_valid_uscc",
    "expect_column_values_to_be_valid_mobile_number",
    "expect_column_values_to_be_valid_division_code",
    "expect_column_values_to_be_in_code_list",
    "expect_column_values_to_exist_in_dataset",
    "expect_resident_id_to_match_birth_date_and_gender",
    "expect_column_max_to_be_recent",
    "expect_table_row_count_not_to_drop",
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(HERE / "catalogue")


def test_no_problem() -> None:
    assert [str(problem) for problem in check_catalogue(HERE / "catalogue")] == []


def test_it_is_not_empty(catalogue: Catalogue) -> None:
    assert len(catalogue.entries) >= 12
    assert len({entry.owner for entry in catalogue.entries.values()}) >= 7


def test_every_share_open_and_merge_kind(catalogue: Catalogue) -> None:
    entries = catalogue.entries.values()
    assert {entry.share.type for entry in entries} == {"unconditional", "conditional", "none"}
    assert {entry.open.type for entry in entries} == {"unconditional", "conditional", "none"}
    assert {entry.merge.kind for entry in entries} == {"snapshot", "append", "upsert"}


def test_every_source_and_file_format(catalogue: Catalogue) -> None:
    sources = [entry.source for entry in catalogue.entries.values()]
    assert {source.kind for source in sources} == {"database", "file", "http", "lake"}
    formats = {source.format for source in sources if isinstance(source, FileSource)}
    assert formats == {"csv", "tsv", "excel", "json", "jsonl", "parquet"}


def masks(catalogue: Catalogue) -> list[Mask]:
    of_policies = [
        mask
        for entry in catalogue.entries.values()
        for zone in ("share", "open")
        for policy in policies(entry, zone).values()
        for mask in policy.mask.values()
    ]
    fields = [field for entry in catalogue.entries.values() for field in entry.fields.values()]
    of_fields = [mask for field in fields for mask in (field.masks.share, field.masks.open) if mask]
    return of_policies + of_fields


def test_every_mask_kind(catalogue: Catalogue) -> None:
    assert {mask.kind for mask in masks(catalogue)} == KINDS


def test_every_consequence_and_our_own_expectations(catalogue: Catalogue) -> None:
    checks = [check for entry in catalogue.entries.values() for check in entry.checks]
    assert {check.on_fail for check in checks} == {"stop", "quarantine", "warn"}
    assert {check.expect for check in checks} >= OURS


def test_an_identity_is_never_published_as_it_is(catalogue: Catalogue) -> None:
    looked_at = 0
    for entry in catalogue.entries.values():
        for zone in ("share", "open"):
            for policy in policies(entry, zone).values():
                for name, mask in mask_plan(entry, zone, policy).items():
                    if entry.fields[name].grade == 4 or entry.fields[name].element == "person_name":
                        looked_at += 1
                        assert mask.kind != "keep", f"{entry.id}.{name}"
    assert looked_at > 5


def test_texts_are_in_both_languages(catalogue: Catalogue) -> None:
    for entry in catalogue.entries.values():
        for text in (entry.title, entry.summary, *(field.title for field in entry.fields.values())):
            assert text.zh and text.en
            assert text.zh != text.en, entry.id
        for promise in (entry.share, entry.open):
            for reason in (promise.conditions, promise.basis):
                assert reason is None or (reason.zh and reason.en), entry.id


def test_codes_of_the_catalogue_are_unique(catalogue: Catalogue) -> None:
    codes = [entry.code for entry in catalogue.entries.values()]
    assert len(set(codes)) == len(codes)


def test_entries_have_one_shape() -> None:
    keys = list(EntryFile.model_fields)
    files = sorted((HERE / "catalogue").glob("*/*.yaml"))
    assert len(files) >= 12
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# yaml-language-server: $schema=../../entry.schema.json"
        top = [line.split(":")[0] for line in lines if line[0].isalpha()]
        assert top == [key for key in keys if key in top], file


def test_the_city_has_a_source_for_every_collected_dataset(catalogue: Catalogue) -> None:
    collected = {name for name, entry in catalogue.entries.items() if entry.source.kind != "lake"}
    assert collected == {source.dataset for source in SOURCES}


@pytest.mark.parametrize("path", sorted((HERE / "codes").glob("*.csv")), ids=lambda path: path.stem)
def test_a_word_means_one_code(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = [word for row in rows for word in {row["code"], row["zh"], *row["aliases"].split("|")} if word]
    assert rows
    assert len(set(words)) == len(words)
