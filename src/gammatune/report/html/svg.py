"""Pictures as SVG text, made by us: axes, lines, points, bands, bars. No library, no script.

All are 360 units wide, so that what is 12 units high is legible on a telephone; on a wide screen they stand side by
side. A series is told apart by its dash and its mark as well as by its colour. Colours are classes of the style
sheet (Okabe and Ito's eight, which people who do not see red and green tell apart), so that a dark page has its own.
Text is escaped here and nowhere else.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TypeAlias

WIDTH = 360.0
LEFT, RIGHT = 46.0, WIDTH - 14  # where axes begin and end
FEW = 60  # nodes of a line that are still marked one by one
KINDS = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")  # series: each with a colour and a dash of its own
MARKS = ("dot", "square", "triangle", "diamond", "ring", "plus", "cross", "dot")
Point: TypeAlias = tuple[float, float]
FAR = 1e5  # units: what lies further outside a picture is drawn there


def number(value: float) -> str:
    """Three significant digits, '1e-6' and '12,300' as people write them."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "not a number"
    if value == 0:
        return "0"
    size = abs(value)
    if 1000 <= size < 1e6:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text


def tick(value: float) -> str:
    """As `number`, in no more than seven characters."""
    if abs(value) < 1e5:
        return number(value)
    mantissa, exponent = f"{value:.3g}".split("e") if abs(value) >= 1e6 else f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to units of the picture. low < high; with log both above 0."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    @classmethod
    def over(
        cls, values: Iterable[float], start: float, stop: float, *, log: bool = False, margin: float = 0.05
    ) -> "Axis":
        """An axis that holds all the finite values (above 0 with log), with a margin in shares of it."""
        held = [v for v in values if math.isfinite(v) and abs(v) < 1e300 and (v > 0 or not log)]
        if not held:
            held = [1.0]
        if log:
            low, high = math.log10(min(held)), math.log10(max(held))
            if high - low < 0.3:
                low, high = low - 0.3, high + 0.3
            extra = margin * (high - low)
            return cls(10 ** (low - extra), 10 ** (high + extra), start, stop, True)
        low, high = min(held), max(held)
        if high - low < 1e-9 * max(abs(low), abs(high), 1e-300):
            low, high = low - (abs(low) or 1.0) * 0.1, high + (abs(high) or 1.0) * 0.1
        extra = margin * (high - low)
        return cls(low - extra, high + extra, start, stop)

    def __call__(self, value: float) -> float:
        if self.log:
            value = max(value, 1e-300)
            share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        at = self.start + share * (self.stop - self.start)
        return min(max(at, -FAR), FAR) if math.isfinite(at) else -FAR

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers along it, about `count` of them."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            decades = [10.0**e for e in range(first, last + 1)]
            if len(decades) >= 3:
                return decades[:: max(1, math.ceil(len(decades) / (count + 1)))]
            for steps in ((1, 2, 5), (1, 3), (1,)):
                fine = [m * 10.0**e for e in range(first - 1, last + 1) for m in steps]
                fine = [t for t in fine if self.low <= t <= self.high]
                if len(fine) <= count + 1:
                    break
            return fine
        span = self.high - self.low
        raw = span / count
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [0.0 if i == 0 else round(i * step, 12) for i in range(first, last + 1)]


