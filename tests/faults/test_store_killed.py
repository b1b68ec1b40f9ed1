"""An object store that is killed in the middle of a stage, and one that is restarted: a clear error or none, and the
run again leaves what a run without faults does."""

from __future__ import annotations

import os

import pytest

from tests.city.running import KEY
from tests.faults.stopping import unavailable
from tests.faults.stores import with_store
from tests.faults.trying import Outcome

pytestmark = pytest.mark.timeout(1800)
FAULTS = int(os.environ.get("FAULT_STORE", "1"))
"""How many for each stage."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    if reason := unavailable():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XUANWU_KEY_1", KEY)
        return list(with_store(tmp_path_factory.mktemp("stores"), FAULTS))


def test_nothing_comes_of_it(outcomes: list[Outcome]) -> None:
    assert [str(each) for each in outcomes if each.wrong] == []


def test_every_stage_met_it_in_its_middle(outcomes: list[Outcome]) -> None:
    assert {each.step.stage for each in outcomes} == {"collect", "standardise", "check", "merge", "publish"}
    assert all(0 < each.call < each.calls for each in outcomes)
    assert {each.fault for each in outcomes} == {"the store was killed", "the store was restarted"}
