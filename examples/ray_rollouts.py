"""The rollouts of one decision beside each other, in processes of a Ray cluster: pip install 'gammatune[ray]'.

Here on this machine; `parallel="ray:ADDRESS"` takes a cluster that is there, and so does a process that has called
`ray.init`. The result depends on the seed and on how many rollouts are chosen together (`at_once`), not on how many
workers train them.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import gammatune


def main() -> None:
    torch.set_num_threads(1)  # a worker takes as many
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype("float32")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    result = gammatune.fit(
        *(model, (X[:1200], y[:1200]), (X[1200:1500], y[1200:1500])),
        test_set=(X[1500:], y[1500:]),
        epochs=8,
        budget=6,  # walks whose every epoch is the average of several trainings, each in a process of its own
        parallel="ray",
        at_once=4,
    )
    print(f"accuracy {result.report.accuracy:.3f}, {result.cost}")


if __name__ == "__main__":  # workers may import this file
    main()
