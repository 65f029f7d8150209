"""What tables 8, 9 and 10 share: grids of 100 to 500 rates against searches of a few, accuracy and learning time.

Every search looks for one rate for the whole run [reading], by kappa (11), cut [reading]. The grid sees 100 to 500
rates, the others 2 + 10 or 2 + 20. Beside the thesis's rows stands a grid of as few rates as the searches take: it
costs the same, so it shows what the search itself is worth.
"""

from collections.abc import Sequence
from statistics import mean

from mnist_small import OF_THE_TIME, Network, Small, best, per_cent, seconds
from reproduction import Asked, Report, Sample
from verdicts import Claim, judged, no_worse, paired

COLUMNS = [
    "search",
    "trainings",
    "n",
    "accuracy %, images it chose by",
    "accuracy %, test images",
    "learning time, CPU s",
]
NAMES = {"gaussian": "Gaussian", "gamma": "Gamma", "random": "random", "gamma-plugin-a": "Gamma, plug-in a",
         "gamma-plugin-b": "Gamma, plug-in b"}  # fmt: skip


class Rows:
    """The rows of one table.

    accuracy, time: what the thesis prints, for the five grids and their average, then Gaussian's and Gamma's average.
    """

    def __init__(
        self, options: Asked, epochs: int, trials: int, accuracy: Sequence[float], time: Sequence[float]
    ) -> None:
        self.small = Small(options)
        self.epochs = epochs
        self.trials = trials
        self.rows: list[list[str]] = []
        self.numbers: dict[str, dict[str, list[float]]] = {}
        small = self.small
        self.seeds = seeds = small.seeds_of(epochs)
        self.fine = fine = [seed for seed in small.fine_seeds if seed in seeds]
        fields = {"accuracy": list(accuracy), "time": list(time)}
        whole = {seed: small.grid(seed, epochs) for seed in seeds}
        for size in small.sizes:
            those = seeds if size == small.coarse else fine
            grids = [small.grid(seed, epochs, size) for seed in those]
            self._add(f"grid of {size}", f"{size}", grids, fields)
        self._average(fields)
        self._add(f"grid of {trials}", f"{trials}", [small.grid(seed, epochs, trials) for seed in seeds])
        for sampler, name in NAMES.items():
            if trials == small.few or sampler in ("gaussian", "gamma"):
                found = [small.once(seed, sampler, OF_THE_TIME, epochs, trials) for seed in seeds]
                self._add(name, f"{trials}", found, fields if sampler in ("gaussian", "gamma") else None)
        self.diverged = Sample(
            tuple(100 * mean(p["accuracy"] is None for p in grid) for grid in whole.values())
        )

    def _add(
        self,
        name: str,
        trainings: str,
        found: Sequence[Sequence[Network]],
        thesis: dict[str, list[float]] | None = None,
    ) -> None:
        chosen = [best(networks, OF_THE_TIME) for networks in found]
        self.put(name, trainings, chosen, [seconds(networks) for networks in found], thesis)

    def put(
        self,
        name: str,
        trainings: str,
        chosen: Sequence[Network],
        time: Sequence[float],
        thesis: dict[str, list[float]] | None = None,
    ) -> None:
        """A row. thesis: its next numbers are taken."""
        numbers = {
            "select": [per_cent(network, "select") for network in chosen],
            "report": [per_cent(network, "report") for network in chosen],
            "seconds": list(time),
        }
        self._put(name, trainings, numbers, thesis)

    def _put(
        self,
        name: str,
        trainings: str,
        numbers: dict[str, list[float]],
        thesis: dict[str, list[float]] | None,
    ) -> None:
        self.numbers[name] = numbers
        accuracy = thesis["accuracy"].pop(0) if thesis else None
        time = thesis["time"].pop(0) if thesis else None
        cells = [
            Sample(tuple(numbers["select"]), accuracy).text(1),
            Sample(tuple(numbers["report"])).text(1),
            Sample(tuple(numbers["seconds"]), time).text(1),
        ]
        self.rows.append([name, trainings, f"{len(numbers['select'])}", *cells])

    def _average(self, thesis: dict[str, list[float]]) -> None:
        """Over the five grids, of the seeds that have all of them."""
        n = len(self.fine)
        grids = [self.numbers[f"grid of {size}"] for size in self.small.sizes]
        numbers = {
            part: [mean(grid[part][i] for grid in grids) for i in range(n)]
            for part in ("select", "report", "seconds")
        }
        sizes = self.small.sizes
        self._put(f"grids of {sizes[0]} to {sizes[-1]}, average", f"{mean(sizes):g}", numbers, thesis)

    # Claims

    @property
    def coarse(self) -> str:
        return f"grid of {self.small.coarse}"

    def as_accurate(self, one: str, other: str, text: str) -> list[Claim]:
        """On the test images, and the thesis's way."""
        return [
            no_worse(f"{text}, {words}", self.numbers[one][part], self.numbers[other][part])
            for part, words in (("report", "on test images"), ("select", "on the images it chose by"))
        ]

    def more_accurate(self, one: str, other: str, text: str) -> Claim:
        test = paired(self.numbers[one]["report"], self.numbers[other]["report"])
        return judged(text, test, better="more", unit="point")

    def factor(self, text: str, printed: float) -> Claim:
        """How many times more CPU time the average grid takes than Gamma, and how much of that is counting."""
        small = self.small
        gamma, gaussian = self.numbers["Gamma"]["seconds"], self.numbers["Gaussian"]["seconds"]
        mean_size = mean(small.sizes)
        per_grid = [t * mean_size / small.coarse for t in self.numbers[self.coarse]["seconds"]]
        times = Sample(tuple(g / t for g, t in zip(per_grid, gamma, strict=True)))
        by_gaussian = Sample(tuple(g / t for g, t in zip(per_grid, gaussian, strict=True)))
        counted = mean_size / self.trials
        n = len(self.fine)
        average = self.numbers[self.rows[len(small.sizes)][0]]["seconds"]
        straight = Sample(tuple(average[i] / gamma[i] for i in range(n)))
        verdict = "holds" if abs(times.mean / printed - 1) < 0.25 else "does not hold"
        words = (
            f"{times.text(1)} times less CPU time, n {len(gamma)}, the grid of {small.coarse} taken for the average "
            f"of {mean_size:g}; {straight.text(1)} with all five grids trained, n {n}; "
            f"Gaussian {by_gaussian.text(1)} times. {mean_size:g} trainings over {self.trials} are "
            f"{counted:.1f} by counting alone: what is left, {times.mean / counted:.2f}, is how long a training "
            f"of the grid lasts beside one of Gamma's, its proposal included"
        )
        return Claim(text, verdict, words)


def notes(options: Asked, rows: Rows) -> list[str]:
    small = rows.small
    n = len(rows.fine)
    reduced = f" Grids beyond {small.coarse} were trained for {n} seeds only." if n < len(rows.seeds) else ""
    return [
        f"Scale {options.scale}: epochs {rows.epochs}, seeds {len(rows.seeds)}.{reduced} The thesis's numbers in "
        "brackets are one run each, selected and reported on the same 100 images.",
        f"{rows.diverged.text(1)} % of the grid's rates diverged, and ended there: their trainings cost less.",
    ]


def report(name: str, title: str, rows: Rows, claims: list[Claim], said: list[str]) -> Report:
    return Report(name, title, COLUMNS, rows.rows, claims, notes=said, numbers={"by seed": rows.numbers})
