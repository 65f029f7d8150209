"""The noisy quadratic of Wu et al. (2018, arXiv 1803.02021), on which a policy that scores by the near future fails.

    L(theta) = 1/2 sum_i h_i theta_i^2,     a gradient is  h_i theta_i + eps_i,  Var(eps_i) = c_i = noise * h_i

A small rate quiets the noise of the stiff directions and looks best now; a large one moves the slow directions and
ends best. No network, no data: the second moments of SGD, with momentum or without, are followed exactly, so that
one number, the expected excess loss, says where a schedule leads. Symbols: n dimensions; mu momentum; v velocity;
theta and v in PyTorch's convention, v <- mu v + g, theta <- theta - lr v.
"""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from gammatune.cost import Meter
from gammatune.records import Metrics, Values
from gammatune.seeds import stream

Array = npt.NDArray[np.float64]
BLOW_UP = 1e12  # times the first loss; the engine's limit for gradients, 1e6 times the first, squared


def power_law(n: int = 1000, exponent: float = 1.0) -> Array:  # (n,), in (0, 1]
    """h_i = i^-exponent. Exponent 1 is the spectrum of Zhang et al. (2019, arXiv 1907.04164)."""
    return np.asarray(np.arange(1, n + 1) ** -float(exponent), dtype=np.float64)


def log_spaced(n: int = 1000, condition: float = 1e4) -> Array:  # (n,), in [1 / condition, 1]
    """As many directions in every decade, from 1 down to 1 / condition."""
    return np.geomspace(1.0, 1.0 / condition, n)


class NoisyQuadratic:
    """A `Trainable`: SGD on the noisy quadratic, from E[theta_i^2] = 1.

    h: curvatures (n,), above 0. noise: c_i / h_i, 0 or more; smaller is a larger batch. momentum: in [0, 1).
    steps: batches in an epoch, of `batch` examples each. validation: examples a score costs (guess: a fifth of
    an epoch).
    sampled: simulate one training with random numbers that belong to `seed`, instead of the expectation of all.

    It scores itself by {"loss": the excess loss}: objective "log-loss" compares ratios of it.
    """

    def __init__(
        self,
        h: Array | None = None,
        *,
        steps: int = 100,
        noise: float = 1.0,
        momentum: float = 0.0,
        batch: int = 10,
        validation: int | None = None,
        sampled: bool = False,
        seed: int = 0,
    ) -> None:
        h = power_law() if h is None else np.asarray(h, float)
        self.steps = steps
        self.batch = batch
        self.validation = steps * batch // 5 if validation is None else validation
        self.state: _Expected | _Sampled
        if sampled:
            self.state = _Sampled(h, noise * h, momentum, stream(seed, "noisy quadratic"))
        else:
            self.state = _Expected(h, noise * h, momentum)
        self._first = self.loss
        self._forks: dict[str, Any] = {}

    @property
    def loss(self) -> float:
        """The excess loss as the training stands: expected, or of the sampled theta."""
        return self.state.loss()

    def capture(self, fork: str) -> None:
        self._forks[fork] = self.state.capture()

    def restore(self, fork: str) -> None:
        self.state.restore(self._forks[fork])

    def apply(self, values: Values, meter: Meter) -> None:
        self.state.order = meter.order

    def reorder(self, seed: int, *names: int) -> None:
        self.state.reorder(stream(seed, "order", *names))

    def pool(self, name: str, count: int) -> None:
        self.state.pool(name, count)

    def average(self, name: str) -> None:
        self.state.average(name)

    def close(self) -> None:
        self._forks.clear()

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        lr = float(values["lr"])
        planned = meter.length.batches(self.steps)
        meter.epoch_batches += self.steps
        meter.epoch_examples += self.steps * self.batch
        for done in range(planned):
            if meter.units + self.batch > meter.allowance:
                meter.cut = True
                meter.note = "the budget was spent before the rollout had ended"
                return
            meter.trained += self.batch
            meter.batches += 1
            meter.steps += 1
            with np.errstate(over="ignore", invalid="ignore"):
                self.state.step(lr * meter.shape((done + 0.5) / planned))
                blown_up = not self.loss < BLOW_UP * self._first  # NaN too
            if blown_up:
                meter.diverged = True
                meter.note = f"the loss blew up at step {meter.steps}"
                return

    def evaluate(self, meter: Meter) -> Metrics:
        meter.evaluated += self.validation
        return {"loss": self.loss}


