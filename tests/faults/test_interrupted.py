"""Ctrl-C at any moment of a run from PostgreSQL: it ends soon and says how it goes on, and that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.interrupting import PROMPT, catalogue, environment, gone_on, interrupt, source

MOMENTS = (0.0, 0.2, 0.5, 1.0, 2.0, 3.0)
"""Seconds after the batch was begun: while the source is looked at and read, and in the stages after that."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with source(300_000) as made:
        yield made


@pytest.mark.parametrize("at", MOMENTS)
def test_an_interrupted_run_ends_soon_and_goes_on(at: float, url: str, tmp_path: Path) -> None:
    variables = environment(tmp_path / "home", catalogue(tmp_path / "catalogue"), url)
    found = interrupt(variables, at, begun=True)
    assert found.outcome == "130, told" or (found.outcome == "done before" and at), found.said
    assert found.ended < PROMPT
    assert gone_on(variables, found.said) == ""
