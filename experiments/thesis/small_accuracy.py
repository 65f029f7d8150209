"""What tables 4 and 5 share: the searches on 500 images by several objectives, in the two readings of their rows.

    1                   one epoch; one rate for a run and one for each epoch are the same there
    2 (rate an epoch)   policy "greedy" over two epochs, as figures 7 and 8 draw it
    2 (as 50 epochs)    one rate for a run of 50 epochs [reading]: 88 % is out of reach of the 16 steps of two epochs

Every network is measured the thesis's way, on the 100 images it was selected by, and on 10,000 test images. The grid
has 100 rates (in each epoch, where each has its own), the other searches take 2 + 10 trainings.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean

from mnist_small import MEASURES, Network, Small, four, per_cent
from reproduction import Asked, Report
from verdicts import Claim, Paired, judged, no_worse, paired

NAMES = {"grid": "Grid", "random": "random", "gaussian": "Gaussian", "gamma": "Gamma",
         "gamma-plugin-a": "Gamma, plug-in a", "gamma-plugin-b": "Gamma, plug-in b"}  # fmt: skip
COLUMNS = [
    "epochs",
    "search",
    "objective",
    *(f"{measure}, its 100 images" for measure in ("Sens", "Spec", "Acc", "MCC")),
    *(f"{measure}, test images" for measure in ("Sens", "Spec", "Acc", "MCC")),
]
PARTS = (("report", "on test images"), ("select", "on the images it chose by"))

# What the thesis prints: (row, search) -> Sens, Spec, Acc, MCC by objective, tables 4 and 5.
Printed = Mapping[tuple[int, str], Mapping[str, Sequence[float]]]
PRINTED: Printed = {
    (1, "grid"): {
        "accuracy": (43.69, 93.94, 47.0, 35.61),
        "kappa11-cut": (46.98, 94.61, 52.0, 38.20),
        "kappa12-cut": (46.88, 94.20, 52.0, 37.03),
    },
    (1, "gaussian"): {
        "accuracy": (42.78, 93.42, 42.0, 35.48),
        "kappa11-cut": (43.05, 94.40, 50.0, 41.23),
        "kappa12-cut": (42.02, 94.47, 51.0, 40.12),
    },
    (1, "gamma"): {
        "accuracy": (44.02, 94.00, 46.0, 38.90),
        "kappa11-cut": (47.46, 94.42, 50.0, 39.89),
        "kappa12-cut": (46.92, 94.01, 51.0, 39.81),
    },
    (2, "grid"): {
        "accuracy": (90.04, 98.67, 88.0, 87.61),
        "kappa11-cut": (91.76, 99.02, 91.0, 89.50),
        "kappa12-cut": (90.56, 98.72, 90.0, 89.50),
    },
    (2, "gaussian"): {
        "accuracy": (89.37, 98.55, 87.0, 86.86),
        "kappa11-cut": (88.70, 98.70, 88.0, 85.92),
        "kappa12-cut": (88.70, 99.21, 88.0, 85.92),
    },
    (2, "gamma"): {
        "accuracy": (89.38, 98.56, 87.0, 86.83),
        "kappa11-cut": (90.13, 98.80, 89.0, 87.36),
        "kappa12-cut": (90.13, 98.90, 91.0, 87.36),
    },
}


class Accuracy:
    """The networks of one table, by reading, search and objective; one a seed.

    objectives: name in the table -> gammatune's objective.
    """

    def __init__(self, options: Asked, objectives: Mapping[str, str]) -> None:
        self.options = options
        self.small = small = Small(options)
        self.objectives = objectives
        self.searches: tuple[str, ...] = options.pick(
            smoke=("grid", "gaussian", "gamma"), small=tuple(NAMES), full=tuple(NAMES)
        )
        readings: dict[str, tuple[int, Callable[[int, str, str], Network]]] = {
            "1": (1, lambda seed, sampler, objective: small.chosen(seed, sampler, objective, 1)),
            "2 (rate an epoch)": (2, lambda *which: small.greedy(*which, 2)),
            f"2 (as {small.long} epochs)": (2, lambda *which: small.chosen(*which, small.long)),
        }
        epochs_of = dict(zip(readings, (1, 2, small.long), strict=True))
        self.lengths = {r: e for r, e in epochs_of.items() if small.seeds_of(e)}
        self.readings = {reading: readings[reading] for reading in self.lengths}
        self.found: dict[tuple[str, str, str], list[Network]] = {}
        for seed in small.seeds:  # the seed outermost: its data are read once
            for reading, (_, network) in self.readings.items():
                if seed not in small.seeds_of(self.lengths[reading]):
                    continue
                for sampler in self.searches:
                    for objective in objectives.values():
                        those = self.found.setdefault((reading, sampler, objective), [])
                        those.append(network(seed, sampler, objective))

    def rows(self) -> list[list[str]]:
        rows = []
        for (reading, sampler, objective), networks in self.found.items():
            printed = PRINTED.get((self.readings[reading][0], sampler), {}).get(objective)
            label = next(name for name, those in self.objectives.items() if those == objective)
            cells = [*four(networks, "select", printed), *four(networks, "report")]
            rows.append([reading, NAMES[sampler], label, *cells])
        return rows

    def accuracy(self, reading: str, sampler: str, objective: str, part: str) -> list[float]:
        return [per_cent(network, part) for network in self.found[reading, sampler, objective]]

    def numbers(self) -> dict[str, dict[str, list[float]]]:
        return {
            f"{reading} | {sampler} | {objective}": {
                f"{part} {measure}": [round(per_cent(network, part, measure), 3) for network in networks]
                for part in ("select", "report")
                for measure in MEASURES
            }
            for (reading, sampler, objective), networks in self.found.items()
        }

    # Claims

    def helps(self, one: str, other: str, text: str) -> list[Claim]:
        """Objective one against other in each reading; a seed's value is the mean over all searches."""
        claims = []
        for reading in self.readings:
            for part, words in PARTS:
                test = paired(self._mean(reading, one, part), self._mean(reading, other, part))
                claims.append(judged(f"epochs {reading}: {text}, {words}", test, better="more", unit="point"))
        return claims

    def _mean(self, reading: str, objective: str, part: str) -> list[float]:
        samples = [self.accuracy(reading, sampler, objective, part) for sampler in self.searches]
        return [mean(values) for values in zip(*samples, strict=True)]

    def helps_by_search(self, one: str, other: str, text: str) -> str:
        """The same search by search, as a note: many tests, none of which is meant to be counted alone."""
        told = []
        for reading in self.readings:
            for sampler in self.searches:
                test = self._test(reading, (sampler, one), (sampler, other), "report")
                told.append(f"epochs {reading}, {NAMES[sampler]} {test.difference:+.2f} (p {test.p:.2g})")
        return f"{text}, search by search, test images: {'; '.join(told)}."

    def order(self, objective: str, one: str, other: str, text: str) -> list[Claim]:
        return [
            judged(
                f"epochs {reading}: {text}, {words}",
                self._test(reading, (one, objective), (other, objective), part),
                better="more",
                unit="point",
            )
            for reading in self.readings
            for part, words in PARTS
        ]

    def at_least(self, objective: str, one: str, other: str, text: str) -> list[Claim]:
        return [
            no_worse(
                f"epochs {reading}: {text}, {words}",
                self.accuracy(reading, one, objective, part),
                self.accuracy(reading, other, objective, part),
            )
            for reading in self.readings
            for part, words in PARTS
        ]

    def _test(self, reading: str, one: tuple[str, str], other: tuple[str, str], part: str) -> Paired:
        return paired(self.accuracy(reading, *one, part), self.accuracy(reading, *other, part))

    def flattery(self) -> str:
        """How much higher the images that a network was selected by rate it than the test images do."""
        told = []
        for reading in self.readings:
            gaps = [
                per_cent(network, "select") - per_cent(network, "report")
                for (at, _, _), networks in self.found.items()
                if at == reading
                for network in networks
            ]
            told.append(f"{mean(gaps):+.1f} (epochs {reading})")
        return (
            "Accuracy on the images selected by, less that on test images, mean of all rows: "
            + ", ".join(told)
            + "."
        )

    def report(self, name: str, title: str, claims: list[Claim], notes: list[str]) -> Report:
        options = self.options
        said = [
            f"Scale {options.scale}, {self.small.said}; a grid of {self.small.coarse}, {self.small.few} "
            "trainings in the other searches. In brackets the thesis's numbers, one run each, selected and reported "
            "on the same 100 images; those of its row 2 stand at both readings of it.",
            self.flattery(),
            *notes,
        ]
        return Report(name, title, COLUMNS, self.rows(), claims, [], said, {"by seed, %": self.numbers()})
