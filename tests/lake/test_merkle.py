"""The tree against the vectors of Certificate Transparency (RFC 6962), which other implementations carry too."""

from __future__ import annotations

import hashlib

import pytest

from lake.merkle import Frontier, leaf_hash

INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAVES = [leaf_hash(data) for data in INPUTS]


def root(leaves: list[bytes]) -> bytes:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots(size: int) -> None:
    assert root(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree() -> None:
    assert root([]) == hashlib.sha256(b"").digest()


def defined(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962, 2.1 defines it: split at the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + defined(leaves[:half]) + defined(leaves[half:])).digest()


def test_every_size_has_the_root_of_the_definition() -> None:
    frontier, leaves = Frontier(), []
    for number in range(130):
        leaves.append(leaf_hash(str(number).encode()))
        frontier.append(leaves[-1])
        assert frontier.sound
        assert frontier.root() == defined(leaves)


def test_a_frontier_of_another_size_is_not_sound() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:6]:
        frontier.append(leaf)
    assert frontier.sound
    assert not Frontier(7, frontier.peaks).sound
