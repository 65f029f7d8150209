"""K rollouts of one small network in one batched pass against the same K one after the other.

    python benchmarks/stacked.py [--device cuda] [--quick] [--out benchmarks/results/stacked.json]

A step is forward, backward and update of AdamW on one batch that lies on the device already. In a row: K networks,
each with torch's own optimizer (its default implementation on the device), without gammatune. Stacked: one
`gammatune.supervised.stack.Stack` of K members. Both are timed in turn, `steps` steps at a time, after a warm-up; the
device is waited for at the start and the end of each. Medians and quartiles of `n` timings, in milliseconds a step of
all K; ratio is in a row over stacked: above 1 the pass is faster.

On a CPU one thread, and the processor's time, which other programs do not lengthen by waiting; there nothing is to be
expected but the saved Python of small steps. On a GPU the time of the clock.
"""

import json
import statistics
from collections.abc import Callable
from typing import Any

import harness
import torch
from torch import Tensor, nn

from gammatune.pipeline.models import make_model
from gammatune.supervised.stack import Stack, at_rates

MEMBERS = (1, 2, 4, 8, 16)
BATCH = 64
ENOUGH = 0.3  # seconds to time at once; fewer steps where they take longer


class Transformer(nn.Module):
    """Two encoder layers over 16 tokens of 32 numbers."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        said: Tensor = self.head(self.layers(x).mean(dim=1))
        return said


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp 64-64-10": (
        lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
        (64,),
    ),
    "mlp 784-256-256-10": (
        lambda: nn.Sequential(
            *(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
        ),
        (784,),
    ),
    "cnn 8x8": (lambda: make_model("cnn", (1, 8, 8), 10, seed=0), (1, 8, 8)),
    "cnn 28x28": (lambda: make_model("cnn", (1, 28, 28), 10, seed=0), (1, 28, 28)),
    "transformer 2x32": (Transformer, (16, 32)),
}


def compare(name: str, members: int, device: torch.device, *, most: int, n: int) -> dict[str, Any]:
    """One row of the table."""
    make, shape = NETS[name]
    torch.manual_seed(0)
    x = torch.randn(BATCH, *shape, device=device)
    y = torch.randint(10, (BATCH,), device=device)
    models = [make().to(device) for _ in range(members)]
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-3) for model in models]
    model = make().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    rates = [10 ** (-4 + 2 * k / members) for k in range(members)]
    stack = Stack(model, optimizer, nn.functional.cross_entropy, at_rates(optimizer, rates))

    steps = 1

    def in_a_row() -> None:
        for model, optimizer in zip(models, optimizers, strict=True):
            for _ in range(steps):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()

    def stacked() -> None:
        for _ in range(steps):
            stack.step(x, y)

    bodies = {"in_a_row": in_a_row, "stacked": stacked}
    for _ in range(2):  # the warm-up
        slowest = max(timed(body, device) for body in bodies.values())
    steps = max(1, min(most, int(ENOUGH / slowest)))
    times: dict[str, list[float]] = {kind: [] for kind in bodies}
    for _ in range(n):
        for kind, body in bodies.items():
            times[kind].append(timed(body, device) / steps * 1e3)
    return {
        "net": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "members": members,
        **{f"{kind}_ms": statistics.median(each) for kind, each in times.items()},
        **{f"{kind}_quartiles_ms": statistics.quantiles(each, n=4) for kind, each in times.items()},
        "ratio": statistics.median(a / b for a, b in zip(times["in_a_row"], times["stacked"], strict=True)),
        "steps": steps,
        "n": n,
    }


def timed(body: Callable[[], None], device: torch.device) -> float:
    """Seconds."""
    wait(device)
    with harness.timed() as took:
        body()
        wait(device)
    return took.processor if device.type == "cpu" else took.wall


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = harness.arguments(__doc__, quick="a smoke version: seconds, not minutes")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    most, n = (3, 2) if arguments.quick else (20, 11)
    rows = []
    print(f"{'net':20} {'K':>3} {'in a row':>12} {'stacked':>12} {'ratio':>7}")
    for name in NETS:
        for members in MEMBERS:
            row = compare(name, members, device, most=most, n=n)
            rows.append(row)
            print(
                f"{name:20} {members:3} {row['in_a_row_ms']:9.3f} ms {row['stacked_ms']:9.3f} ms "
                f"{row['ratio']:6.2f}x"
            )
    result = {
        "machine": harness.machine("torch", "gammatune"),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "batch_size": BATCH,
        "rows": rows,
    }
    if arguments.out:
        known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        harness.save(arguments.out, known | {device.type: result})  # those of other devices stay


if __name__ == "__main__":
    main()
