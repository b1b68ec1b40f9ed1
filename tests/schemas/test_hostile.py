"""Whatever stands in a file, the check gives problems with lines, never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

from schemas.load import check_catalogue
from tests.conftest import write_catalogue
from tests.schemas.conftest import CITY

SCRAPS = (
    *(
        b"\t",
        b"[",
        b"{",
        b"}",
        b"null",
        b"- x",
        b'"',
        b"'",
        b"\x00",
        b"\xff",
        b"&a",
        b"*a",
        b"!!x",
        b": ",
        b"\n",
        b"#",
    ),
    *(
        b"|",
        b"1",
        b"true",
        b"{kind: x}",
        b"[[1]]",
        b"? a",
        b".inf",
        b".nan",
        b"1e999",
        b"9" * 400,
        b'"\\0"',
        b"<<: ",
    ),
    *(b'"\\uD800"', b"{}", b"[]", b"{kind: {a: b}}", b"2026-99-99"),
)


def spoilt(raw: bytes, rng: random.Random) -> bytes:
    """A scrap put in anywhere, or a key given a scrap for its value, or some bytes cut out."""
    place, how = rng.randrange(len(raw)), rng.random()
    if how < 0.4:
        return raw[:place] + rng.choice(SCRAPS) + raw[place:]
    if how < 0.8:
        lines = raw.split(b"\n")
        number = rng.randrange(len(lines))
        lines[number] = lines[number].partition(b":")[0] + b": " + rng.choice(SCRAPS)
        return b"\n".join(lines)
    return raw[:place] + raw[place + rng.randint(1, 8) :]


def test_spoilt_files_never_end_in_a_traceback(tmp_path: Path) -> None:
    rng = random.Random(809)
    root = write_catalogue(tmp_path, CITY)
    found = 0
    for _ in range(150):
        file = rng.choice(list(CITY))
        raw = CITY[file].encode()
        for _ in range(rng.randint(1, 3)):
            raw = spoilt(raw, rng)
        (root / file).write_bytes(raw)
        problems = check_catalogue(root)
        assert all(problem.line >= 1 and problem.message for problem in problems)
        found += bool(problems)
        (root / file).write_text(CITY[file], encoding="utf-8")
    assert found > 90


def test_a_kind_that_is_a_list(tmp_path: Path) -> None:
    root = write_catalogue(
        tmp_path, CITY | {"theme/couples.yaml": CITY["theme/couples.yaml"].replace("lake", "[[1]]")}
    )
    assert [(p.line, p.key, p.message) for p in check_catalogue(root)] == [
        (7, "source.kind", "is of the wrong kind")
    ]
