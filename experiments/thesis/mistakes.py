"""What figures 18 and 19 share: which digits are taken for which, by search and number of epochs.

Colour and numbers: of the images of a digit, per cent taken for each other digit; right answers are left white, as in
the thesis. Drawn are 10,000 test images, added over the seeds: 100 images have ten of a digit, and one mistake is
10 %. Epochs 1 and 50, one rate a run, grid of 100 against 2 + 10 [readings].
"""

import numpy as np
from mnist_small import Small
from pictures import figure
from reproduction import Asked, Report
from verdicts import Claim, in_most

SEARCHES = {"grid": "Grid", "gaussian": "Gaussian", "gamma": "Gamma"}


class Mistakes:
    """The confusions of one objective. Confusions are (true, taken for)."""

    def __init__(self, options: Asked, objective: str) -> None:
        self.options = options
        self.small = small = Small(options)
        self.all = {
            (epochs, search, part): np.array(
                [
                    small.chosen(seed, search, objective, epochs)[part]["confusion"]
                    for seed in small.seeds_of(epochs)
                ]
            )
            for epochs in small.lengths
            for search in SEARCHES
            for part in ("select", "report")
        }

    def shares(self, epochs: int, search: str, part: str) -> np.ndarray:
        """Per cent of each digit's images, over all seeds; the diagonal 0."""
        counts = self.all[epochs, search, part].sum(axis=0)
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
        np.fill_diagonal(shares, 0)
        return shares

    def most_common(self, epochs: int, search: str, true: int, taken: int, text: str) -> Claim:
        """Under most seeds the most common mistake is this one."""
        hits, ranks = [], []
        for counts in self.all[epochs, search, "report"]:
            wrong = counts - np.diag(np.diag(counts))
            ranks.append(int((wrong > wrong[true, taken]).sum()) + 1)
            hits.append(ranks[-1] == 1)
        return in_most(text, hits, f"its ranks among 90 mistakes: {', '.join(map(str, ranks))}")

    def rows(self) -> list[list[str]]:
        return [
            [f"{epochs}", label, _worst(self.shares(epochs, s, "report")), _worst(self.shares(epochs, s, "select"))]
            for epochs in self.small.lengths
            for s, label in SEARCHES.items()
        ]  # fmt: skip

    def report(self, name: str, title: str, claims: list[Claim]) -> Report:
        columns = ["epochs", "search", "most common mistakes, test images", "on the 100 images it chose by"]
        result = Report(name, title, columns, self.rows(), claims)
        lengths = self.small.lengths
        size = {"nrows": len(lengths), "ncols": 3, "figsize": (12, 4 * len(lengths)), "squeeze": False}
        with figure(result, self.options, **size) as (fig, axes):
            for line, epochs in zip(axes, lengths, strict=True):
                worst = max(self.shares(epochs, search, "report").max() for search in SEARCHES)
                for place, (search, label) in zip(line, SEARCHES.items(), strict=True):
                    shares = self.shares(epochs, search, "report")
                    image = place.imshow(shares, cmap="Reds", vmin=0, vmax=worst)
                    place.grid(False)
                    for true, taken in zip(*np.nonzero(shares >= 5), strict=True):
                        colour = "white" if shares[true, taken] > 0.6 * worst else "black"
                        value = f"{shares[true, taken]:.0f}"
                        place.text(taken, true, value, ha="center", va="center", fontsize=7, color=colour)
                    unit = "epochs" if epochs > 1 else "epoch"
                    place.set(title=f"{label}, {epochs} {unit}", xticks=range(10), yticks=range(10))
                    place.set(xlabel="taken for", ylabel="digit")
                fig.colorbar(image, ax=line, label="of the digit's test images, %", shrink=0.8)
        result.notes.append(
            f"Scale {self.options.scale}, {self.small.said} added up. Numbers from 5 % on are written in."
        )
        result.numbers = {
            f"{epochs} epochs, {search}, {part}": counts.sum(axis=0).tolist()
            for (epochs, search, part), counts in self.all.items()
        }
        return result


def _worst(shares: np.ndarray, count: int = 3) -> str:
    order = np.argsort(shares, axis=None)[::-1][:count]
    pairs = [np.unravel_index(i, shares.shape) for i in order]
    return ", ".join(f"{true} as {taken} {shares[true, taken]:.0f} %" for true, taken in pairs)
