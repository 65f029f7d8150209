"""A network that knows the digits 0 to 4 learns 5 to 9 from ten examples each: frozen, all of it, from scratch."""

import sys
from statistics import mean

import torch
from sklearn.datasets import load_digits
from torch import nn

import gammatune

torch.set_num_threads(1)
images, labels = load_digits(return_X_y=True)
x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
y = torch.tensor(labels)
low, high = torch.where(y < 5)[0], torch.where(y >= 5)[0]


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    features = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten()),
    )
    return nn.Sequential(*[features, nn.Linear(64 * 4 * 4, 5)])


pretrained = network(0)
gammatune.fit(pretrained, (x[low], y[low]), epochs=10, batch_size=32)
torch.save(pretrained.state_dict(), "digits-0-to-4.pt")


def tune(way: str, seed: int) -> float:
    """The accuracy on the digits 5 to 9 that were not among the fifty."""
    shuffled = high[torch.randperm(len(high), generator=torch.Generator().manual_seed(seed))]
    few = torch.cat([shuffled[y[shuffled] == digit][:10] for digit in range(5, 10)])
    rest = shuffled[~torch.isin(shuffled, few)]
    model = network(seed + 1)
    if way != "from scratch":
        gammatune.load_weights(model, "digits-0-to-4.pt", new_head=True)
    if way == "frozen":
        gammatune.freeze(model, "0")  # the features; their BatchNorm keeps its statistics
    select = few[::5]
    train = few[~torch.isin(few, select)]
    result = gammatune.fit(
        model,
        (x[train], y[train] - 5),
        (x[select], y[select] - 5),
        test_set=(x[rest], y[rest] - 5),
        epochs=60,
        batch_size=8,
        pretrained=way != "from scratch",
        seed=seed,
    )
    return result.report.accuracy


seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
for way in ("frozen", "all of it", "from scratch"):
    accuracies = [tune(way, seed) for seed in range(seeds)]
    print(f"{way:13} {mean(accuracies):.3f}  ({min(accuracies):.3f} to {max(accuracies):.3f})")
