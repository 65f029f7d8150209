"""What becomes of a claim: four verdicts, the effect behind each with its interval, and what could have been seen.

    holds, does not hold              a two-sided Wilcoxon signed-rank test over seeds, p < 0.05
    no difference beyond 1 point      the 90 % t-interval of the mean difference lies within +-1, with six seeds or
                                      more that differ: two one-sided tests at 5 % (Schuirmann 1987). It is given only
                                      where the first two are not
    cannot be told                    none of these; `Effect.seen` says how large a difference would have been told

p-values are not corrected for the number of claims, nor for the pairs of an order.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

Verdict = Literal[
    "holds",
    "does not hold",
    "no difference beyond 1 point",
    "no difference beyond 1 evaluation",
    "no difference beyond 1 training",
    "cannot be told",
]
# What a difference is counted in where one unit of it is as good as none (guess: the thesis's own differences in
# accuracy are of 1 to 3 points).
SAME: dict[str, Verdict] = {
    "point": "no difference beyond 1 point",
    "evaluation": "no difference beyond 1 evaluation",
    "training": "no difference beyond 1 training",
}
UNTOLD: Verdict = "cannot be told"
ALPHA = 0.05
POWER = 0.8
MARGIN = 1.0
FEWEST = 6  # with five seeds no signed-rank test can tell anything: p is 0.0625 or more


@dataclass(frozen=True)
class Effect:
    """value, low, high: a difference or share with its 90 % interval (None with one seed). n: seeds.

    seen: the least difference (share, above one half) told with a chance of 80 % at this n and spread.
    unit: of all of them. differ: seeds whose difference is not 0.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    seen: float | None
    unit: str = ""
    differ: int = 0


@dataclass(frozen=True)
class Claim:
    """A sentence of the thesis, and what became of it here. words: the numbers behind the verdict."""

    text: str
    verdict: Verdict
    words: str
    effect: Effect | None = None


@dataclass(frozen=True)
class Paired:
    """A two-sided Wilcoxon signed-rank test of one against other, seed by seed.

    difference: the mean of one - other. p: 1 where nothing differs. effect: matched-pairs rank-biserial
    correlation, from -1 to 1: the share of the rank sum in favour of one, less the share against. sd: of the
    differences; nan with one seed. differ: how many of them are not 0, which is what the test counts.
    """

    difference: float
    p: float
    effect: float
    n: int
    sd: float
    differ: int

    def __str__(self) -> str:
        return f"difference {self.difference:+.3g}, p {self.p:.2g}, effect {self.effect:+.2f}, n {self.n}"

    def told(self, unit: str = "") -> Effect:
        """The t-interval; seen is a t-test's, (t_.975 + t_.8) sd / sqrt n (a signed-rank test sees 2 % less)."""
        from scipy.special import stdtrit

        if self.n < 2:
            return Effect(self.difference, None, None, self.n, None, unit, self.differ)
        error = self.sd / math.sqrt(self.n)
        half = float(stdtrit(self.n - 1, 1 - ALPHA)) * error
        seen = float(stdtrit(self.n - 1, 1 - ALPHA / 2) + stdtrit(self.n - 1, POWER)) * error
        return Effect(
            self.difference, self.difference - half, self.difference + half, self.n, seen, unit, self.differ
        )


def paired(one: Sequence[float], other: Sequence[float]) -> Paired:
    """Compare two samples of the same seeds in the same order."""
    from scipy.stats import rankdata, wilcoxon

    differences = [a - b for a, b in zip(one, other, strict=True)]
    sd = statistics.stdev(differences) if len(differences) > 1 else math.nan
    told = [d for d in differences if d != 0]
    if not told:
        return Paired(0.0, 1.0, 0.0, len(differences), sd, 0)
    ranks = rankdata([abs(d) for d in told])
    total = sum(ranks)
    effect = sum(math.copysign(rank, d) for rank, d in zip(ranks, told, strict=True)) / total
    return Paired(
        statistics.mean(differences),
        float(wilcoxon(told).pvalue),
        float(effect),
        len(differences),
        sd,
        len(told),
    )


