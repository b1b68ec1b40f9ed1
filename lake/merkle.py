"""The Merkle tree of RFC 6962, section 2.1: SHA-256, leaves under 0x00, nodes under 0x01.

A log that only grows needs of its tree no more than the roots of its perfect subtrees, the frontier: as many as the
size has bits that are set. Appending and the root of the whole are then logarithmic, and whoever reads the log once
recomputes the root of every size on the way: that is a proof of inclusion of every entry and of consistency between
all sizes. For those who hold one entry and not the log there are paths (2.1.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass
class Frontier:
    """`peaks` are the roots of the perfect subtrees from left to right, the biggest first."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash. Two subtrees of one size become one, as in binary addition."""
        node, carry = leaf, self.size
        while carry & 1:
            node = node_hash(self.peaks.pop(), node)
            carry >>= 1
        self.peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """MTH of RFC 6962, 2.1; of the empty tree the digest of nothing."""
        if not self.peaks:
            return hashlib.sha256().digest()
        node = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            node = node_hash(left, node)
        return node

    @property
    def sound(self) -> bool:
        """As many peaks as a tree of this size has."""
        return len(self.peaks) == self.size.bit_count() and all(len(peak) == 32 for peak in self.peaks)


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1: the nodes that lead from a leaf to the root, the lowest first."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*inclusion_path(index, leaves[:half]), root(leaves[half:])]
    return [*inclusion_path(index - half, leaves[half:]), root(leaves[:half])]


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root to which a path leads (RFC 9162, 2.1.3.2); None where the path has not the length of such a tree's."""
    if not 0 <= index < size:
        return None
    node, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return node if last == 0 else None
