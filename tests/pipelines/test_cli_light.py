"""What a command does not load: the reason why it is quick. Nothing here measures time."""

from __future__ import annotations

import os
import sys

import pytest

from pipelines.cli.catalogue import check
from schemas import load
from schemas.load import load_catalogue as real
from tests.waiting import ran

HEAVY = {
    *("rich", "markdown_it", "pygments", "pydantic", "yaml", "numpy", "pyarrow", "pandas", "duckdb"),
    *("sqlalchemy", "pyiceberg", "great_expectations", "httpx", "jinja2", "boto3", "airflow"),
}


def loaded(*arguments: str) -> set[str]:
    """The top packages in memory when a command has ended."""
    code = (
        "import sys\nfrom pipelines.cli import main\n"
        f"sys.argv = ['xuanwu', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code in (0, 2), end.code\n"
        "print(*sys.modules)"
    )
    done = ran([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_help_loads_nothing_heavy() -> None:
    assert HEAVY & loaded("--help") == set()


@pytest.mark.parametrize("arguments", [["run", "--help"], ["quarantine", "show", "--help"], ["run"]])
def test_a_commands_help_loads_what_typer_reads_its_arguments_with(arguments: list[str]) -> None:
    assert HEAVY & loaded(*arguments) <= {"pydantic"}


def test_the_check_of_the_catalogue_loads_no_table_engine_but_the_one_that_reads_sql() -> None:
    assert HEAVY & loaded("check") <= {"pydantic", "yaml", "duckdb"}


def test_the_check_has_several_processes_read_where_there_are_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(load, "load_catalogue", lambda *_, processes: asked.append(processes) or real())
    check(None)
    assert asked == [2]
