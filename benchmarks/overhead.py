"""What gammatune costs beside the training itself: per step, per decision, per fork; and does memory stay flat.

    python benchmarks/overhead.py [--quick] [--out benchmarks/results/overhead.json]

One thread, one process, medians of many; every ratio compares two things measured alternately in this run.

    step      the same loop body over the same batches, plain and under the tuner: difference a step
    decision  from `report` to the next run's first batch: tell, journal (fsynced), suggestion, restore, apply
    share     a run whose steps take 2 ms, with a journal on disk: what it takes beyond its bare steps, of the whole
    fork      capture + restore of model and optimizer against copying the same tensors out and in, one by one
    memory    resident memory after 30 and after 300 rollouts
"""

import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
import torch
from torch import nn

import gammatune
from gammatune.engine.loop import TorchLoop
from gammatune.pipeline.models import make_model

SPACE = ["lr=1e-4:1e-1:log"]


@contextmanager
def unhooked(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """The optimizer as it is without a tuner."""
    hooks = optimizer._optimizer_step_pre_hooks.copy()
    optimizer._optimizer_step_pre_hooks.clear()
    try:
        yield
    finally:
        optimizer._optimizer_step_pre_hooks.update(hooks)


def small_net() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def batches(steps: int) -> list[Any]:
    return [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(steps)]


def step_cost(steps: int, repeats: int, make: Callable[[], nn.Module] = small_net) -> dict[str, float]:
    """Microseconds a step, plain and under the tuner, alternating epoch by epoch."""
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    data = batches(steps)

    def body(source: Any) -> float:
        taken, started = 0, time.perf_counter()
        for x, y in source:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            taken += 1
        return (time.perf_counter() - started) / taken * 1e6  # some rollouts are shorter than an epoch

    def plain() -> float:
        with unhooked(optimizer):
            return body(data)

    plain_times, tuned_times = [], []
    tuner = gammatune.Tuner(
        model=model,
        optimizer=optimizer,
        epochs=repeats,
        budget=2,
        sampler="random",
        space=["lr=1e-5:1e-3:log"],
        check=False,
    )
    with tuner:
        for run in tuner:
            plain_times.append(plain())
            tuned_times.append(body(run.batches(data)))
            run.report(score=1.0)
    differences = [t - p for p, t in zip(plain_times, tuned_times, strict=True)]
    return {
        "plain_us": statistics.median(plain_times),
        "extra_us": statistics.median(differences),
        "extra_us_quartiles": statistics.quantiles(differences, n=4),  # type: ignore[dict-item]
        "n": len(differences),
    }


def decision_cost(epochs: int) -> dict[str, Any]:
    """Milliseconds from one run's report to the next run's start, with a journal on disk."""
    model = make_model("resnet", (3, 32, 32), 10, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    times = []
    with tempfile.TemporaryDirectory() as directory:
        tuner = gammatune.Tuner(
            model=model,
            optimizer=optimizer,
            epochs=epochs,
            budget=12,
            space=SPACE,
            run_dir=f"{directory}/run",
            check=False,
        )
        ended: float | None = None
        with tuner:
            for run in tuner:
                if ended is not None:
                    times.append((time.perf_counter() - ended) * 1e3)
                for a, b in run.batches([(x, y)]):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(a), b).backward()
                    optimizer.step()
                run.report(score=-abs(float(run.values["lr"]) - 0.01))
                ended = time.perf_counter()
    return {
        "median_ms": statistics.median(times),
        "p95_ms": sorted(times)[int(0.95 * len(times))],
        "n": len(times),
    }


def share(epochs: int, steps: int) -> dict[str, float]:
    """The part of a run, whose steps take 2 ms, that is gammatune's: the run against its bare steps.

    Before each rollout the same number of bare steps is timed, hooks away; a step is the small net's own
    work and idle turning up to 2 ms. The policy is greedy, whose every rollout is an epoch.
    """
    model = small_net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = batches(steps)
    bare, rollouts = 0.0, 0

    def body(source: Any) -> None:
        for x, y in source:
            begun = time.perf_counter()
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            while time.perf_counter() - begun < 1.8e-3:
                pass
            optimizer.step()

    def bare_epoch() -> float:
        with unhooked(optimizer), harness.timed() as took:
            body(data)
        return took.wall

    with tempfile.TemporaryDirectory() as directory:
        tuner = gammatune.Tuner(
            model=model,
            optimizer=optimizer,
            epochs=epochs,
            policy="greedy",
            budget=12,
            space=SPACE,
            run_dir=f"{directory}/run",
            check=False,
        )
        started = time.perf_counter()
        with tuner:
            for run in tuner:
                elapsed = bare_epoch()
                bare += elapsed
                rollouts += 1
                started += elapsed  # not part of the run
                body(run.batches(data))
                run.report(score=-abs(float(run.values["lr"]) - 0.01))
        ours = time.perf_counter() - started
    return {
        "steps_a_rollout": steps,
        "rollouts": rollouts,
        "bare_step_ms": bare / (rollouts * steps) * 1e3,
        "share": 1 - bare / ours,
    }


def fork_cost(
    name: str, make: Callable[[], nn.Module], shape: tuple[int, ...], repeats: int
) -> dict[str, Any]:
    """capture + restore against the plain copying of the same tensors, out and in."""
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    nn.functional.cross_entropy(model(torch.randn(4, *shape)), torch.randint(10, (4,))).backward()
    optimizer.step()
    optimizer.zero_grad()
    training = TorchLoop(model, optimizer, ["lr"])
    tensors = [*model.parameters(), *model.buffers()]
    tensors += [
        v for state in optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor)
    ]
    copies = [t.detach().clone() for t in tensors]
    training.capture("fork")

    def plain() -> None:
        with torch.no_grad():
            for copy, tensor in zip(copies, tensors, strict=True):
                copy.copy_(tensor)
            for copy, tensor in zip(copies, tensors, strict=True):
                tensor.copy_(copy)

    def ours() -> None:
        training.capture("fork")
        training.restore("fork")

    plain_times: list[float] = []
    our_times: list[float] = []
    for _ in range(repeats):
        for body, times in ((plain, plain_times), (ours, our_times)):
            with harness.timed() as took:
                body()
            times.append(1e3 * took.wall)
    training.close()
    return {
        "net": name,
        "tensors": len(tensors),
        "megabytes": sum(t.numel() * t.element_size() for t in tensors) / 2**20,
        "plain_ms": statistics.median(plain_times),
        "ours_ms": statistics.median(our_times),
        "ratio": statistics.median(o / p for o, p in zip(our_times, plain_times, strict=True)),
        "n": repeats,
    }


