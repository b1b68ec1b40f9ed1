"""What snapshots say of themselves is spelt in one way, in one place."""

from __future__ import annotations

import re
from pathlib import Path

from lake.properties import named, said

ROOT = Path(__file__).parents[2]


def test_words_are_properties_with_hyphens() -> None:
    properties = named(batch="b", interval_end="2026-03-02")
    assert properties == {"xuanwu.batch": "b", "xuanwu.interval-end": "2026-03-02"}
    assert said(properties, "interval_end") == "2026-03-02"
    assert said(properties, "interval") is None


def test_no_other_module_spells_a_property() -> None:
    rooms = ("lake", "pipelines", "dags", "plugins")
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    spelt = {path.name for path in files if re.search(r"""["']xuanwu\.[a-z{]""", path.read_text("utf-8"))}
    assert len(files) > 50
    assert spelt == {"properties.py"}