@dataclass(slots=True)
class Picture:
    """An SVG being drawn. title, words: read out by a screen reader in the place of the picture."""

    title: str
    words: str
    height: float = 230.0
    parts: list[str] = field(default_factory=list)
    name: str = "picture"  # unique on a page: by it title and words are found

    def svg(self) -> str:
        a, b = f"{self.name}-t", f"{self.name}-d"
        return (
            f'<svg viewBox="0 0 {WIDTH:g} {self.height:g}" role="img" aria-labelledby="{a} {b}">'
            f'<title id="{a}">{escape(self.title)}</title><desc id="{b}">{escape(self.words)}</desc>'
            + "".join(self.parts)
            + "</svg>"
        )

    # -- marks

    def line(self, points: Sequence[Point], kind: str, tip: str = "") -> None:
        """kind: classes of the style sheet."""
        if len(points) == 1:
            points = [points[0], (points[0][0] + 0.01, points[0][1])]
        if points:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            self.parts.append(f'<path class="line {kind}" d="{path}"{_tip(tip)}/>')

    def lines(self, pieces: Iterable[Sequence[Point]], kind: str) -> None:
        """Many short lines as one, for pictures of thousands."""
        path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece) for piece in pieces if piece)
        if path:
            self.parts.append(f'<path class="line {kind}" d="{path}"/>')

    def area(self, upper: Sequence[Point], lower: Sequence[Point], kind: str) -> None:
        around = [*upper, *reversed(lower)]
        if around:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in around) + "Z"
            self.parts.append(f'<path class="area {kind}" d="{path}"/>')

    def mark(self, at: Point, shape: str, kind: str, tip: str = "", size: float = 3.5) -> None:
        """shape: dot, ring, cross, square, triangle, diamond, plus."""
        x, y = at
        if shape in ("dot", "ring"):
            self.parts.append(
                f'<circle class="{shape} {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"{_tip(tip)}/>'
            )
            return
        s = size
        paths = {
            "cross": f"M{x - s:.1f} {y - s:.1f}l{2 * s:g} {2 * s:g}m{-2 * s:g} 0l{2 * s:g} {-2 * s:g}",
            "plus": f"M{x - s:.1f} {y:.1f}H{x + s:.1f}M{x:.1f} {y - s:.1f}V{y + s:.1f}",
            "square": f"M{x - s:.1f} {y - s:.1f}h{2 * s:g}v{2 * s:g}h{-2 * s:g}Z",
            "triangle": f"M{x:.1f} {y + s:.1f}L{x - s:.1f} {y - s:.1f}H{x + s:.1f}Z",
            "diamond": f"M{x:.1f} {y - s:.1f}L{x + s:.1f} {y:.1f}L{x:.1f} {y + s:.1f}L{x - s:.1f} {y:.1f}Z",
        }
        drawn = "stroke" if shape in ("cross", "plus") else "solid"
        self.parts.append(f'<path class="{drawn} {kind}" d="{paths[shape]}"{_tip(tip)}/>')

    def bar(self, x: float, y: float, width: float, height: float, kind: str, tip: str = "") -> None:
        self.parts.append(
            f'<rect class="bar {kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
            f'height="{max(height, 0):.1f}"{_tip(tip)}/>'
        )

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    # -- axes

    def across(
        self, axis: Axis, y: float, words: str = "", *, count: int = 5, top: float | None = None
    ) -> None:
        """The horizontal axis at y; top: how far up its grid goes."""
        for at in axis.ticks(count):
            x = axis(at)
            if top is not None:
                self.parts.append(f'<path class="grid" d="M{x:.1f} {top:g}V{y:g}"/>')
            self.text(x, y + 15, tick(at), "tick", "middle")
        self.parts.append(f'<path class="axis" d="M{axis.start:g} {y:g}H{axis.stop:g}"/>')
        if words:
            self.text((axis.start + axis.stop) / 2, y + 31, words, "name", "middle")

    def up(
        self, axis: Axis, x: float, words: str = "", *, count: int = 4, right: float | None = None
    ) -> None:
        """The vertical axis at x; right: how far its grid goes. words stand above it."""
        for at in axis.ticks(count):
            y = axis(at)
            if right is not None:
                self.parts.append(f'<path class="grid" d="M{x:g} {y:.1f}H{right:g}"/>')
            self.text(x - 5, y + 4, tick(at), "tick", "end")
        self.parts.append(f'<path class="axis" d="M{x:g} {axis.start:g}V{axis.stop:g}"/>')
        if words:
            self.text(4, min(axis.start, axis.stop) - 8, words, "name")


def _tip(words: str) -> str:
    return f' data-tip="{escape(words)}"' if words else ""


def clipped(points: Sequence[Point], top: float, bottom: float) -> list[Point]:
    """The points, no higher than `top` and no lower than `bottom` (top < bottom)."""
    return [(x, min(max(y, top), bottom)) for x, y in points]
