"""Every variable that the code asks for is in the table of settings, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.settings import Settings

ROOT = Path(__file__).parents[1]
ROOMS = ("schemas", "expectations", "lake", "pipelines", "exchange", "dags", "plugins")
NAME = re.compile(r"XUANWU_[A-Z]+(?:_[A-Z]+)*_?")
FAMILIES = {"XUANWU_CONN_": "XUANWU_CONN_<NAME>", "XUANWU_KEY_": "XUANWU_KEY_<version>"}
PROVIDER = "XUANWU_OIDC_"


def variables() -> set[str]:
    """As the table writes them: of a family what they have in common."""
    said = {f"XUANWU_{name.upper()}" for name in Settings.model_fields}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            said |= set(NAME.findall(path.read_text("utf-8")))
    return {_family(name) for name in said}


def _family(name: str) -> str:
    if name == "XUANWU_KEY_VERSION":
        return name
    return next((whole for start, whole in FAMILIES.items() if name.startswith(start)), name)


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_every_variable_is_in_the_table_of_settings(page: str) -> None:
    table = [line for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith("| `XUANWU_")]
    told = {name for line in table for name in re.findall(r"`(XUANWU_[^`]+)`", line.split("|")[1])}
    own = {name for name in variables() if not name.startswith(PROVIDER)}
    assert len(own) >= 15
    assert own == told - {f"{PROVIDER}…"}


def test_every_variable_of_the_identity_provider_is_where_the_table_says() -> None:
    text = (ROOT / "docs" / "exchange-operators.md").read_text("utf-8")
    own = {name for name in variables() if name.startswith(PROVIDER)}
    assert len(own) >= 5
    assert [name for name in sorted(own) if f"`{name}`" not in text] == []
