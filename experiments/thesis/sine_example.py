"""The thesis's sine example: its function, a search on it step by step, and what figures 12 and 13 draw of it.

    f(x) = -sin(3x) - x^2 + 0.7 x  on [-1, 2],  observed with normal noise of standard deviation 0.2,
    first evaluations at x = -0.9 and 1.1, then 10 iterations: 12 evaluations, followed here to 14.

The function, the noise and the first samples are those of Martin Krasser's blog, which the thesis follows (its
section 3.3). The blog tells its Gaussian process the noise, the thesis does not say; "gaussian" has to find it, and
"gaussian, noise known" is told. The thesis's draws are lost; here evaluation i of a seed gets the same draw under
every search. Shown is seed 0, which was not chosen by how it looks; counted are many seeds.

Words:

    recommended   the point a user would go on with: of a Bayesian search the evaluated point of the best posterior
                  mean, of grid and random the best observed
    close         f at a point is within 0.02 of the top: 4 % of the range
    evaluations   until the recommended point is close; never within 14 counts as 15
    visit         evaluations until any evaluated point is close, known to be so or not: a second reading of the
                  thesis's counts, kinder to every search [reading]

experiments/sine.py measures the same searches with intervals, and lines for grids that are given a posterior mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pictures import COLOURS, figure
from reproduction import Asked, Report, cells_of
from scipy.optimize import minimize
from verdicts import ALPHA, UNTOLD, Claim, Verdict, judged, paired

from gammatune.records import Observation, Values
from gammatune.samplers import Sampler, make_sampler
from gammatune.samplers.bayes import Bayes, Surrogate, dataset, expected_improvement
from gammatune.seeds import stream
from gammatune.space import Float, Space
from gammatune.surrogate.acquisition import THESIS_XI
from gammatune.surrogate.dataset import Dataset
from gammatune.surrogate.gamma import GammaProcess
from gammatune.surrogate.gp import GP, LENGTHSCALES, STARTS, fit

LOW, HIGH = -1.0, 2.0
SPACE = Space({"x": Float(LOW, HIGH)})
FIRST = ({"x": -0.9}, {"x": 1.1})
NOISE = 0.2
CLOSE = 0.02
THESIS = 12  # evaluations: 2 first samples and 10 iterations
CAP = 14

BAYES = ("gaussian", "gaussian-quadrature", "gamma-plugin-a", "gamma-plugin-b", "gamma")
KNOWN = "gaussian, noise known"
SEARCHES = ("grid 12", "grid 10", "grid 10 shifted", "random", KNOWN, *BAYES)
SHOWN_SEED = 0


def f(x: float) -> float:
    return float(-np.sin(3 * x) - x**2 + 0.7 * x)


TOP_X = float(max(np.linspace(LOW, HIGH, 300_001), key=f))  # -0.3594
TOP = f(TOP_X)  # 0.5003


# One search -----------------------------------------------------------------------------------------------


class Scripted:
    """Proposes what it was given, in that order; recommends the best observed."""

    def __init__(self, points: list[Values]) -> None:
        self._points, self._told = points, list[Observation]()

    def ask(self) -> Values | None:
        return self._points.pop(0) if self._points else None

    def tell(self, observation: Observation) -> None:
        self._told.append(observation)

    def recommend(self) -> Values | None:
        return max(self._told, key=lambda seen: -np.inf if seen.score is None else seen.score).values


def fit_with_known_noise(data: Dataset) -> GP:
    """The GP of highest evidence over width and signal variance, told the noise, as the blog's is.

    Starts and box are those of `gammatune.surrogate.gp.fit`, which has to find the noise as well.
    """
    noise = (NOISE / data.spread) ** 2  # in units of the standardised score

    def gp(logs: np.ndarray) -> GP:
        variance = float(np.exp(logs[1]))
        return GP(data, np.exp(logs[:1]), variance, noise / variance)

    box = [tuple(np.log(LENGTHSCALES)), (-5.0, 5.0)]
    tops = [
        minimize(lambda logs: -gp(logs).log_evidence, [np.log(width), 0.0], bounds=box, method="L-BFGS-B")
        for width in STARTS
    ]
    return gp(min(tops, key=lambda top: float(top.fun)).x)


def _sampler(name: str, rng: np.random.Generator, arguments: Mapping[str, Any]) -> Sampler:
    if name in BAYES:
        return make_sampler(name, SPACE, rng, initial=FIRST, **arguments)
    if name == KNOWN:
        return Bayes(SPACE, rng, fit_with_known_noise, expected_improvement(THESIS_XI), FIRST)
    if name == "grid 10 shifted":
        start = rng.random()
        return Scripted([{"x": LOW + (HIGH - LOW) * (int(i) + start) / 10} for i in rng.permutation(10)])
    if name.startswith("grid"):
        return make_sampler("grid", SPACE, rng, points=int(name.split()[1]))
    return make_sampler(name, SPACE, rng)


def play(name: str, seed: int, evaluations: int = CAP, **arguments: Any) -> list[dict[str, float | None]]:
    """A search, evaluation by evaluation: x, score (None both where a grid is used up), recommended.

    name: of SEARCHES. Grid and random evaluate the two first samples as well. arguments: of a Bayesian sampler.
    """
    rng, noise = stream(seed, "sine", name), stream(seed, "sine", "noise").normal(0.0, NOISE, evaluations)
    sampler = _sampler(name, rng, arguments)
    steps: list[dict[str, float | None]] = []
    for i in range(evaluations):
        values = FIRST[i] if name not in (*BAYES, KNOWN) and i < len(FIRST) else sampler.ask()
        x = score = None
        if values is not None:  # a grid that is used up stays with what it has
            x = float(values["x"])
            score = f(x) + float(noise[i])
            sampler.tell(Observation(values, score))
        best = sampler.recommend()
        assert best is not None
        steps.append({"x": x, "score": score, "recommended": float(best["x"])})
    return steps


Steps = Sequence[Mapping[str, Any]]


def told(steps: Steps) -> list[Observation]:
    return [Observation({"x": step["x"]}, step["score"]) for step in steps if step["x"] is not None]


def regret(steps: Steps) -> list[float]:
    """How far f at the recommended point lies below the top, after each evaluation; free of noise."""
    return [TOP - f(step["recommended"]) for step in steps]


def evaluations(steps: Steps) -> int:
    """Until the recommended point is close; one more than there are where it never is."""
    return _first(distance <= CLOSE for distance in regret(steps))


def visit(steps: Steps) -> int:
    """Until any evaluated point is close."""
    return _first(step["x"] is not None and TOP - f(step["x"]) <= CLOSE for step in steps)


def _first(true: Iterable[bool]) -> int:
    each = list(true)
    return each.index(True) + 1 if True in each else len(each) + 1


# Many seeds -----------------------------------------------------------------------------------------------


def seeds(options: Asked) -> int:
    """Three in a smoke run; 30 at least else: one run of this example says nothing."""
    return int(options.pick(smoke=3, small=max(30, options.seeds), full=max(100, options.seeds)))


def played(options: Asked, name: str, **arguments: Any) -> list[list[dict[str, Any]]]:
    """The search under each seed; kept, because figures 4, 11, 12 and 13 count the same ones."""
    cells = cells_of(options, "sine")
    return [
        cells.get(
            {"search": name, "seed": seed, "evaluations": CAP, **arguments},
            lambda seed=seed: play(name, seed, **arguments),
        )
        for seed in range(seeds(options))
    ]


def all_played(options: Asked) -> dict[str, list[list[dict[str, Any]]]]:
    return {name: played(options, name) for name in SEARCHES}


COLUMNS = [
    "search", "evaluations to within 0.02 (thesis)", "median", "never in 14", "visit", "regret at 6", "regret at 12",
    "less the Gaussian's", "less Gamma's",
]  # fmt: skip
PRINTED = {"gaussian": "8-9", KNOWN: "8-9", "gamma": "5-6", "gamma-plugin-a": "5-6", "gamma-plugin-b": "5-6"}


def table(report: Report, runs: Mapping[str, list[list[dict[str, Any]]]]) -> None:
    """Rows and numbers of the report, one search each, compared with the Gaussian search and with Gamma."""
    times = {name: [evaluations(steps) for steps in run] for name, run in runs.items()}
    report.columns = COLUMNS
    for name, run in runs.items():
        after = [np.mean([regret(steps)[i - 1] for steps in run]) for i in (6, THESIS)]
        visits = [visit(steps) for steps in run]
        never = sum(time > CAP for time in times[name])
        printed = f" ({PRINTED[name]})" if name in PRINTED else ""
        spread = f" ± {np.std(times[name], ddof=1):.1f}" if len(run) > 1 else ""
        against = {
            other: "" if name == other else _short(times[name], times[other])
            for other in ("gaussian", "gamma")
        }
        report.rows.append([
            name, f"{np.mean(times[name]):.1f}{spread}{printed}", f"{np.median(times[name]):g}",
            f"{never} of {len(run)}", f"{np.mean(visits):.1f}", f"{after[0]:.2f}", f"{after[1]:.2f}",
            against["gaussian"], against["gamma"],
        ])  # fmt: skip
        report.numbers[name] = {
            "evaluations": times[name],
            "visit": visits,
            "regret": [round(float(r), 4) for r in np.mean([regret(steps) for steps in run], axis=0)],
        }


def _short(one: Sequence[float], other: Sequence[float]) -> str:
    test = paired(one, other)
    return f"{test.difference:+.1f}, p {test.p:.2g}, effect {test.effect:+.2f}"


def needs(text: str, times: Sequence[float], low: float, high: float) -> Claim:
    """The verdict on 'it needs low to high evaluations': the mean lies between, or a test says that it does not.

    The test is a signed-rank test against the nearer end. A search that never gets there counts as 15, so that
    its mean is rather too small.
    """
    mean = float(np.mean(times))
    end = high if mean > high else low
    test = paired(times, [end] * len(times))
    verdict: Verdict = "does not hold" if test.p < ALPHA else UNTOLD
    if low <= mean <= high:
        verdict = "holds"
    words = f"mean {mean:.1f}, median {np.median(times):g}; against {end:g}: {test}"
    return Claim(text, verdict, words, test.told("evaluation"))


def fewer(text: str, one: Sequence[float], other: Sequence[float]) -> Claim:
    return judged(text, paired(one, other), better="less", unit="evaluation")


# Pictures -------------------------------------------------------------------------------------------------

LABELS = {"gaussian": "Gaussian search: fitted Gaussian process, EI with ξ = 0.01", "gamma": "Gamma search"}
SHADE = "#56B4E9"
LINE = np.linspace(LOW, HIGH, 71)  # enough for the eye; eleven panels of more make a large SVG


def beliefs(name: str, steps: Steps) -> tuple[Surrogate, Any]:
    """What the search believed after these steps, and how it valued candidates: built as the sampler builds it."""
    data = dataset(SPACE, told(steps))
    if name == "gamma":
        return GammaProcess(data), expected_improvement(0.0)
    return fit(data), expected_improvement(THESIS_XI)


def unit(xs: Sequence[float] | np.ndarray) -> np.ndarray:  # (q, 1)
    return (np.asarray(xs, dtype=np.float64)[:, None] - LOW) / (HIGH - LOW)


def draw_step(axes: Sequence[Any], name: str, steps: Steps, seen: int, *, titled: str) -> None:
    """What the search believes after `seen` evaluations above, what it hopes for below, and the point it takes."""
    upper, lower = axes
    surrogate, acquisition = beliefs(name, steps[:seen])
    believed = surrogate.posterior(unit(LINE))
    mean, sd = believed.mean, np.sqrt(believed.variance)
    hope = np.exp(acquisition(surrogate, unit(LINE)))
    colour = COLOURS[name]
    upper.fill_between(
        LINE,
        mean - 2 * sd,
        mean + 2 * sd,
        color=colour,
        alpha=0.18,
        lw=0,
        label="mean ± 2 standard deviations",
    )
    upper.plot(LINE, mean, color=colour, label="mean of the surrogate")
    upper.plot(LINE, [f(x) for x in LINE], color="black", ls="--", lw=1, label="f without noise")
    upper.plot(TOP_X, TOP, "*", color="gold", mec="black", ms=11, label="top of f", zorder=4)
    xs, scores = [step["x"] for step in steps[:seen]], [step["score"] for step in steps[:seen]]
    upper.plot(xs, scores, "o", color="black", ms=4.5, label="evaluated, with noise", zorder=5)
    best = steps[seen - 1]["recommended"]
    upper.plot(
        best, scores[xs.index(best)], "o", mfc="none", mec="black", ms=11, label="recommended", zorder=5
    )
    lower.fill_between(LINE, 0, hope, color=colour, alpha=0.35, lw=0)
    lower.plot(LINE, hope, color=colour, lw=1.2, ls="-.", label="expected improvement (EI)")
    if seen < len(steps):
        x = steps[seen]["x"]
        height = float(np.exp(acquisition(surrogate, unit([x])))[0])
        for panel in axes:
            panel.axvline(x, color="#009E73", lw=1.4, ls=":")
        lower.plot(x, height, "v", color="#009E73", ms=8, label="evaluated next", zorder=6)
    upper.set(xlim=(LOW - 0.05, HIGH + 0.05), ylim=(-3.4, 2.0), yticks=(-3, -2, -1, 0, 1, 2), title=titled)
    upper.tick_params(labelbottom=False)
    lower.set(xlim=upper.get_xlim(), ylim=(0, None))
    lower.locator_params(axis="y", nbins=3)
    for panel in axes:
        panel.set_xticks((-1, 0, 1, 2))


def step_title(steps: Steps, seen: int) -> str:
    distance = regret(steps)[seen - 1]
    arrived = "close" if distance <= CLOSE else f"{distance:.2f} below the top"
    return f"after {seen} evaluations: {arrived}"


def draw_steps(report: Report, options: Asked, name: str, steps: Steps, heading: str) -> None:
    """Ten iterations and what is known after the last, three in a row; surrogate above, acquisition below."""
    steps = steps[:THESIS]
    states = range(len(FIRST), THESIS + 1)
    states = options.pick(smoke=[2, 3], small=states, full=states)
    with figure(report, options, figsize=(12, 13.5)) as (fig, whole):
        whole.remove()
        fig.suptitle(heading, fontsize=13)
        cells = fig.add_gridspec(4, 3)
        for i, seen in enumerate(states):
            inner = cells[i // 3, i % 3].subgridspec(2, 1, height_ratios=(2, 1), hspace=0.02)
            axes = [fig.add_subplot(inner[0]), fig.add_subplot(inner[1])]
            draw_step(axes, name, steps, seen, titled=step_title(steps, seen))
            for panel in axes:
                panel.grid(False)
            axes[0].title.set_fontsize(10)
            axes[0].title.set_fontweight("bold" if regret(steps)[seen - 1] <= CLOSE else "normal")
            if i % 3 == 0:
                axes[0].set_ylabel("score f(x)")
                axes[1].set_ylabel("EI (score)")
            if i >= 8:
                axes[1].set_xlabel("x")
        legend = fig.add_subplot(cells[3, 2])
        legend.axis("off")
        entries = {
            label: handle
            for axes in fig.axes[:2]
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        legend.legend(entries.values(), entries.keys(), loc="center", frameon=False, title="In every panel")


def animate(report: Report, options: Asked, name: str, steps: Steps, heading: str) -> None:
    """One frame for each evaluation, a second and a half each, the last for four; GIF, drawn anew after each."""
    import matplotlib.pyplot as plt
    from matplotlib.animation import PillowWriter

    if options.scale == "power":
        return
    steps = steps[:THESIS]
    fig, axes = plt.subplots(
        2, 1, figsize=(7, 5.5), height_ratios=(2, 1), layout="constrained", sharex=True, dpi=80
    )
    writer = PillowWriter(fps=2)
    states = range(len(FIRST), THESIS + 1)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{report.name}.gif"
    with writer.saving(fig, path, dpi=80):
        for seen in options.pick(smoke=[2, 3], small=states, full=states):
            for panel in axes:
                panel.clear()
                panel.grid(alpha=0.25)
            draw_step(axes, name, steps, seen, titled=f"{heading}\n{step_title(steps, seen)}")
            axes[0].set_ylabel("score f(x)")
            axes[1].set(xlabel="x", ylabel="EI (score)")
            axes[0].legend(loc="lower left", fontsize=8, ncols=2)
            axes[1].legend(loc="upper right", fontsize=8)
            for _ in range(8 if seen == THESIS else 3):
                writer.grab_frame()
    plt.close(fig)
    report.pictures.append(path.name)
    report.notes.append(f"[The same, frame by frame]({path.name})")


def draw_arrivals(report: Report, options: Asked, runs: Mapping[str, list[list[dict[str, Any]]]]) -> None:
    """The share of seeds that have got there, against evaluations; the thesis's counts as bands."""
    count = len(next(iter(runs.values())))
    styles = {"grid 12": ":", "grid 10": "--", "grid 10 shifted": "-", KNOWN: ":"}
    with figure(report, options, f"{report.name}-seeds", figsize=(9, 5)) as (_, axes):
        axes.axvspan(8, 9, color=COLOURS["gaussian"], alpha=0.13, lw=0, label="thesis, Gaussian: 8 to 9")
        axes.axvspan(5, 6, color=COLOURS["gamma"], alpha=0.13, lw=0, label="thesis, Gamma: 5 to 6")
        xs = np.arange(1, CAP + 1)
        for i, (name, run) in enumerate(runs.items()):
            times = np.array([evaluations(steps) for steps in run])
            share = [100 * np.mean(times <= x) for x in xs]
            colour = SHADE if name == "gaussian-quadrature" else COLOURS[name.split()[0].rstrip(",")]
            axes.plot(
                xs, share, color=colour, ls=styles.get(name, "-"), marker=".ox+vsDPX^"[i], ms=5,
                label=name if share[-1] else f"{name}: never",
                lw=2.2 if name in ("gaussian", "gamma") else 1.2,
            )  # fmt: skip
        axes.set(
            xlabel="evaluations of f, the two first samples among them",
            ylabel=f"recommended point within 0.02 of the top (% of {count} seeds)",
            ylim=(-3, 103), xlim=(1.5, CAP + 0.5), xticks=range(2, CAP + 1),
            title="The sine example: who knows the top after how many evaluations?",
        )  # fmt: skip
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
