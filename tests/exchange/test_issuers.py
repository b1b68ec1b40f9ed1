"""Two real identity providers at once: whose a token is, by whose keys it is checked, and that neither speaks for the
other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exchange.accounts import close_account, tokens
from exchange.errors import Busy, Unplaced
from exchange.oidc.issuer import Issuer
from exchange.state import State
from schemas.errors import SettingsError
from tests.exchange.clock import Clock
from tests.exchange.provider import AUDIENCE, Provider
from tests.exchange.provider.fixtures import MakeIssuer
from tests.exchange.test_oidc import refused

HERE = "https://exchange.test/for-the-province"


@pytest.fixture
def exchange_url(settings: Any) -> str:
    """The databases are told apart elsewhere."""
    return str(settings.exchange_url)


@pytest.fixture(scope="module")
def province() -> Iterator[Provider]:
    made = Provider(audience=HERE)
    yield made
    made.stop()


def other(province: Provider, **more: Any) -> dict[str, Any]:
    """What the city's file says of the province's issuer."""
    return {
        "issuer": province.issuer,
        "audience": HERE,
        "department": {"map": {"education": "transport", "ZJ-01": "health"}},
        "roles": {"map": {"requester": "requester"}},
    } | more


@pytest.fixture
def both(make_issuer: MakeIssuer, province: Provider) -> Issuer:
    return make_issuer({"others": {"province": other(province)}})


def of_province(province: Provider, **claims: Any) -> str:
    return province.forge(**{"aud": HERE} | claims)


def test_each_by_its_own_keys_and_claims(
    provider: Provider, province: Provider, both: Issuer, state: State
) -> None:
    ours, theirs = both.session(state, provider.forge()), both.session(state, of_province(province))
    assert (ours.principal.name, ours.principal.department) == ("oidc:asker-sub", "education")
    assert (theirs.principal.name, theirs.principal.department) == ("oidc:province:asker-sub", "transport")
    assert {each.account for each in tokens(state)} == {ours.principal.name, theirs.principal.name}
    assert both.session(state, provider.token()).principal.name == "oidc:education-etl"


def test_neither_signs_for_the_other(
    provider: Provider, province: Provider, both: Issuer, state: State
) -> None:
    """Nor under the id of the other's key, which it has given its own."""
    for mine, its in ((provider, province), (province, provider)):
        aud = {provider.issuer: AUDIENCE, province.issuer: HERE}
        forged = mine.forge(iss=its.issuer, aud=aud[its.issuer])
        assert refused(both, state, forged) == "key"
        named = mine.forge(iss=its.issuer, aud=aud[its.issuer], header={"kid": its.key.kid})
        assert refused(both, state, named) == "signature"
        assert refused(both, state, its.forge(iss=mine.issuer, aud=aud[mine.issuer])) == "key"
    assert refused(both, state, province.forge(aud=AUDIENCE)) == "audience"
    assert refused(both, state, provider.forge(aud=HERE)) == "audience"
    assert refused(both, state, province.forge(iss="https://idp.city.example", aud=HERE)) == "issuer"
    assert tokens(state) == []


def test_a_name_of_the_province_s_is_none_of_ours(province: Provider, both: Issuer, state: State) -> None:
    """What its map does not name is no department and no role of ours, whatever it is called; a system of ours is
    none of theirs; and no subject is taken for another issuer's."""
    for claims in ({"department": "health"}, {"roles": ["approver"]}, {"roles": ["authority"]}):
        with pytest.raises(Unplaced) as raised:
            both.session(state, of_province(province, **claims))
        assert raised.value.who == "oidc:province:asker-sub"
    system = of_province(province, sub="education-etl", client_id="education-etl", department=None)
    with pytest.raises(Unplaced):
        both.session(state, system)
    assert both.session(state, of_province(province, department="ZJ-01")).principal.department == "health"


def test_no_subject_is_taken_for_another_issuer_s(
    provider: Provider, province: Provider, both: Issuer, state: State
) -> None:
    trick = both.session(state, provider.forge(sub="province:asker-sub")).principal.name
    long = both.session(state, of_province(province, sub="x" * 90)).principal.name
    assert trick.startswith("oidc:~") and long.startswith("oidc:province:~")
    assert max(len(trick), len(long)) <= 100


def test_what_is_ended_is_one_issuer_s(
    provider: Provider, province: Provider, both: Issuer, state: State, today: Clock
) -> None:
    ours, theirs = provider.forge(), of_province(province)
    both.session(state, ours), both.session(state, theirs)
    close_account(state, "oidc:province:asker-sub", today())
    assert refused(both, state, theirs) == "closed"
    assert both.session(state, ours)


def test_one_that_is_down_holds_nobody_of_the_other_up(
    provider: Provider, province: Provider, both: Issuer, state: State
) -> None:
    theirs = of_province(province)
    province.down()
    try:
        with pytest.raises(Busy):
            both.session(state, theirs)
        assert both.session(state, provider.forge())
    finally:
        province.up()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"issuer": "http://idp.province.example"}, "others.province: the issuer is no https"),
        ({"audience": ""}, "others.province.audience"),
        ({"department": {"map": {"x": "magic"}}}, "others.province: no department `magic`"),
        ({"clients": {"x": {"roles": ["requester"]}}}, "others.province: clients.x: requester needs"),
        ({"others": {}}, "others.province.others"),
    ],
)
def test_a_wrong_file(make_issuer: MakeIssuer, province: Provider, more: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        make_issuer({"others": {"province": other(province, **more)}})


def test_an_issuer_stands_there_once(make_issuer: MakeIssuer, provider: Provider, province: Provider) -> None:
    with pytest.raises(SettingsError, match="stands there twice"):
        make_issuer({"others": {"a": other(province), "b": other(province)}})
    with pytest.raises(SettingsError, match="own issuer among the others"):
        make_issuer({"others": {"a": other(provider)}})
    with pytest.raises(SettingsError, match="others"):
        make_issuer({"others": {"a:b": other(province)}})
