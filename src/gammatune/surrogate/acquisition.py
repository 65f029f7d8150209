"""How much a look at a candidate promises: probability of improvement (PI) and expected improvement (EI).

Symbols: q candidates, m location and s scale of what is believed of each score, f+ = best, the score to beat,
xi >= 0 a margin to beat it by, z = (m - f+ - xi) / s, F the standard distribution function of the family,
h(z) = E[(z + T)+] for a standard T. Equation numbers are the thesis's (docs/thesis.md).

    PI = F(z)                 (7), with xi (8)                 EI = s h(z)        (9), with xi (10)
        Normal     h(z) = z F(z) + f(z)
        Student-t  h(z) = z F(z) + (v + z^2) / (v - 1) f(z),  s the SCALE, not the standard deviation

Of a mixture both are the weighted sum over its parts. The log forms come first: far from the best both
underflow, and a search that compares zeros goes nowhere. Higher scores are better.
"""

import numpy as np

from gammatune.surrogate.predictive import Array, Mixture, Predictive

THESIS_XI = 0.01  # thesis, below equation (10); in units of the standardised score


def log_pi(p: Predictive, best: float, xi: float = 0.0) -> Array:  # (q,)
    """log P(score > best + xi): equation (7), with xi > 0 equation (8).

    A scale of 0 gives log 1 where the location beats best + xi and log 0 elsewhere; NaN or a negative scale NaN.
    """
    if isinstance(p, Mixture):
        return _mix(p, log_pi(p.parts, best, xi))
    with np.errstate(all="ignore"):
        gap = p.loc - best - xi
        known = np.where(np.isnan(gap), np.nan, np.where(gap > 0, 0.0, -np.inf))
        out = np.where(p.scale == 0, known, p.log_cdf0(gap / p.scale))  # (7), (8)
        return np.where(p.scale >= 0, out, np.nan)


def log_ei(p: Predictive, best: float, xi: float = 0.0) -> Array:  # (q,)
    """log E[(score - best - xi)+]: equation (9), with xi > 0 equation (10).

    A scale of 0 gives log (m - best - xi)+; an infinite one inf; NaN or a negative scale NaN.
    """
    if isinstance(p, Mixture):
        return _mix(p, log_ei(p.parts, best, xi))
    with np.errstate(all="ignore"):
        gap = p.loc - best - xi
        known = np.where(np.isnan(gap), np.nan, np.log(np.maximum(gap, 0.0)))
        z = gap / p.scale
        # s h(z) where z overflows is the gap itself
        # (9), (10)
        spread = np.where(np.isposinf(z) & (p.scale > 0), np.log(gap), np.log(p.scale) + p.log_ei0(z))
        spread = np.where(np.isposinf(p.scale) & np.isfinite(gap), np.inf, spread)
        out = np.where(p.scale == 0, known, spread)
        return np.where(p.scale >= 0, out, np.nan)


def pi(p: Predictive, best: float, xi: float = 0.0) -> Array:  # (q,)
    """P(score > best + xi), between 0 and 1: equation (7), with xi > 0 equation (8)."""
    return np.exp(log_pi(p, best, xi))


def ei(p: Predictive, best: float, xi: float = 0.0) -> Array:  # (q,)
    """E[(score - best - xi)+], in units of the score: equation (9), with xi > 0 equation (10)."""
    with np.errstate(over="ignore"):
        return np.exp(log_ei(p, best, xi))


def _mix(p: Mixture, logs: Array) -> Array:
    """log of the weighted sum of exp(logs), (k, q) -> (q,); a part of weight 0 has no say."""
    chosen = p.weights > 0
    with np.errstate(all="ignore"):
        logs = logs[chosen]
        top = logs.max(axis=0)  # NaN where any part is
        shift = np.where(np.isfinite(top), top, 0.0)
        out = np.log(p.weights[chosen] @ np.exp(logs - shift)) + shift
        return np.where(np.isposinf(top), np.inf, out)
