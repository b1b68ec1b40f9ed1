"""Where the time of the whole way goes: py-spy's flame graph of it, written to docs/performance-flame.svg.

Great Expectations is imported in the profiled process too. Frames are Python's: what a line of ours spends in
Arrow, DuckDB or OpenSSL stands under that line; threads of theirs that run beside it do not.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contest import OURS, Contender, Ground
from benchmarks.environments import ROOT, environment
from benchmarks.sources import sources

PICTURE = ROOT / "docs" / "performance-flame.svg"


def flame(rows: int, picture: Path) -> None:
    """Profile one run of the whole way from PostgreSQL, 100 samples a second."""
    spy = environment("bench", "requirements.txt").parent / "py-spy"
    with (
        TemporaryDirectory(prefix="xuanwu-flame-") as scratch,
        sources(Path(scratch), rows, {"postgresql"}) as made,
    ):
        raw = Path(scratch) / "flame.svg"
        options = ["record", "--output", str(raw), "--rate", "100", "--function"]
        ours = Contender(OURS, "ours", sys.executable, "postgresql", {"way": "whole"})
        run, _ = Ground(Path(scratch), made).run(ours, 0, before=[str(spy), *options, "--"])
        if not raw.exists():
            raise SystemExit(run.error or "py-spy wrote nothing")
        picture.write_text(without_places(raw.read_text()))


def without_places(svg: str) -> str:
    """Paths from where the code is installed to nothing: the picture is committed."""
    svg = re.sub(r"[^\s(&\"]*/site-packages/", "", svg)
    svg = re.sub(r"/[^\s]*xuanwu-flame-[^/]*/", "", svg)
    return re.sub(r"[^\s(&\"]*/lib/python3\.\d+/", "", svg).replace(f"{ROOT}/", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--to", type=Path, default=PICTURE)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that databases are dropped
    flame(options.rows, options.to)
    print(f"written: {options.to}")


if __name__ == "__main__":
    main()