def memory(rollouts: int) -> dict[str, float]:
    """Resident megabytes early and late in a run of many rollouts."""
    model = make_model("resnet", (3, 32, 32), 10, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    readings = []
    tuner = gammatune.Tuner(
        model=model, optimizer=optimizer, epochs=rollouts // 10, budget=10, space=SPACE, check=False
    )
    with tuner:
        for run in tuner:
            for a, b in run.batches([(x, y)]):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(a), b).backward()
                optimizer.step()
            run.report(score=-abs(float(run.values["lr"]) - 0.01))
            readings.append(resident())
    early = statistics.median(readings[25:35])
    return {
        "after_30_mb": early,
        "at_end_mb": readings[-1],
        "growth_mb": readings[-1] - early,
        "rollouts": rollouts,
    }


def resident() -> float:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    arguments = harness.arguments(__doc__, quick="a smoke version: seconds, not minutes").parse_args()
    quick = arguments.quick
    torch.manual_seed(0)

    forks = {
        "mlp 64-64-10": (small_net, (64,)),
        "resnet-20": (lambda: make_model("resnet", (3, 32, 32), 10, seed=0), (3, 32, 32)),
        "cnn 28x28": (lambda: make_model("cnn", (1, 28, 28), 10, seed=0), (1, 28, 28)),
        "alexnet": (lambda: make_model("alexnet", (3, 32, 32), 10, seed=0), (3, 32, 32)),
    }
    result = {
        **harness.about("torch", "numpy", "gammatune"),
        "step": step_cost(100, 5 if quick else 100),
        "step_deep": step_cost_deep(2 if quick else 15),
        "decision": decision_cost(2 if quick else 20),
        "share": [share(1 if quick else 3, steps) for steps in ((50,) if quick else (50, 200, 500))],
        "forks": [fork_cost(name, make, shape, 5 if quick else 200) for name, (make, shape) in forks.items()],
        "memory": memory(60 if quick else 300),
    }
    print(json.dumps(result, indent=1))
    if arguments.out:
        harness.save(arguments.out, result)


def step_cost_deep(repeats: int) -> dict[str, float]:
    """The same for a net of many tensors: the look at all gradients must not cost more than it may."""

    def make() -> nn.Module:
        return nn.Sequential(
            nn.Linear(64, 32),
            *(layer for _ in range(30) for layer in (nn.Linear(32, 32), nn.ReLU())),
            nn.Linear(32, 10),
        )

    return step_cost(50, repeats, make)


if __name__ == "__main__":
    main()
