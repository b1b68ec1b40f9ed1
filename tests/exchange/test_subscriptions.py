"""Deliveries as they are declared: one to a place, whoever comes at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from exchange.desk import Desk
from exchange.errors import Unfit
from exchange.people import Principal
from exchange.requests import listed
from exchange.subscriptions import apply, declare, subscriptions
from tests.exchange.conftest import ASKER, AUDITOR, HEAD, STRANGER, asked

PLACE = {"connection": "store", "place": "from_the_city"}


def declared(desk: Desk, who: Principal) -> object:
    """One by itself, of what is shared without conditions."""
    return declare(
        desk, who, {"dataset": "ecology.air_quality", "policy": "default", "method": "file", **PLACE}
    )


def applied(desk: Desk, who: Principal) -> object:
    """One that a request declares."""
    return apply(desk, who, asked(method="file", delivery=PLACE))


@pytest.mark.parametrize("ways", [(declared,), (applied,), (declared, applied)])
def test_one_delivery_to_a_place_whoever_comes_at_one_moment(
    desk: Desk, ways: tuple[Callable[[Desk, Principal], object], ...]
) -> None:
    """Two people of a department; another department's place of that name is another one."""
    threads = 8
    gate = Barrier(threads)

    def at_once(number: int) -> str:
        who: Principal = (ASKER, HEAD, STRANGER)[number % 3]
        way = ways[number % len(ways)]
        gate.wait(30)
        try:
            way(desk, who)
        except Unfit as error:
            assert "goes to the same place" in error.message
            return ""
        return who.department

    with ThreadPoolExecutor(threads) as pool:
        ends = Counter(pool.map(at_once, range(threads)))
    assert ends == {"health": 1, "education": 1, "": threads - 2}
    made: list[Any] = subscriptions(desk)
    assert sorted(each.department for each in made) == ["education", "health"]
    assert len(listed(desk, AUDITOR)) == sum(each.request is not None for each in made)
