"""The thesis's own Gamma acquisition: a variance from a Gamma posterior, plugged into the Gaussian EI.

Symbols: n scores y_i at x_i, standardised; x a candidate; m(x) the Gaussian surrogate's mean (its variance is
not used); Gamma(a, b) with b a rate. The thesis prints (13)-(15) as pictures that are lost in the text we
have, so each step below is a [reading]:

    (15)  lambda | y ~ Gamma(a_n, b_n),   a_n = a0 + n/2,   b_n = b0 + sum_i (y_i - mu_i)^2 / 2
          mu_i = m(x)      reading (a): the known mean is that of the candidate     [reading]
          mu_i = m(x_i)    reading (b): that of each observation's own point        [reading]
    sigma^2 = b_n / a_n ("mean") or b_n / (a_n - 1) ("variance")                    [reading]
    (13)  the mean estimated again with that variance, normal prior and normal likelihood:
          mu ~ N(m(x), s0^2),   y_i - m(x_i) + m(x) ~ N(mu, sigma^2) in (b),   y_i ~ N(mu, sigma^2) in (a)
          mu' = (m(x) / s0^2 + n ybar / sigma^2) / (1 / s0^2 + n / sigma^2)         [reading]
          with ybar the average of the left-hand sides, s0^2 = 1 (the scores are standardised; guess)
    EI (10) of N(mu', sigma^2) over the best mu' at an observed point.

In (b) sigma^2 is the same everywhere and mu' grows with m(x): the most valuable candidate is that of the highest
surrogate mean, and nothing explores but the rule against repeats. In (a) sigma^2 grows with the distance of m(x)
from the scores, but mu' is then pulled to their average. Neither shows what the thesis reports
(experiments/sine.py); `surrogate/gamma.py` is the construction that does the idea justice.
"""

from typing import Literal, TypeAlias

import numpy as np

from gammatune.samplers.bayes import Acquisition, Surrogate
from gammatune.surrogate.acquisition import THESIS_XI, log_ei
from gammatune.surrogate.predictive import Array, Normal

Reading: TypeAlias = Literal["a", "b"]
Variance: TypeAlias = Literal["mean", "variance"]

PRIOR_VARIANCE = 1.0  # s0^2
A0, B0 = 2.0, 1.0  # as in the Gamma process (DESIGN 5), so that the two differ in construction only


def plugin(surrogate: Surrogate, Z: Array, reading: Reading, variance: Variance = "mean") -> Normal:
    """N(mu', sigma^2) at the candidates Z (q, d), in units of the score.

    surrogate: any with a posterior mean. reading: what the known mean is, "a" or "b" above. variance: sigma^2
    is b_n / a_n ("mean": the reciprocal of lambda's mean) or b_n / (a_n - 1) ("variance": the mean of 1 / lambda).
    """
    data = surrogate.data
    m = (surrogate.posterior(Z).mean - data.centre) / data.spread  # (q,)
    if reading == "a":
        residual = data.z[:, None] - m  # (n, q)
    else:
        at_data = (surrogate.posterior(data.X).mean - data.centre) / data.spread
        residual = np.repeat((data.z - at_data)[:, None], len(Z), axis=1)
    a_n = A0 + data.n / 2
    b_n = B0 + np.sum(residual**2, axis=0) / 2  # (15)
    sigma2 = b_n / (a_n if variance == "mean" else a_n - 1)
    # (13): m + the residuals' average, shrunk; the same as mu' above
    pull = data.n / sigma2 / (1 / PRIOR_VARIANCE + data.n / sigma2)
    mean = m + pull * residual.mean(axis=0)
    return Normal(mean * data.spread + data.centre, np.sqrt(sigma2) * data.spread)


def plugin_improvement(reading: Reading, variance: Variance = "mean", xi: float = THESIS_XI) -> Acquisition:
    """EI (10) of `plugin`, over the best re-estimated mean at an observed point."""

    def value(surrogate: Surrogate, Z: Array) -> Array:
        best = float(np.max(plugin(surrogate, surrogate.data.X, reading, variance).mean))
        return log_ei(plugin(surrogate, Z, reading, variance), best, xi * surrogate.data.spread)

    return value
