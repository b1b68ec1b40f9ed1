"""The rules that are numbers, read: the policy file beside this module, with what a catalogue's own one changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.draft import validate
from schemas.findings import Finding
from schemas.messages import findings_of
from schemas.model import Numbers
from schemas.yamlfile import Unreadable, decode, parse, read_bytes

FILE = Path(__file__).with_name("policy.yaml")


@cache
def _shipped() -> dict[str, Any]:
    return parse(decode(read_bytes(FILE)))[0]


@cache
def default_numbers() -> Numbers:
    """The numbers as the house gives them."""
    return Numbers.model_validate(_shipped())


def numbers_at(root: Path) -> Numbers:
    """The numbers of the catalogue under `root`, read alone; the house's own where it has none or they cannot be read,
    which `xuanwu check` tells."""
    try:
        return numbers_of(decode(read_bytes(root / "policy.yaml")))[0]
    except (OSError, Unreadable):
        return default_numbers()


def numbers_of(text: str) -> tuple[Numbers, list[Finding]]:
    """The numbers of a policy file, over the house's own; with what is wrong, where the house's own stand."""
    said, findings = parse(text)
    merged = {
        name: section | said[name] if isinstance(said.get(name), dict) else said.get(name, section)
        for name, section in _shipped().items()
    }
    merged |= {name: value for name, value in said.items() if name not in merged}
    try:
        return validate(Numbers, merged), findings
    except ValidationError as error:
        return default_numbers(), findings + findings_of(error, Numbers, merged)
