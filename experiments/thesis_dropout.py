"""Where does the thesis's network have its dropout? Plain training, one rate for the run, no search.

    python experiments/thesis_dropout.py FILE --out experiments/results/thesis_dropout.json

FILE is an .npz with x_train, y_train, x_test, y_test (MNIST). 500 images, 100 of them held back, SGD, batch 50,
weight decay 0.001, 50 epochs, as in the thesis's table 2, which gives a dropout ratio of 0.5 and not its place. The
thesis reports 86 to 94 %. Measured on the 10,000 test images, best rate of five for each seed.

Evidence: experiments/results/thesis_dropout.json; it is why `thesis` drops behind the last hidden layer only
[reading].
"""

import statistics
import sys
from functools import cache, partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import harness
import torch
from torch import nn

from gammatune.pipeline.data import load
from gammatune.pipeline.data.split import Split, split_data
from gammatune.pipeline.models.seeded import seeded
from gammatune.pipeline.models.thesis import thesis

RATES = (0.02, 0.05, 0.1, 0.2, 0.3)
LAYERS = {"behind all six": 6, "behind the last": 1, "none": 0}


def accuracy(split: Split, dropped: int, lr: float, seed: int, epochs: int) -> float:
    with seeded(seed):
        model = thesis(split.shape, split.outputs, dropped=dropped)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=0.001)
        x, y, _ = split.train
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(50):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step()
        model.eval()
        with torch.no_grad():
            return (model(split.report.x).argmax(1) == split.report.y).float().mean().item()


@cache
def split_of(data: str, seed: int) -> Split:
    return split_data(load(data), seed=seed, limit=500)


def run(data: str, layers: str, seed: int, epochs: int) -> harness.Row:
    split = split_of(data, seed)
    return {"best": max(accuracy(split, LAYERS[layers], lr, seed, epochs) for lr in RATES)}


def main() -> None:
    parser = harness.arguments(__doc__, seeds=3)
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=50)
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "layers", "seed", "epochs")
    rows = {}
    for name in LAYERS:
        keys = [{"layers": name, "seed": seed, "epochs": args.epochs} for seed in range(args.seeds)]
        harness.sweep(cells, keys, partial(run, args.data))
        best = [row["best"] for row in cells.good(layers=name, epochs=args.epochs)]
        spread = statistics.stdev(best) if len(best) > 1 else None
        rows[name] = {"mean": statistics.mean(best), "sd": spread, "n": len(best), "best_of_rates": best}
        print(f"dropout {name}: {', '.join(f'{100 * b:.1f} %' for b in best)}", flush=True)
    if args.out:
        where = harness.machine("torch", "numpy", "gammatune")
        result = {"machine": where, "rates": RATES, "epochs": args.epochs, "accuracy": rows}
        harness.save(args.out, result)


if __name__ == "__main__":
    main()
