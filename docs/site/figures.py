"""The two drawings of the first page, from a real run: `python docs/site/figures.py` trains on the digits that ship
with scikit-learn, as `make demo` does, and writes _static/run-tries.svg and _static/run-course.svg.

Colours and fonts come from the page (site.css), so that both follow its light and dark side.
"""

import math
import tempfile
from pathlib import Path

from gammatune.cli.app import app
from gammatune.journal.history import Story, replay

STATIC = Path(__file__).resolve().parent / "_static"
WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 428, 34, 250
TICKS = 7  # at most, on the axis of the rate
STEPS = [digit * 10.0**power for power in range(-7, 2) for digit in (1, 2, 5)]  # between them


class Axes:
    """A frame with its two scales. x, y: (lowest, highest); log: x on a logarithmic scale."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], *, log: bool = False) -> None:
        self._x, self._y, self._log = x, y, log
        self.parts: list[str] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        low, high = map(math.log, self._x) if self._log else self._x
        across = ((math.log(x) if self._log else x) - low) / (high - low)
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        return round(LEFT + across * (RIGHT - LEFT), 1), round(BOTTOM - up * (BOTTOM - TOP), 1)

    def add(self, part: str) -> None:
        self.parts.append(part)

    def text(self, x: float, y: float, words: str, anchor: str = "middle", size: int = 14) -> None:
        self.add(f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{words}</text>')

    def frame(self, x_ticks: dict[float, str], y_ticks: dict[float, str], x_words: str, y_words: str) -> None:
        for value, words in y_ticks.items():
            _, y = self.at(self._x[0], value)
            self.add(f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{RIGHT}" y2="{y}"/>')
            self.text(LEFT - 8, y + 5, words, "end")
        for value, words in x_ticks.items():
            self.text(self.at(value, self._y[0])[0], BOTTOM + 20, words)
        self.text((LEFT + RIGHT) / 2, HEIGHT - 10, x_words, size=15)
        self.text(LEFT - 48, TOP - 16, y_words, "start", size=15)

    def line(self, points: list[tuple[float, float]], kind: str) -> None:
        path = " ".join(f"{x},{y}" for x, y in (self.at(*point) for point in points))
        self.add(f'<polyline class="{kind}" points="{path}"/>')

    def dot(self, x: float, y: float, kind: str, radius: float = 5.5) -> None:
        cx, cy = self.at(x, y)
        self.add(f'<circle class="{kind}" cx="{cx}" cy="{cy}" r="{radius}"/>')

    def svg(self, title: str) -> str:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        return "\n".join([head, f"<title>{title}</title>", *self.parts, "</svg>", ""])


def tries(story: Story) -> str:
    """Learning rate against score: the scouts, where there were any, the looks, what was chosen."""
    seen = [o for o in story.rollouts if o.role in ("scout", "miniature") and o.score is not None]
    chosen = float(story.course[0].values["lr"])
    axes = Axes((3e-4, 1.0), (-6.0, 8.0), log=True)
    axes.frame(
        {0.001: "0.001", 0.01: "0.01", 0.1: "0.1", 1.0: "1"},
        {y: f"{y:g}".replace("-", "−") for y in (-6.0, -3.0, 0.0, 3.0, 6.0)},
        "learning rate tried",
        "score",
    )
    (x, low), (_, high) = axes.at(chosen, -6.0), axes.at(chosen, 8.0)
    axes.add(f'<line class="chosen" x1="{x}" y1="{low}" x2="{x}" y2="{high}"/>')
    axes.text(x + 8, high + 14, f"chosen: {chosen:.3g}", "start")
    for outcome in seen:
        axes.dot(float(outcome.values["lr"]), float(outcome.score or 0.0), outcome.role)
    kinds = [("scout", "scouts"), ("miniature", "looks")]
    roles = {outcome.role for outcome in seen}
    for place, (kind, words) in enumerate(one for one in kinds if one[0] in roles):
        y = TOP + 14 + 22 * place
        axes.add(f'<circle class="{kind}" cx="{LEFT + 14}" cy="{y}" r="5.5"/>')
        axes.text(LEFT + 28, y + 5, words, "start")
    return axes.svg(f"Each short trial by its learning rate and score; {chosen:.3g} was chosen")


def course(story: Story) -> str:
    """The learning rate along the training, with the accuracy on the examples selected by."""
    schedule = story.schedule
    epochs = len(schedule)
    rates = [(x / 20, schedule.lr_at(x / 20)) for x in range(20 * epochs + 1)]
    highest = max(rate for _, rate in rates)
    step = next(s for s in STEPS if highest <= s * TICKS)
    ticks = [step * n for n in range(math.ceil(highest / step) + 1)]
    top = ticks[-1]
    axes = Axes((0.0, epochs), (0.0, top))
    axes.frame(
        {float(x): str(x) for x in range(0, epochs + 1, 5)},
        {y: f"{y:g}" for y in ticks},
        "epoch",
        "learning rate",
    )
    axes.line(rates, "line")
    accuracy = [(n + 1.0, top * outcome.metrics["accuracy"]) for n, outcome in enumerate(story.course)]
    axes.line(accuracy, "other")
    axes.text(RIGHT, TOP + 24, "accuracy (0 to 1 on this height)", "end")
    assert story.report is not None
    return axes.svg(
        f"The learning rate rises for an epoch and falls to zero; accuracy at the end {story.report['accuracy']:.3f}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as where:
        run = str(Path(where) / "run")
        app(["train", "digits", "--run-dir", run, "--quiet"], standalone_mode=False)
        story = replay(run)
    (STATIC / "run-tries.svg").write_text(tries(story))
    (STATIC / "run-course.svg").write_text(course(story))


if __name__ == "__main__":
    main()
