"""OpenLineage events of a whole batch, by the client's own transports: a file, a server, a server that is not there."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from typer.testing import CliRunner

from lake.batch import Batch
from pipelines import lineage
from pipelines.batches import batch_for
from pipelines.cli import app
from pipelines.context import Context
from pipelines.stages import run_batch, run_stage
from schemas.errors import XuanwuError
from schemas.settings import Settings
from tests.pipelines.building import context_of, entry_of

PEOPLE = entry_of(
    "police.person",
    {"kind": "file", "connection": None, "path": "people.csv", "format": "csv"},
    {
        "id": {"type": "string", "source": "ID", "required": True},
        "name": {
            "type": "string",
            "grade": 3,
            "source": "NAME",
            "masks": {"share": {"kind": "partial", "first": 1}},
        },
        "age": "integer",
    },
    open={"type": "none"},
    merge={"kind": "snapshot"},
    checks=(
        {"expect": "expect_column_values_to_be_between", "column": "age", "min_value": 0, "on_fail": "warn"},
    ),
)
AGES = entry_of(
    "theme.age",
    {
        "kind": "lake",
        "inputs": ["police.person"],
        "sql": "SELECT age, count(*) AS n FROM police.person GROUP BY age",
    },
    {"age": "integer", "n": "integer"},
    schedule=None,
    open={"type": "unconditional", "fields": ["age", "n"], "downloads": []},
    merge={"kind": "snapshot"},
)


@pytest.fixture
def ctx(settings: Settings, tmp_path: Path) -> Context:
    (tmp_path / "people.csv").write_text(
        "ID,NAME,age\n1,王小明,30\n2,李小红,-3\n3,张大山,30\n", encoding="utf-8"
    )
    source = PEOPLE.source.model_copy(update={"path": str(tmp_path / "people.csv")})
    return context_of(settings, [PEOPLE.model_copy(update={"source": source}), AGES])


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A client for each test. It writes what it was told into variables of its own, which are taken back."""
    lineage._client.cache_clear()
    before = {name for name in os.environ if name.startswith("OPENLINEAGE")}
    yield
    for name in [each for each in os.environ if each.startswith("OPENLINEAGE") and each not in before]:
        del os.environ[name]
    lineage._client.cache_clear()


def run(ctx: Context, dataset: str) -> Batch:
    batch = batch_for(ctx, ctx.catalogue.entry(dataset))
    list(run_batch(ctx, batch))
    return batch


@pytest.fixture
def told(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events of both datasets, written by OpenLineage's file transport."""
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(tmp_path / "events.jsonl"))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    for dataset in ("police.person", "theme.age"):
        run(ctx, dataset)
    return [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]


def completed(told: list[dict[str, Any]], job: str) -> dict[str, Any]:
    (found,) = [event for event in told if event["job"]["name"] == job and event["eventType"] == "COMPLETE"]
    return found


def columns(event: dict[str, Any]) -> dict[str, set[tuple[str, str, str, bool]]]:
    facet = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    return {
        name: {
            (given["namespace"] + "/" + given["name"], given["field"], change["subtype"], change["masking"])
            for given in field["inputFields"]
            for change in given["transformations"]
        }
        for name, field in facet.items()
    }


def test_every_stage_starts_and_completes_in_order(told: list[dict[str, Any]]) -> None:
    """The zones are published abreast."""
    stages = ["collect", "standardise", "check", "merge"]
    jobs = [f"police.person.{name}" for name in [*stages, "publish.share.default"]]
    jobs += [f"theme.age.{name}" for name in stages]
    abreast = {f"theme.age.{name}" for name in ("publish.share.default", "publish.open.open")}
    events = [(event["job"]["name"], event["eventType"]) for event in told]
    assert events[: 2 * len(jobs)] == [(job, state) for job in jobs for state in ("START", "COMPLETE")]
    rest = events[2 * len(jobs) :]
    assert {job for job, state in rest} == abreast
    states = {
        job: [(e["eventType"], e["run"]["runId"]) for e in told if e["job"]["name"] == job]
        for job, _ in events
    }
    for (began, started), (ended, done) in states.values():
        assert (began, ended, started) == ("START", "COMPLETE", done)
    assert len({event["run"]["runId"] for event in told}) == len(jobs) + len(abreast)


def test_tables_follow_each_other_from_the_source_to_the_open_zone(told: list[dict[str, Any]]) -> None:
    def ends(job: str) -> tuple[list[str], list[str]]:
        event = completed(told, job)
        return tuple([f"{d['namespace']}/{d['name']}" for d in event[side]] for side in ("inputs", "outputs"))

    assert ends("police.person.standardise") == (
        ["xuanwu://landing/police/person"],
        ["xuanwu://standard/police/person"],
    )
    assert ends("police.person.publish.share.default") == (
        ["xuanwu://curated/police/person"],
        ["xuanwu://share/police/person/default"],
    )
    assert ends("theme.age.collect") == (["xuanwu://curated/police/person"], ["xuanwu://landing/theme/age"])
    assert ends("theme.age.publish.open.open") == (
        ["xuanwu://curated/theme/age"],
        ["xuanwu://open/theme/age"],
    )