class _Expected:
    """Second moments of x = (theta, v), one pair a dimension, and what is shared by all trainings from one fork.

        S = E[x x^T]                     (2, 2, n)
        S = P S_0 P^T + N                S_0 that of the fork; P what the steps since have made of it; N noise since

    K trainings from one fork share P x_0, and their noise is independent, each having an order of its own: so their
    mean has P the mean of theirs, and N the sum of theirs over K^2.
    """

    def __init__(self, h: Array, c: Array, mu: float) -> None:
        self._h, self._c, self._mu = h, c, mu
        self._S = np.zeros((2, 2, len(h)))
        self._S[0, 0] = 1.0
        self._S0 = self._S.copy()
        self._P = _identity(len(h))
        self._pools: dict[str, tuple[Array, Array, Array, set[int]]] = {}
        self.order = 0

    def loss(self) -> float:
        return 0.5 * float(self._h @ self._S[0, 0])

    def step(self, lr: float) -> None:
        h, c, mu = self._h, self._c, self._mu
        if mu == 0:  # v does not matter; this runs in every step of a benchmark
            keep = 1 - lr * h
            self._P[0, 0] *= keep
            keep *= keep
            self._S[0, 0] *= keep
            self._S[0, 0] += lr * lr * c
            return
        M = np.array([[1 - lr * h, np.full_like(h, -lr * mu)], [h, np.full_like(h, mu)]])  # (2, 2, n)
        self._P = _product(M, self._P)
        self._S = _around(M, self._S) + c * np.array([[lr * lr, -lr], [-lr, 1.0]])[:, :, None]

    def capture(self) -> Array:
        return self._S.copy()

    def restore(self, fork: Array) -> None:
        self._S0 = fork  # never written into: pools tell by it whether their members belong together
        self._S = fork.copy()
        self._P = _identity(len(self._h))

    def reorder(self, source: np.random.Generator) -> None:
        """Nothing: the expectation over one order is that over any other."""

    def pool(self, name: str, count: int) -> None:
        N = self._S - _around(self._P, self._S0)
        if count == 1:
            self._pools[name] = self._S0, self._P.copy(), N, {self.order}
            return
        S0, mean, noise, orders = self._pools[name]
        if S0 is not self._S0 or self.order in orders:
            raise AssertionError("members of a mean come from one fork, and each has an order of its own")
        mean += (self._P - mean) / count
        noise *= ((count - 1) / count) ** 2
        noise += N / count**2
        orders.add(self.order)

    def average(self, name: str) -> None:
        self._S0, self._P, noise, _ = self._pools.pop(name)
        self._S = _around(self._P, self._S0) + noise


class _Sampled:
    """theta and v (2, n) of one training, and the generator of its noise."""

    def __init__(self, h: Array, c: Array, mu: float, rng: np.random.Generator) -> None:
        self._h, self._sd, self._mu = h, np.sqrt(c), mu
        self._rng = rng
        self._x = np.stack([rng.standard_normal(len(h)), np.zeros(len(h))])
        self._pools: dict[str, Array] = {}
        self.order = 0

    def loss(self) -> float:
        return 0.5 * float(self._h @ self._x[0] ** 2)

    def step(self, lr: float) -> None:
        theta, v = self._x
        v *= self._mu
        v += self._h * theta + self._sd * self._rng.standard_normal(len(theta))
        theta -= lr * v

    def capture(self) -> tuple[Array, Any]:
        return self._x.copy(), copy.deepcopy(self._rng.bit_generator.state)

    def restore(self, fork: tuple[Array, Any]) -> None:
        x, state = fork
        self._x = x.copy()
        self._rng.bit_generator.state = copy.deepcopy(state)

    def reorder(self, source: np.random.Generator) -> None:
        self._rng.bit_generator.state = source.bit_generator.state

    def pool(self, name: str, count: int) -> None:
        mean = self._pools[name] if count > 1 else self._x
        self._pools[name] = mean + (self._x - mean) / count

    def average(self, name: str) -> None:
        self._x = self._pools.pop(name)


def _identity(n: int) -> Array:  # (2, 2, n)
    return np.repeat(np.eye(2)[:, :, None], n, axis=2)


def _product(A: Array, B: Array) -> Array:  # (2, 2, n) each
    product: Array = (A[:, :, None] * B[None]).sum(axis=1)
    return product


def _around(A: Array, S: Array) -> Array:
    """A S A^T, dimension by dimension."""
    return _product(_product(A, S), A.transpose(1, 0, 2))
