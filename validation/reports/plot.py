"""Trends as small line plots: inline SVG that a page's style sheet colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360, 150
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 24
LEAST_SPREAD = 0.02


@dataclass(frozen=True)
class Point:
    """One run: when, and what was measured; None leaves a gap."""

    when: str
    value: float | None


def line(title: str, points: Sequence[Point], unit: str, *, least: float | None = None) -> str:
    """A figure with a caption; ``least`` and ``100`` bound a percentage's axis."""
    known = [point.value for point in points if point.value is not None]
    if len(known) < 2:
        return ""
    low, high = _bounds(known, percent=unit == "%", least=least)
    places = [_place(points, index, low, high) for index in range(len(points))]
    told = f"{title}: {_text(known[0], unit)} in the first of {len(known)} runs, "
    told += f"{_text(known[-1], unit)} in the last; lowest {_text(min(known), unit)}, "
    told += f"highest {_text(max(known), unit)}."
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">',
        *_grid(low, high, unit),
        *_dates(points),
        *(f'<polyline class="trend" points="{run}"/>' for run in _segments(places)),
        *(_dot(point, place, unit) for point, place in zip(points, places, strict=True) if place),
        "</svg>",
    ]
    last = f"<b>{escape(_text(known[-1], unit))}</b>"
    caption = f"<figcaption><span>{escape(title)}</span> {last}</figcaption>"
    return f"<figure>{caption}{''.join(parts)}</figure>"


def _bounds(known: Sequence[float], *, percent: bool, least: float | None) -> tuple[float, float]:
    """The axis: what was measured with some room, percentages up to 100."""
    low, high = min(known), max(known)
    if least is not None:
        low = min(low, least)
    room = max(0.15 * (high - low), LEAST_SPREAD * abs(high), 1e-12)
    if percent:
        return max(0.0, low - max(room, 1.0)), 100.0
    return max(0.0, low - room), high + room


def _place(
    points: Sequence[Point], index: int, low: float, high: float
) -> tuple[float, float] | None:
    value = points[index].value
    if value is None:
        return None
    x = LEFT + (WIDTH - LEFT - RIGHT) * index / max(1, len(points) - 1)
    return round(x, 1), _height(value, low, high)


def _height(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low)
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)


def _grid(low: float, high: float, unit: str) -> list[str]:
    parts = []
    for value in (low, (low + high) / 2, high):
        y = _height(value, low, high)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        told = _text(value, unit)
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{told}</text>')
    return parts


def _dates(points: Sequence[Point]) -> list[str]:
    first, last = (escape(point.when[5:16].replace("T", " ")) for point in (points[0], points[-1]))
    y = HEIGHT - 6
    return [
        f'<text x="{LEFT}" y="{y}">{first}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">{last}</text>',
    ]


def _segments(places: Sequence[tuple[float, float] | None]) -> list[str]:
    """The unbroken stretches of at least two points."""
    runs: list[list[str]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(f"{place[0]},{place[1]}")
    return [" ".join(run) for run in runs if len(run) > 1]


def _dot(point: Point, place: tuple[float, float], unit: str) -> str:
    told = escape(f"{point.when}: {_text(point.value or 0.0, unit)}")
    x, y = place
    return f'<circle class="dot" cx="{x}" cy="{y}" r="3"><title>{told}</title></circle>'


def _text(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.1f} %" if value < 100 else "100 %"
    if unit != "s":
        return f"{value:.4g} {unit}"
    for size, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value / 1e-9:.3g} ns"
