"""What a task says of an error: Airflow writes it into its log and its database as it is."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.tasks import Held, collect, collected, plainly
from schemas.errors import CheckFailed
from tests.pipelines.badinput.town import KEY, Town, batch_of, csv_of, path_source, rows

CANARY = "320102199003070011"


def _failing(error: Callable[[], Exception]) -> BaseException:
    @plainly
    def task() -> None:
        raise error()

    with pytest.raises(Exception) as caught:
        task()
    return caught.value


def test_an_unforeseen_error_reaches_airflow_without_its_words() -> None:
    def library() -> Exception:
        try:
            pa.scalar(CANARY + "x").cast(pa.int64())
        except pa.ArrowInvalid as error:
            assert CANARY in str(error)
            return error
        raise AssertionError

    found = _failing(library)
    told = "".join(traceback.format_exception(found))
    assert type(found) is RuntimeError and "ArrowInvalid" in str(found)
    assert "dags.tasks.run:" in str(found)
    assert CANARY not in told


def test_the_first_task_says_that_the_key_is_missing_before_it_collects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The day's originals are collected all the same: they may not be there tomorrow."""
    town = Town(tmp_path, path_source("csv", "csv", encoding="utf-8"))
    town.leave("01", csv_of(rows(1)))
    for name, value in (("HOME", town.settings.home), ("CATALOGUE", town.catalogue)):
        monkeypatch.setenv(f"XUANWU_{name}", str(value))
    monkeypatch.setenv("XUANWU_CONN_POLICE", town.urls["police"])
    day = {"data_interval_start": batch_of(1).start, "data_interval_end": batch_of(1).end}
    for key, told in (("", 1), (KEY, 0)):
        monkeypatch.setenv("XUANWU_KEY_1", key)
        caplog.clear()
        assert collect("police.person", day)["dataset"] == "police.person"
        said = [each.getMessage() for each in caplog.records if each.name == "dags.tasks"]
        assert len(said) == told
        assert all("share/default will not be published; next: set XUANWU_KEY_1" in each for each in said)


def test_what_airflow_is_told_on_purpose_reaches_it_as_it_is() -> None:
    assert isinstance(_failing(lambda: AirflowSkipException("nothing new")), AirflowSkipException)
    assert isinstance(_failing(lambda: Held("subject", "body")), Held)
    assert isinstance(_failing(lambda: CheckFailed("failed")), AirflowFailException)


class Run:
    """A run's task as Airflow hands it over, by what `collect` left."""

    def __init__(self, **left: dict[str, str]) -> None:
        self.left = left

    def xcom_pull(self, task_ids: str) -> dict[str, str] | None:
        return self.left.get(task_ids)


def test_a_stage_is_given_the_batch_of_its_run() -> None:
    assert collected({"ti": Run(collect={"id": "a"}, merge={"id": "b"})}) == {"id": "a"}
    with pytest.raises(AirflowFailException, match="`collect` has left no batch"):
        collected({"ti": Run(merge={"id": "b"})})
