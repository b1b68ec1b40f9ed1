from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.load import Catalogue
from schemas.settings import Settings
from tests.pipelines.gates.clinic import PATIENT, made
from tests.pipelines.gates.making import Town


@pytest.fixture
def town(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> Town:
    monkeypatch.setenv("XUANWU_KEY_1", bytes(range(32)).hex())
    return Town(settings, make_catalogue)


@pytest.fixture
def clinic(town: Town) -> Town:
    town.entries = {PATIENT: made()}
    return town
