"""Stages are submitted to a standalone cluster alone: to the drivers of others the hook tells the keys in the open."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dags.submitting import require_standalone, run_stage
from lake.batch import Batch
from pipelines.context import Context
from schemas.errors import SettingsError


def given(monkeypatch: pytest.MonkeyPatch, **parts: object) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_XUANWU_SPARK", json.dumps(parts))


@pytest.mark.parametrize(
    "parts",
    [
        {"conn_type": "spark", "host": "spark://master", "port": 7077},
        {"conn_type": "spark", "host": "master", "port": 7077},
        {"conn_type": "spark", "host": "local[2]"},
    ],
)
def test_a_standalone_cluster_will_do(monkeypatch: pytest.MonkeyPatch, parts: dict[str, object]) -> None:
    given(monkeypatch, **parts)
    require_standalone()


@pytest.mark.parametrize(
    "parts",
    [
        {"conn_type": "spark", "host": "yarn"},
        {"conn_type": "spark", "host": "k8s://https://master", "port": 6443},
        {"conn_type": "k8s", "host": "master", "port": 6443},
        {"conn_type": "spark"},
    ],
)
def test_no_other_cluster_is_submitted_to(monkeypatch: pytest.MonkeyPatch, parts: dict[str, object]) -> None:
    given(monkeypatch, **parts)
    with pytest.raises(SettingsError, match="xuanwu_spark"):
        require_standalone()


def test_without_the_connection_the_hook_would_take_yarn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_XUANWU_SPARK", raising=False)
    with pytest.raises(SettingsError, match="is missing"):
        require_standalone()


def test_nor_is_a_stage(monkeypatch: pytest.MonkeyPatch, ctx: Context) -> None:
    given(monkeypatch, conn_type="spark", host="yarn")
    city = replace(ctx, settings=ctx.settings.model_copy(update={"engine": "spark"}))
    days = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    batch = Batch(dataset=next(iter(ctx.catalogue.entries)), start=days[0], end=days[1])
    with pytest.raises(SettingsError, match="another kind of cluster"):
        run_stage(city, "standardise", batch)
