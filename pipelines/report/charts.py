"""Charts as SVG text, drawn here so that the page needs no script and nothing from another host."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 170, 44, 26, 12, 44


def trend(labels: Sequence[str], shares: Sequence[float | None], quarantined: Sequence[int]) -> str:
    """Quality (line, left axis, per cent) and rows set aside (bars, right axis) over batches; all of one length."""
    if not labels:
        return ""
    step = (WIDTH - LEFT - RIGHT) / len(labels)
    xs = [LEFT + step * (index + 0.5) for index in range(len(labels))]
    low = min([share for share in shares if share is not None], default=1.0)
    floor = max(0.0, min(0.95, low - 0.01))
    top = max(max(quarantined, default=0), 1)
    parts = [
        *_grid(floor, top),
        *_bars(xs, quarantined, top, step),
        *_line(xs, shares, floor),
        *_labels(xs, labels),
    ]
    return (
        f'<svg class="trend" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="各批次质量与隔离行数 quality and rows set aside over batches">{"".join(parts)}</svg>'
    )


def _y(share: float, floor: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (share - floor) / (1 - floor))


def _grid(floor: float, top: int) -> list[str]:
    parts = []
    for fraction in (0.0, 0.5, 1.0):
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - fraction)
        share = floor + (1 - floor) * fraction
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.1%}</text>'
        )
        if fraction in (0, 1) or top > 1:
            count = f"{round(top * fraction):,}"
            parts.append(f'<text class="axis warm" x="{WIDTH - RIGHT + 6}" y="{y + 4:.1f}">{count}</text>')
    return parts


def _bars(xs: Sequence[float], counts: Sequence[int], top: int, step: float) -> list[str]:
    width = min(36.0, step * 0.5)
    parts = []
    for x, count in zip(xs, counts, strict=True):
        height = (HEIGHT - TOP - BOTTOM) * count / top
        parts.append(
            f'<rect class="bar" x="{x - width / 2:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"><title>隔离 set aside: {count:,}</title></rect>'
        )
    return parts


def _line(xs: Sequence[float], shares: Sequence[float | None], floor: float) -> list[str]:
    points = [(x, _y(share, floor), share) for x, share in zip(xs, shares, strict=True) if share is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dots = [
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{share:.3%}</title></circle>'
        for x, y, share in points
    ]
    return [f'<polyline class="line" points="{path}"/>', *dots]


def _labels(xs: Sequence[float], labels: Sequence[str]) -> list[str]:
    every = max(1, len(labels) // 8)
    return [
        f'<text class="axis" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
        for index, (x, label) in enumerate(zip(xs, labels, strict=True))
        if index % every == 0
    ]
