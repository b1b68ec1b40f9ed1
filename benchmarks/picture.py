"""The picture: a bar for each contender, group by group, as an SVG that needs nothing else."""

from __future__ import annotations

from html import escape
from itertools import groupby

from benchmarks.contest import FLOOR, OURS, RECEIVED
from benchmarks.results import Line

WIDTH, LEFT, RIGHT, BAR, GAP = 860, 190, 250, 16, 6
COLOURS = {RECEIVED: "#b5bcc5", FLOOR: "#8a94a0", OURS: "#0b6e99"}
PEER = "#c98a3d"


def picture(table: list[Line], title: str) -> str:
    """Seconds of the whole process; the pale part is starting and importing."""
    body: list[str] = []
    y = 54
    for group, members in groupby(table, key=lambda line: line.group):
        each = list(members)
        longest = max(line.seconds for line in each)
        body.append(f'<text x="16" y="{y}" class="g">{escape(group)}</text>')
        y += 10
        for line in each:
            body += _bar(line, y, (WIDTH - LEFT - RIGHT) / longest)
            y += BAR + GAP
        y += 26
    style = "text{font:13px sans-serif;fill:#222}.g{font-weight:bold}.t{font-size:16px}.s{fill:#555;font-size:12px}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{escape(title)}">'
        f'<style>{style}</style><rect width="{WIDTH}" height="{y}" fill="#fff"/>'
        f'<text x="16" y="26" class="t">{escape(title)}</text>{"".join(body)}</svg>\n'
    )


def _bar(line: Line, y: int, scale: float) -> list[str]:
    colour = COLOURS.get(line.contender, PEER)
    start, whole = min(line.starting, line.seconds) * scale, line.seconds * scale
    told = f"{line.seconds:.1f} s, {line.peak / 1e6:,.0f} MB"
    if line.to_ours is not None and line.contender != OURS:
        told += f", {line.to_ours:.2f} × {OURS}"
    return [
        f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(line.contender)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{start:.1f}" height="{BAR}" fill="{colour}" opacity="0.4"/>',
        f'<rect x="{LEFT + start:.1f}" y="{y}" width="{whole - start:.1f}" height="{BAR}" fill="{colour}"/>',
        f'<text x="{LEFT + whole + 6:.1f}" y="{y + 13}" class="s">{escape(told)}</text>',
    ]