def test_columns(told: list[dict[str, Any]]) -> None:
    curated = "xuanwu://curated/police/person"
    assert columns(completed(told, "theme.age.collect")) == {
        "age": {(curated, "age", "IDENTITY", False), (curated, "age", "GROUP_BY", False)},
        "n": {(curated, "age", "GROUP_BY", False)},
    }
    assert columns(completed(told, "police.person.publish.share.default"))["name"] == {
        (curated, "name", "TRANSFORMATION", True)
    }
    landing = "xuanwu://landing/police/person"
    assert columns(completed(told, "police.person.standardise"))["id"] == {(landing, "ID", "IDENTITY", False)}


def test_counts_and_verdicts_and_no_value(told: list[dict[str, Any]]) -> None:
    merged = completed(told, "police.person.merge")
    assert merged["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 3
    verdict = completed(told, "police.person.check")["inputs"][0]["inputFacets"]["dataQualityAssertions"]
    assert {
        (each["assertion"], each.get("column"), each["success"], each["severity"])
        for each in verdict["assertions"]
    } >= {("expect_column_values_to_be_between", "age", False, "warn")}
    assert not any(name in json.dumps(told, ensure_ascii=False) for name in ("王小明", "李小红", "张大山"))


def test_the_events_are_openlineages(told: list[dict[str, Any]], shared: Path) -> None:
    spec = shared / "std-openlineage" / "spec"
    documents = [json.loads(path.read_bytes()) for path in spec.rglob("*.json")]
    registry = Registry().with_resources(
        (document["$id"], Resource.from_contents(document)) for document in documents if "$id" in document
    )
    whole = json.loads((spec / "OpenLineage.json").read_bytes())
    validator = jsonschema.Draft202012Validator(
        {"$ref": f"{whole['$id']}#/$defs/RunEvent"},
        registry=registry,
        format_checker=jsonschema.FormatChecker(),
    )
    for event in told:
        validator.validate(event)
    by_name = {next(iter(d.get("properties", {"": 0}))): d for d in documents if d is not whole}
    for event in told:
        for holder in (event["run"]["facets"], *(each.get("facets", {}) for each in event["outputs"])):
            for name, facet in holder.items():
                facet_document = by_name[name]
                jsonschema.Draft202012Validator({"$ref": facet_document["$id"]}, registry=registry).validate(
                    {name: facet}
                )


def test_a_failed_stage_says_so_without_a_value(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(tmp_path / "events.jsonl"))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    (tmp_path / "people.csv").write_text("ID,age\n1,2\n")
    with pytest.raises(XuanwuError):
        run(ctx, "police.person")
    last = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert (last["eventType"], last["job"]["name"]) == ("FAIL", "police.person.collect") or last["job"][
        "name"
    ] == "police.person.standardise"
    assert "NAME" in last["run"]["facets"]["errorMessage"]["message"]


def test_nobody_is_told_unless_it_is_configured(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE"):
        monkeypatch.delenv(name, raising=False)

    def never() -> None:
        raise AssertionError("a client was made")

    monkeypatch.setattr(lineage, "_client", never)
    batch = batch_for(ctx, ctx.catalogue.entry("police.person"))
    run_stage(ctx, "collect", batch)


def test_the_command_tells_both_directions() -> None:
    said = CliRunner().invoke(app, ["lineage", "base.population"])
    assert said.exit_code == 0, said.output
    assert "human_resources.social_insurance.status" in said.output
    assert "theme.district_statistics.insured" in said.output
    told = json.loads(CliRunner().invoke(app, ["lineage", "base.population", "--json"]).output)
    assert {"column": ["public_security.resident", "name"], "how": "IDENTITY"} in told["made_from"]["name"]
    assert ["theme.district_statistics", "insured"] in [each["column"] for each in told["read_by"]]


class Handler(BaseHTTPRequestHandler):
    events: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_gets_them(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = type("Handling", (Handler,), {"events": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
        run_stage(ctx, "collect", batch_for(ctx, ctx.catalogue.entry("police.person")))
        server.shutdown()
    assert [event["eventType"] for event in handler.events] == ["START", "COMPLETE"]


def test_a_server_that_is_not_there_stops_nothing(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY__TOTAL", "0")
    run_stage(ctx, "collect", batch_for(ctx, ctx.catalogue.entry("police.person")))
    assert "lineage of police.person collect could not be sent" in caplog.text
