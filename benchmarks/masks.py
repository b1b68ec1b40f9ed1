"""HMAC-SM3 tokens beside a Python loop over the values: `python -m benchmarks.masks`.

The loop is the shortest that Python's own library has, `hmac.digest(key, value, "sm3")`, which is OpenSSL, once for
each row. Both in one process, by turns, the best processor time of several; batches as publication reads them.
"""

from __future__ import annotations

import argparse
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from benchmarks.environments import ROOT
from benchmarks.kept import keep
from pipelines.keys import Key
from pipelines.masks.tokens import Tokens
from schemas.model import Hmac

BATCH_ROWS = 32 * 1024
DOMAIN = "share/benchmark"
DISTINCT, REPEATED = "every value another one", "a hundred rows to a value"


def values(rows: int, distinct: int) -> list[str]:
    """Texts of eighteen digits, in an order in which equal ones lie apart."""
    return [f"3201{number % distinct:014}" for number in range(rows)]


def ours(texts: list[pa.Array], key: Key) -> list[str]:
    """Tokens as a publication makes them, batch after batch."""
    tokens, mask = Tokens(key, DOMAIN), Hmac(kind="hmac", hash="sm3")
    return [token for batch in texts for token in tokens.of(batch, mask).to_pylist()]


def loop(texts: list[str], key: bytes) -> list[str]:
    return [hmac.digest(key, text.encode(), "sm3")[:16].hex() for text in texts]


def _spent(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measured(what: str, texts: list[str], turns: int) -> dict[str, Any]:
    """Processor seconds of both. AssertionError if the tokens are not the same."""
    key = Key("1", secrets.token_bytes(32))
    derived = key.derive(f"token/{DOMAIN}", "sm3")
    batches = [pa.array(texts[at : at + BATCH_ROWS]) for at in range(0, len(texts), BATCH_ROWS)]
    assert ours(batches[:1], key) == loop(texts[:BATCH_ROWS], derived)

    def tokens() -> None:
        made, mask = Tokens(key, DOMAIN), Hmac(kind="hmac", hash="sm3")
        for batch in batches:
            made.of(batch, mask)

    spent = [(_spent(tokens), _spent(lambda: loop(texts, derived))) for _ in range(turns)]
    mine, peer = (min(each) for each in zip(*spent, strict=True))
    return {"what": what, "rows": len(texts), "distinct": len(set(texts)), "ours": mine, "loop": peer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    cases = {DISTINCT: options.rows, REPEATED: options.rows // 100}
    took = [measured(what, values(options.rows, distinct), options.turns) for what, distinct in cases.items()]
    for each in took:
        print(
            f"{each['what']}: {each['ours']:.2f} s, loop {each['loop']:.2f} s: {each['loop'] / each['ours']:.1f} ×"
        )
    print(f"written: {keep('masks', {'took': took}).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
