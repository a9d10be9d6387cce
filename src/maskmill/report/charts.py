"""Charts of the pages: places on an axis for marks that HTML draws, and curves as SVG text.

Colours are CSS variables of the page, so that a chart follows its light or dark look and prints;
every series also has a mark and a dash of its own, since colour alone tells a colour-blind reader
nothing. What is written is escaped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

STYLES = 12  # series that are told apart: 6 colours, full and dashed; then they begin again
_DASHES = ("", "5 3")
# disc, square, triangle, diamond, triangle upside down, cross
_MARKS = (
    "",
    "-2.8,-2.8 2.8,-2.8 2.8,2.8 -2.8,2.8",
    "0,-3.6 3.6,2.8 -3.6,2.8",
    "0,-4 4,0 0,4 -4,0",
    "0,3.6 3.6,-2.8 -3.6,-2.8",
    "-1.2,-4 1.2,-4 1.2,-1.2 4,-1.2 4,1.2 1.2,1.2 1.2,4 -1.2,4 -1.2,1.2 -4,1.2 -4,-1.2 -1.2,-1.2",
)
_WIDTH, _HEIGHT = 410, 250  # px of a curve's drawing; the page scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 42  # margins that hold the numbers


@dataclass(frozen=True)
class ChartAxis:
    """A stretch of numbers with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    digits: int  # behind the point of a tick

    def holds(self, value: float) -> bool:
        """Whether a number lies on the axis."""
        return self.low <= value <= self.high

    def at(self, value: float) -> float:
        """Percent of the way from `low` to `high`, kept inside."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def text(self, tick: float) -> str:
        """A tick as it is written."""
        return f"{tick:,.{self.digits}f}"


@dataclass(frozen=True)
class Series:
    """A line: its name, points, and the number of its style."""

    name: str
    x: Sequence[float]
    y: Sequence[float]  # NaN leaves a gap
    style: int


def choose_axis(
    values: Iterable[float], *, most: int = 5, include: Iterable[float] = ()
) -> ChartAxis:
    """The axis of all finite values and `include`, with about `most` steps at most.

    It goes from 0 to 1 where there are no values.
    """
    known = [float(v) for v in (*values, *include) if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if high - low < 1e-9:
        low, high = low - 0.05 * max(1.0, abs(low)), high + 0.05 * max(1.0, abs(high))
    step = _nice_step((high - low) / most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple(round(place * step, digits) + 0.0 for place in range(first, last + 1))
    return ChartAxis(ticks[0], ticks[-1], ticks, digits)


def line_chart(series: Sequence[Series], *, x: str, y: str, zero: bool = False) -> Markup:
    """Lines over a number, as SVG.

    `x` and `y` say what the axes are; `zero` lets the vertical axis begin at 0.
    """
    across = choose_axis((v for s in series for v in s.x), include=(0,))
    up = choose_axis((v for s in series for v in s.y), include=(0,) if zero else ())
    parts = [_axes_frame(across, up, x, y)]
    for one in series:
        points = [
            _place(across, up, a, b) for a, b in zip(one.x, one.y, strict=True) if math.isfinite(b)
        ]
        dash = _DASHES[one.style // 6 % 2]
        path = " ".join(f"{a},{b}" for a, b in points)
        parts.append(f'<g class="series s{one.style % 6}"><title>{escape(one.name)}</title>')
        parts.append(
            f'<polyline points="{path}" fill="none" stroke-width="1.8" stroke-dasharray="{dash}"/>'
        )
        parts += [_mark(a, b, one.style) for a, b in points]
        parts.append("</g>")
    names = ", ".join(one.name for one in series)
    return _svg(parts, f"{y} by {x}: {names}")


def column_chart(labels: Sequence[str], values: Sequence[float], *, x: str, y: str) -> Markup:
    """A column per label from 0 up, with its height in percent over it, as SVG.

    The values are in percent.
    """
    known = [v for v in values if math.isfinite(v)]
    up, wide = choose_axis(known, include=(0,)), (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    parts = [_axes_frame(None, up, x, y)]
    for place, (label, value) in enumerate(zip(labels, values, strict=True)):
        middle = round(_LEFT + (place + 0.5) * wide, 1)
        parts.append(_text(middle, _HEIGHT - _BOTTOM + 15, label, "middle"))
        if math.isfinite(value):
            top = _upright(up, value)
            left, bottom = round(middle - 0.36 * wide, 1), _HEIGHT - _BOTTOM
            parts.append(
                f'<rect class="column" x="{left}" y="{top}" width="{round(0.72 * wide, 1)}" '
                f'height="{round(bottom - top, 1)}"/>'
            )
            parts.append(_text(middle, top - 4, _percent(value), "middle"))
    said = ", ".join(
        f"{label} {_percent(value)}" for label, value in zip(labels, values, strict=True)
    )
    return _svg(parts, f"{y} by {x}: {said}")


def reliability_diagram(
    confidence: Sequence[float], right: Sequence[float], share: Sequence[float]
) -> Markup:
    """Accuracy over confidence, with the diagonal of a calibrated model.

    The area of a dot is its `share`.
    """
    whole = ChartAxis(0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), 1)
    parts = [
        _axes_frame(
            whole,
            whole,
            "confidence: the largest class probability",
            "share of these pixels that is right",
        )
    ]
    (a, b), (c, d) = _place(whole, whole, 0, 0), _place(whole, whole, 1, 1)
    parts.append(f'<line class="honest" x1="{a}" y1="{b}" x2="{c}" y2="{d}"/>')
    known = [
        t
        for t in zip(confidence, right, share, strict=True)
        if all(map(math.isfinite, t)) and t[2] > 0
    ]
    points = [_place(whole, whole, sure, hit) for sure, hit, _ in known]
    line = " ".join(f"{x},{y}" for x, y in points)
    parts.append(f'<g class="series s0"><polyline points="{line}" fill="none" stroke-width="1.8"/>')
    for (x, y), (sure, hit, part) in zip(points, known, strict=True):
        said = f"confidence {sure:.3f}, right {hit:.3f}, {100 * part:.1f} % of the pixels"
        parts.append(
            f'<circle cx="{x}" cy="{y}"'
            f' r="{round(2.5 + 9 * math.sqrt(part), 1)}"><title>{said}</title></circle>'
        )
    return _svg([*parts, "</g>"], "Reliability: share of right pixels by confidence")


def legend_mark(style: int) -> Markup:
    """The line and mark of a style, for a key."""
    dash = _DASHES[style // 6 % 2]
    line = f'<line x1="0" y1="6" x2="30" y2="6" stroke-width="1.8" stroke-dasharray="{dash}"/>'
    drawn = (
        '<svg class="swatch" viewBox="0 0 30 12" aria-hidden="true"><g class="series'
        f' s{style % 6}">{line}'
    )
    return Markup(drawn + _mark(15, 6, style) + "</g></svg>")  # noqa: S704 -- numbers alone


def _percent(value: float) -> str:
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %"


def _nice_step(rough: float) -> float:
    """The next of 1, 2 or 5 times a power of 10."""
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= rough * (1 - 1e-9))


def _place(across: ChartAxis, up: ChartAxis, x: float, y: float) -> tuple[float, float]:
    return round(_LEFT + across.at(x) / 100 * (_WIDTH - _LEFT - _RIGHT), 1), _upright(up, y)


def _upright(up: ChartAxis, value: float) -> float:
    return round(_HEIGHT - _BOTTOM - up.at(value) / 100 * (_HEIGHT - _TOP - _BOTTOM), 1)


def _axes_frame(across: ChartAxis | None, up: ChartAxis, x: str, y: str) -> str:
    """Grid, ticks and what the axes are; without `across` the caller labels it."""
    parts = []
    for tick in up.ticks:
        height = _upright(up, tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" y1="{height}" x2="{_WIDTH - _RIGHT}" y2="{height}"/>'
        )
        parts.append(_text(_LEFT - 6, height + 4, up.text(tick), "end"))
    if across:
        places = [(_place(across, up, tick, up.low)[0], across.text(tick)) for tick in across.ticks]
        parts += [_text(place, _HEIGHT - _BOTTOM + 15, text, "middle") for place, text in places]
    bottom = _HEIGHT - _BOTTOM
    parts.append(
        f'<line class="edge" x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - _RIGHT}" y2="{bottom}"/>'
    )
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, x, "middle", "name"))
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text class="name" transform="translate(12 {middle}) rotate(-90)"'
        f' text-anchor="middle">{escape(y)}</text>'
    )
    return "".join(parts)


def _mark(x: float, y: float, style: int) -> str:
    shape = _MARKS[style % len(_MARKS)]
    if not shape:
        return f'<circle cx="{x}" cy="{y}" r="3"/>'
    return f'<polygon points="{shape}" transform="translate({x} {y})"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return (
        f'<text class="{kind}" x="{round(x, 1)}" y="{round(y, 1)}"'
        f' text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(parts: Sequence[str], label: str) -> Markup:
    head = (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{escape(label)}">'
    )
    # every text in it has been escaped
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704
