"""What whoever approves a catalogue is told of open tables that join by their tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.joins import joined
from schemas.load import Catalogue, load_catalogue
from tests.pipelines.gates.making import entry

RIDE, VISIT = "transport.ride", "health.visit"
Json = dict[str, Any]
HMAC: Json = {"kind": "hmac"}
OWN, CARDS = HMAC, {**HMAC, "domain": "cards"}


@pytest.fixture
def told(make_catalogue: Callable[[dict[str, str]], Catalogue]) -> Callable[..., list[str]]:
    """The lines about two open datasets with these masks of their cards."""

    def told(ride: Json, visit: Json, shared: Json | None = None) -> list[str]:
        masks = {
            RIDE: {"share": "drop", "open": ride},
            VISIT: {"share": shared or {"kind": "hmac"}, "open": visit},
        }
        return list(
            map(
                str,
                joined(
                    make_catalogue(
                        {f"{name.replace('.', '/')}.yaml": opened(name, masks[name]) for name in masks}
                    )
                ),
            )
        )

    return told


def opened(dataset: str, mask: Json) -> str:
    fields = {"card": {"type": "string", "grade": 3, "mask": mask}}
    return entry(dataset, fields, open={"type": "unconditional", "fields": ["card"]})


def test_open_tables_that_join_are_told_and_no_others(told: Callable[..., list[str]]) -> None:
    assert told(OWN, OWN) == []
    assert told(CARDS, OWN) == []
    assert told(CARDS, CARDS) == [
        "open to joining by tokens, through the domain `cards`: open health.visit.card, open transport.ride.card"
    ]
    assert told(CARDS, {**CARDS, "hash": "sha256"}) == []


def test_who_takes_the_domain_of_another_is_told(told: Callable[..., list[str]]) -> None:
    assert told({**HMAC, "domain": f"open/{VISIT}"}, OWN) == [
        f"open to joining by tokens, through the domain `open/{VISIT}`: open health.visit.card, open transport.ride.card"
    ]
    assert told({**HMAC, "domain": "share/default"}, OWN) == [
        "open to joining by tokens, through the domain `share/default`: share/default health.visit.card, open transport.ride.card"
    ]
    assert told(OWN, OWN, {**HMAC, "domain": f"open/{RIDE}"}) == [
        f"open to joining by tokens, through the domain `open/{RIDE}`: share/default health.visit.card, open transport.ride.card"
    ]


def test_enciphered_columns_join_as_tokens_do(told: Callable[..., list[str]]) -> None:
    digits = {"kind": "fpe", "form": "digits", "domain": "cards"}
    assert len(told(digits, digits)) == 1
    assert told(digits, CARDS) == told(digits, {**digits, "form": "alphanumeric"}) == []


def test_the_citys_open_tables_join_with_nothing() -> None:
    assert joined(load_catalogue()) == []
