"""Which published tables join by their tokens: shared ones under one policy, open ones only where the entries say so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.masks.words import words_of
from schemas.load import Catalogue
from schemas.model import Fpe, Hmac, Zone
from schemas.settings import Settings
from tests.pipelines.gates.making import Json, Town, entry
from tests.pipelines.publishing.making import KEY, SECRET

RIDE, VISIT = "transport.ride", "health.visit"
HMAC: Json = {"kind": "hmac"}
FPE: Json = {"kind": "fpe", "form": "digits"}


@pytest.fixture
def town(
    settings: Settings, make_catalogue: Callable[[dict[str, str]], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> Town:
    monkeypatch.setenv(KEY, SECRET)
    return Town(settings, make_catalogue, {RIDE: table(RIDE, HMAC), VISIT: table(VISIT, HMAC)})


def table(dataset: str, mask: Json) -> str:
    fields = {"card": {"type": "string", "grade": 3, "mask": {"share": mask, "open": mask}}}
    return entry(dataset, fields, open={"type": "unconditional", "fields": ["card"], "downloads": []})


def published(town: Town, dataset: str, zone: Zone) -> str:
    """What became of the one card number that both datasets have."""
    (row,) = town.rows(town.publish(town.curate([{"card": "9920260302000017"}], dataset), zone))
    return str(row["card"])


@pytest.mark.parametrize("mask", [HMAC, FPE])
def test_two_open_datasets_do_not_join_and_two_shared_under_one_policy_do(town: Town, mask: Json) -> None:
    town.entries = {name: table(name, mask) for name in (RIDE, VISIT)}
    assert published(town, RIDE, "open") != published(town, VISIT, "open")
    assert published(town, RIDE, "share") == published(town, VISIT, "share")
    assert published(town, RIDE, "share") not in {published(town, name, "open") for name in (RIDE, VISIT)}


@pytest.mark.parametrize("mask", [HMAC, FPE])
def test_two_open_datasets_join_where_both_entries_say_one_domain(town: Town, mask: Json) -> None:
    town.entries = {name: table(name, {**mask, "domain": "cards"}) for name in (RIDE, VISIT)}
    assert published(town, RIDE, "open") == published(town, VISIT, "open")
    town.write(VISIT, table(VISIT, {**mask, "domain": "visits"}))
    assert published(town, RIDE, "open") != published(town, VISIT, "open")


def test_the_tokens_of_one_open_dataset_are_the_same_in_each_of_its_releases(town: Town) -> None:
    assert published(town, RIDE, "open") == published(town, RIDE, "open")


def test_the_check_of_a_catalogue_tells_which_open_tables_join(town: Town) -> None:
    town.entries = {name: table(name, {**HMAC, "domain": "cards"}) for name in (RIDE, VISIT)}
    done = CliRunner().invoke(app, ["check", str(town.ctx.catalogue.root)])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1:] == [
        "open to joining by tokens, through the domain `cards`: share/default health.visit.card, open health.visit.card, "
        "share/default transport.ride.card, open transport.ride.card",
        "脱敏密钥 the masking key of version 1 is set 已设置: for the tokens of 2 dataset(s)",
    ]


def test_the_words_of_a_mask_say_a_domain_that_the_entry_names() -> None:
    for mask in (Hmac(domain="cards"), Fpe(form="digits", domain="cards")):
        zh, en = words_of(mask, "1")
        assert "同值同码（作用域 cards 的各表互通）" in zh
        assert "equal values have equal codes in all tables of the domain cards" in en
    assert "domain" not in words_of(Hmac(), "1")[1]
