"""What `find_lr` found: a rate, how sure it is, and what was seen of it."""

import math
import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from gammatune.journal.wording import number
from gammatune.policy.finding import Finding
from gammatune.policy.looks import Looked
from gammatune.records import Outcome

if TYPE_CHECKING:
    from gammatune.report.html.alone import Plot


@dataclass(frozen=True, slots=True)
class Look:
    """A short training at one rate, from the initial weights up to the rate and down to zero.

    steps: its batches. score: what is compared, higher is better; None where it diverged. loss: on what was scored.
    is_scout: it is a shorter one, that found the region.
    """

    rate: float
    steps: int
    score: float | None
    loss: float | None
    is_scout: bool = False

    @classmethod
    def of(cls, outcome: Outcome) -> "Look":
        loss = outcome.metrics.get("loss") if outcome.ok else None
        rate = float(outcome.values["lr"])
        return cls(rate, outcome.batches, outcome.score, loss, is_scout=outcome.role == "scout")


@dataclass(frozen=True, slots=True, repr=False)
class FoundRate:
    """A learning rate for a training of so many steps, whose peak it is: reached after a short warm-up, and then
    brought straight down to zero, or nearly so, by whoever trains.

    rate: of the optimizer's first group whose rate is above 0; the others keep their ratio to it. band: (low, high),
    where the best rate of that training lies with a probability of 95 %. looks: in the order they were made; none
    where the rate goes by other trainings alone. cost: what all of it took, as a share of that training. own: the
    rate that the optimizer came with. better: the probability that `rate` beats it; None where nobody chose that, or
    where it stays. said: what was chosen by default, and why this rate, in sentences.
    """

    rate: float
    band: tuple[float, float]
    looks: tuple[Look, ...]
    steps: int
    cost: float
    own: float
    better: float | None
    said: tuple[str, ...]
    _looked: Looked = field(compare=False)

    @classmethod
    def of(cls, finding: Finding, said: tuple[str, ...]) -> "FoundRate":
        opening = finding.found
        assert opening is not None, "the policy has come to its end"
        looked = opening.looked
        assert looked is not None, "a rate was searched"
        rate, own = float(opening.values["lr"]), float(looked.line.own["lr"])
        low, high = looked.band() or looked.line.ends
        better = looked.better(math.log10(rate / own)) if rate != own else None
        return cls(
            rate=rate,
            band=(own * 10**low, own * 10**high),
            looks=tuple(map(Look.of, opening.tried)),
            steps=finding.steps,
            cost=finding.spent,
            own=own,
            better=better,
            said=said,
            _looked=looked,
        )

    def __float__(self) -> float:
        return self.rate

    def __repr__(self) -> str:
        """In one sentence."""
        low, high = map(number, self.band)
        return f"<FoundRate: lr {number(self.rate)}, the best between {low} and {high} with 95 %, {self._by}>"

    @property
    def _by(self) -> str:
        """'by 4 looks of 60 steps, for 0.41 of a training of 400'."""
        of = f"for {self.cost:.2g} of a training of {self.steps:,} steps"
        count = len(self.looks)
        if not count:
            return f"by other trainings alone, without a look, {of}"
        shortest, longest = (f(look.steps for look in self.looks) for f in (min, max))
        steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        return f"by {count} look{'s' if count > 1 else ''} of {steps} steps, {of}"

    def plot(self) -> "Plot":
        """Rate against score: what was seen, what is believed of it, and the rate that was found."""
        from gammatune.report.html.alone import Plot
        from gammatune.report.html.posterior import View, points_about, slice_of_looks
        from gammatune.report.html.slices import view_pictures

        looked, rate = self._looked, self.rate
        shown = looked.outcomes
        at = points_about(looked.line.space["lr"], [rate, *self.band, *(look.rate for look in self.looks)])
        part = slice_of_looks(looked, shown, at)
        view = View("Looks at rates", f"{self!r}"[1:-1], [part], chosen={"lr": rate}, last=True)
        (picture,) = view_pictures(view, 0, "score")
        return Plot.of(picture)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """A whole page: the sentence, the picture, the looks. path: where it is written to as well."""
        page = (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Learning rate</title></head>'
            f'<body style="font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:auto;padding:1rem">'
            f"{self._repr_html_()}</body></html>\n"
        )
        if path is not None:
            from gammatune.report.html.page import write

            write(Path(path), page)
        return page

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        rows = "".join(
            f"<tr><td>{number(look.rate)}</td><td>{look.steps:,}</td>"
            f"<td>{'diverged' if look.score is None else number(look.score)}</td>"
            f"<td>{'' if look.loss is None else number(look.loss)}</td></tr>"
            for look in sorted(self.looks, key=lambda look: look.rate)
        )
        table = f"<table><tr><th>rate</th><th>steps</th><th>score</th><th>loss</th></tr>{rows}</table>"
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.said)
        return f"<p>{escape(repr(self)[1:-1])}</p>{self.plot().svg}{table if rows else ''}<ul>{said}</ul>"
