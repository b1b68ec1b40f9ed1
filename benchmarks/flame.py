"""Where the time of the whole way goes: py-spy's samples of it as a flame graph, docs/performance-flame.svg.

    python -m benchmarks.flame --rows 200000

Great Expectations is imported in the profiled process too. Frames are Python's: what a line of ours spends in
Arrow, DuckDB or OpenSSL stands under that function; threads of theirs that run beside it do not. The picture is an SVG
without a script: a frame says its name and its share where it is wide enough, and when it is pointed at.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contest import OURS, Contender, Ground
from benchmarks.environments import ROOT, environment
from benchmarks.sources import sources

PICTURE = ROOT / "docs" / "performance-flame.svg"
WIDTH, HEIGHT, TOP = 1200, 17, 30
LEAST = 0.004
"""A frame with a smaller share of the samples is left out."""
_COLOURS = ("#e4a65a", "#e08d4d", "#d9b36c", "#e39a6b", "#d7a14a")
_OURS = ("#5aa9c9", "#4b98ba", "#6bb3cf")
_STARTING = "<frozen importlib"


@dataclass
class Frame:
    """A function and what it called: samples in it, those of its callees included."""

    name: str
    samples: int = 0
    called: dict[str, Frame] = field(default_factory=dict)


def folded(lines: Iterable[str]) -> Frame:
    """py-spy's raw form, `a (x.py);b (y.py) 17`, as one tree. What loads modules is one frame, whatever it loads."""
    root = Frame("all")
    for line in lines:
        stack, _, count = line.rpartition(" ")
        at, samples = root, int(count)
        at.samples += samples
        for name in _told(stack.split(";")):
            at = at.called.setdefault(name, Frame(name))
            at.samples += samples
    return root


def _told(stack: list[str]) -> Iterator[str]:
    for frame in stack:
        if _STARTING in frame:
            yield "import"
            return
        name = without_places(frame)
        if name and not name.startswith(("Thread.", "<module>", "_run_code", "_run_module")):
            yield name


def drawn(root: Frame, title: str) -> str:
    """The tree as an SVG: a row for each depth, the widest callee first."""
    rows: list[str] = []
    depth = _draw(root, 0.0, 0, root.samples / WIDTH, rows) if root.samples else 0
    height = TOP + depth * HEIGHT + 8
    style = "text{font:11px sans-serif;fill:#222}.t{font-size:15px}rect{stroke:#fff;stroke-width:.5}"
    box = f'viewBox="0 0 {WIDTH} {height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{escape(title)}">'
        f'<style>{style}</style><rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="8" y="20" class="t">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )


def _draw(frame: Frame, x: float, depth: int, scale: float, rows: list[str]) -> int:
    """Draw a frame and what it called; the number of rows."""
    width, share = frame.samples / scale, frame.samples / scale / WIDTH
    y = TOP + depth * HEIGHT
    ours = frame.name.rpartition("(")[2].startswith(("pipelines", "lake", "expectations", "schemas"))
    colours = _OURS if ours else _COLOURS
    told = escape(f"{frame.name}: {share:.1%}")
    rows.append(
        f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{HEIGHT}" '
        f'fill="{colours[len(frame.name) % len(colours)]}"/>{_label(frame.name, x, y, width)}</g>'
    )
    deepest = depth + 1
    for callee in sorted(frame.called.values(), key=lambda each: -each.samples):
        if callee.samples >= LEAST * scale * WIDTH:
            deepest = max(deepest, _draw(callee, x, depth + 1, scale, rows))
            x += callee.samples / scale
    return deepest


def _label(name: str, x: float, y: int, width: float) -> str:
    room = int(width / 6.2)
    if room < 4:
        return ""
    short = name if len(name) <= room else name[: room - 1] + "…"
    return f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(short)}</text>'


def flame(rows: int, picture: Path) -> None:
    """Profile one run of the whole way from PostgreSQL, 100 samples a second."""
    spy = environment("bench", "requirements.txt").parent / "py-spy"
    with (
        TemporaryDirectory(prefix="xuanwu-flame-") as scratch,
        sources(Path(scratch), rows, {"postgresql"}) as made,
    ):
        raw = Path(scratch) / "flame.raw"
        options = ["record", "--output", str(raw), "--format", "raw", "--rate", "100", "--function"]
        ours = Contender(OURS, "ours", sys.executable, "postgresql", {"way": "whole"})
        run, _ = Ground(Path(scratch), made).run(ours, 0, before=[str(spy), *options, "--"])
        if not raw.exists():
            raise SystemExit(run.error or "py-spy wrote nothing")
        title = (
            f"The whole way of {rows:,} residents: Python's threads at work (blue: Xuanwu's own functions)"
        )
        picture.write_text(drawn(folded(raw.read_text().splitlines()), title))


def without_places(text: str) -> str:
    """Paths from where the code is installed to nothing: the picture is committed."""
    text = re.sub(r"[^\s(&\"]*/site-packages/", "", text)
    text = re.sub(r"/[^\s]*xuanwu-flame-[^/]*/", "", text)
    return re.sub(r"[^\s(&\"]*/lib/python3\.\d+/", "", text).replace(f"{ROOT}/", "")


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
