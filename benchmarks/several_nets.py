"""What three nets take beside one: of memory while they are trained, and of time and memory when they are asked.

    python benchmarks/several_nets.py [--nets mlp] [--repeats 3] [--out benchmarks/results/several_nets.json]

One thread. Of each net `fit` at a budget for one and for three, on the same data, each in a process of its
own, and one that only makes net and data. The median of the repeats:

    memory    begun, one, three: the highest resident memory of those processes, MiB; ratio: of three to one; beyond:
              of what lies above `begun`. held: where what was freed goes back to the system at once, so that what
              counts is what is held at a time; taken: as the allocator has it, which keeps much of that for later
    asking    by the size of a batch, the seconds that one net takes for it and that the three together take, and
              their ratio. Where the net is small the averaging itself is as much as a net

A bound on the ratio of memory held is 1.3, on that of asking 3.2.
"""

import argparse
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import harness
import torch
from torch import Tensor, nn

import gammatune
from gammatune.engine.ensemble import Ensemble
from gammatune.policy import nets as policy

policy.WORTH = -1.0  # three, whatever a third promises
ALLOCATOR = {"taken": {}, "held": {"MALLOC_MMAP_THRESHOLD_": "131072"}}  # of the GNU C library
PASSES = 200  # passes in turn, the fastest tenth of which counts
BOUNDS = {"held": 1.3, "asking": 3.2}


@dataclass(frozen=True)
class Net:
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]  # of one input
    train: int
    select: int
    classes: int = 10
    epochs: int = 4
    batches: tuple[int, ...] = (64,)

    @property
    def budgets(self) -> dict[str, float]:
        """What pays for so many: beside them nearly half of one, a first pass, and one for each to be asked."""
        pass_ = self.select / 3 / (self.epochs * (self.train + self.select / 3))
        return {"one": 1.6, "three": 3.6 + 4 * pass_}


def perceptron(width: int, layers: int) -> nn.Module:
    hidden = [part for _ in range(layers) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), *hidden, nn.Linear(width, 10))


def pixels() -> nn.Module:
    """A class for each pixel."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 21, 3, padding=1))
    )


NETS = {
    "mlp": Net(lambda: perceptron(128, 1), (64,), 4000, 1000, batches=(64, 1024)),
    "weights": Net(lambda: perceptron(2048, 3), (64,), 640, 160),  # 13 million, 50 MiB
    "pixels": Net(pixels, (3, 48, 48), 160, 400, classes=21, epochs=3),  # outputs of 74 MiB
}


def data(net: Net) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(net.train + net.select, *net.shape, generator=generator)
    flat = x if len(net.shape) == 1 else x.movedim(1, -1)
    y = (flat @ torch.randn(flat.shape[-1], net.classes, generator=generator)).argmax(-1)
    return (x[: net.train], y[: net.train]), (x[net.train :], y[net.train :])


def trained(net: Net, budget: float) -> gammatune.FitResult:
    torch.manual_seed(0)
    train, select = data(net)
    return gammatune.fit(
        *(net.make(), train, select),
        epochs=net.epochs, budget=budget, batch_size=32, new_model=net.make, progress=False, device="cpu",
        space=["lr=0.001"],
    )  # fmt: skip


def peak(name: str, what: str) -> float:
    """MiB, of this process."""
    net = NETS[name]
    if what == "begun":
        held = net.make(), data(net)
        assert held
    else:
        nets = trained(net, net.budgets[what]).nets
        assert len(nets) == (3 if what == "three" else 0), nets
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def in_a_process(name: str, what: str, options: dict[str, str]) -> float:
    return float(harness.in_a_process(__file__, "--nets", name, "--what", what, environment=options))


@torch.no_grad()
def asking(net: Net, batch: int) -> dict[str, float]:
    whole = Ensemble([net.make() for _ in range(3)], classify=True).eval()
    one, x = whole.members[0], torch.randn(batch, *net.shape)

    def seconds(model: nn.Module, given: Tensor) -> float:
        with harness.timed() as took:
            model(given)
        return took.wall

    taken = [(seconds(one, x), seconds(whole, x)) for _ in range(PASSES)]
    alone, together = (statistics.mean(sorted(each)[: PASSES // 10]) for each in zip(*taken, strict=True))
    return {"one": alone, "three": together, "ratio": together / alone}


def memory(name: str, options: dict[str, str], repeats: int) -> dict[str, float]:
    row = {
        what: statistics.median(in_a_process(name, what, options) for _ in range(repeats))
        for what in ("begun", "one", "three")
    }
    beyond = (row["three"] - row["begun"]) / (row["one"] - row["begun"])
    return row | {"ratio": row["three"] / row["one"], "beyond": beyond}


def measure(repeats: int, net: str) -> dict[str, Any]:
    found: dict[str, Any] = harness.rounded({
        "memory": {kind: memory(net, options, repeats) for kind, options in ALLOCATOR.items()},
        "asking": {batch: asking(NETS[net], batch) for batch in NETS[net].batches},
    })  # fmt: skip
    return found


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--nets", default=";".join(NETS), help="with semicolons")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--what", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.what:
        print(peak(args.nets, args.what))
        return
    cells = harness.Cells.beside(args.out, "net")
    harness.sweep(cells, [{"net": name} for name in args.nets.split(";")], partial(measure, args.repeats))
    if args.out:
        about = harness.about("gammatune", "torch")
        harness.save(args.out, {**about, "bounds": BOUNDS, "rows": list(cells)})


if __name__ == "__main__":
    main()
