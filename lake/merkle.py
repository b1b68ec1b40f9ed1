"""The Merkle tree of RFC 6962, section 2.1: SHA-256, leaves under 0x00, nodes under 0x01.

A log that only grows needs of its tree no more than the roots of its perfect subtrees, the frontier: as many as the
size has bits that are set. Appending and the root of the whole are then logarithmic, and whoever reads the log once
recomputes the root of every size on the way: that is a proof of inclusion of every entry and of consistency between
all sizes.
"""

from __future__ import annotations

import hashlib
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

    def copy(self) -> Frontier:
        return Frontier(self.size, list(self.peaks))

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
