"""What the agreement of several processes costs: a step of plain DDP against one under the tuner.

    python benchmarks/ranks.py [--quick] [--out benchmarks/results/ranks.json]

Two processes, one thread each, gloo over the loopback. The same loop body over the same batches, plain and under the
tuner, alternating epoch by epoch; rank 0 tells its times. Three nets: a small one, whose step is nearly all exchange
of gradients, a middle one, and a step that idles up to 20 ms, as one that computes would.

    extra      the difference a step, tuned - plain, in microseconds: median and quartiles over epochs
    cpu        the same of the processor's time of one process, which depends less on what else the machine does
    exchange   the one sum over the ranks that each batch costs, alone
    decision   from `report` to the next run's first batch

On a machine with other work every exchange waits for the scheduler; the load is noted beside the result.
"""

import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import harness
import torch
import torch.distributed as dist
from harness import spread
from overhead import unhooked
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import gammatune
from gammatune.engine.process_group import ProcessGroup

WORLD = 2
NETS = {
    "small": (64, 0.0),
    "middle": (512, 0.0),
    "20 ms a step": (64, 0.02),
}  # width, seconds a step takes at least


def measure(rank: int, meeting: str, steps: int, epochs: int, out: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORLD)
    found: dict[str, Any] = {name: step(*net, steps, epochs) for name, net in NETS.items()}
    group = ProcessGroup()
    times = []
    for _ in range(steps * epochs):
        with harness.timed() as took:
            group.sum("takes a batch", 1.0, 32.0, 0.0, 0.0, 0.0)
        times.append(1e6 * took.wall)
    found["exchange_us"] = spread(times)
    if rank == 0:
        Path(out).write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def step(width: int, seconds: float, steps: int, epochs: int) -> dict[str, Any]:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )
    model = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    steps = steps if not seconds else max(5, steps // 10)
    data = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(steps)]

    def body(source: Any) -> tuple[float, float]:
        with harness.timed() as took:
            for x, y in source:
                started = time.perf_counter()
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                time.sleep(max(0.0, seconds - (time.perf_counter() - started)))
        return took.wall / steps * 1e6, took.processor / steps * 1e6

    def plain() -> tuple[float, float]:
        with unhooked(optimizer):
            return body(data)

    plain_times: list[tuple[float, float]] = []
    tuned_times: list[tuple[float, float]] = []
    decisions: list[float] = []
    ended: float | None = None
    given: dict[str, Any] = {"epochs": epochs, "budget": 2, "policy": "greedy", "sampler": "random"}
    with gammatune.Tuner(model=model, optimizer=optimizer, space=["lr=1e-5:1e-3:log"], **given) as tuner:
        for run in tuner:
            if ended is not None:
                decisions.append((time.perf_counter() - ended) * 1e3)
            plain_times.append(plain())
            tuned_times.append(body(run.batches(data)))
            ended = time.perf_counter()
            run.report(score=1.0)
    both = list(zip(plain_times, tuned_times, strict=True))
    return {
        "plain_us": spread([bare for bare, _ in plain_times]),
        "tuned_us": spread([tuned for tuned, _ in tuned_times]),
        "extra_us": spread([tuned[0] - bare[0] for bare, tuned in both]),
        "plain_cpu_us": spread([cpu for _, cpu in plain_times]),
        "extra_cpu_us": spread([tuned[1] - bare[1] for bare, tuned in both]),
        "decision_ms": spread(decisions),
        "steps_an_epoch": steps,
        "epochs": len(both),
    }


def main() -> None:
    arguments = harness.arguments(__doc__, quick="fewer steps").parse_args()
    steps, epochs = (20, 4) if arguments.quick else (100, 12)
    before = os.getloadavg()[0]
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        out = f"{directory}/found.json"
        given = (f"{directory}/meeting", steps, epochs, out)
        processes = [context.Process(target=measure, args=(rank, *given)) for rank in range(WORLD)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        found = json.loads(Path(out).read_text())
    for name in NETS:
        extra, cpu, bare = (found[name][key] for key in ("extra_us", "extra_cpu_us", "plain_us"))
        print(
            f"{name}: plain DDP {bare['median']:.0f} us a step, under the tuner {extra['median']:+.0f} us "
            f"({extra['lower_quartile']:+.0f} .. {extra['upper_quartile']:+.0f}; of the processor "
            f"{cpu['median']:+.0f}), a decision {found[name]['decision_ms']['median']:.1f} ms"
        )
    print(f"one sum over the ranks: {found['exchange_us']['median']:.0f} us")
    if arguments.out:
        load = {"load_before": before, "load_after": os.getloadavg()[0]}
        about = {"machine": harness.machine("torch", "numpy"), "processes": WORLD, "backend": "gloo"}
        harness.save(arguments.out, {**about, **load, **found})


if __name__ == "__main__":
    main()