def is_same(effect: Effect, margin: float = MARGIN) -> bool:
    """Whether the whole interval lies within the margin on either side of nothing, where six seeds or more differ.

    A t-interval of mostly zeros is too narrow: of Gaussian's 22 trainings against 12 (table 10, one epoch) five of
    six seeds were the same, +0.03 [-0.03, +0.10]; under 26 seeds it is +1.5 [+0.6, +2.4].
    """
    if effect.differ < FEWEST or effect.low is None or effect.high is None:
        return False
    return -margin <= effect.low and effect.high <= margin


def judged(
    text: str, test: Paired, *, better: Literal["more", "less"], margin: float = 0.0, unit: str = ""
) -> Claim:
    """The verdict that a paired test gives on 'one is more (less) than the other'.

    It holds where the difference goes that way by more than the margin and p < 0.05, does not hold where it goes the
    other way with p < 0.05; else there is no difference, by `is_same` and in a unit of `SAME`, or it cannot be told.
    """
    towards = test.difference > margin if better == "more" else test.difference < -margin
    against = test.difference < 0 if better == "more" else test.difference > 0
    verdict: Verdict = UNTOLD
    if test.p < ALPHA:
        verdict = "holds" if towards else "does not hold" if against else UNTOLD
    return _or_same(Claim(text, verdict, str(test), test.told(unit)))


def no_worse(text: str, one: Sequence[float], other: Sequence[float], margin: float = MARGIN) -> Claim:
    """The verdict on 'one is at least as accurate as other', in points.

    It holds where one, were it `margin` points better, would be better with p < 0.05: it is then no more than that
    worse. It does not hold where one is worse as it stands with p < 0.05.
    """
    shifted, plain = paired([value + margin for value in one], other), paired(one, other)
    verdict: Verdict = "does not hold" if plain.difference < 0 and plain.p < ALPHA else UNTOLD
    if shifted.difference > 0 and shifted.p < ALPHA:
        verdict = "holds"
    words = f"{plain}; not {margin:g} worse: p {shifted.p:.2g}"
    return _or_same(Claim(text, verdict, words, plain.told("point")))


def _or_same(claim: Claim) -> Claim:
    effect = claim.effect
    if claim.verdict == UNTOLD and effect is not None and effect.unit in SAME and is_same(effect):
        return replace(claim, verdict=SAME[effect.unit])
    return claim


def ordered(
    text: str, samples: dict[str, Sequence[float]], names: Sequence[str], unit: str = "point"
) -> list[Claim]:
    """A printed order, highest first: a claim for each pair of neighbours. No correction for their number."""
    return [
        judged(f"{text}, {one} above {other}", paired(samples[one], samples[other]), better="more", unit=unit)
        for one, other in pairwise(names)
    ]


def in_most(text: str, true: Sequence[bool], words: str) -> Claim:
    """The verdict on a sentence that is true of some seeds: more often than not, by an exact binomial test?"""
    from scipy.stats import binomtest

    hits, n = sum(true), len(true)
    verdict: Verdict = UNTOLD
    if binomtest(hits, n, alternative="greater").pvalue < ALPHA:
        verdict = "holds"
    if binomtest(hits, n, alternative="less").pvalue < ALPHA:
        verdict = "does not hold"
    interval = binomtest(hits, n).proportion_ci(0.9)
    effect = Effect(hits / n, float(interval.low), float(interval.high), n, _share_seen(n), "share of seeds")
    return Claim(text, verdict, f"{hits} of {n} seeds; {words}", effect)


def _share_seen(n: int) -> float | None:
    """The least share above one half (below: 1 less it) that the binomial test tells with a chance of 80 %."""
    from scipy.stats import binom

    enough = next((k for k in range(n + 1) if binom.sf(k - 1, n, 0.5) < ALPHA), None)
    if enough is None:
        return None
    return next(share / 1000 for share in range(500, 1001) if binom.sf(enough - 1, n, share / 1000) >= POWER)
