"""A search of your own: two verbs, `ask` and `tell`. The thesis's policy begins a new one for every epoch."""

import torch
from torch import nn

import gammatune
from gammatune.records import Observation, Values

torch.manual_seed(0)


class Halving:
    """Starts high and halves; stops proposing after the first that was worse than the one before."""

    def __init__(self, space: gammatune.Space, rng: object) -> None:
        self.next, self.scores, self.best = 1.0, [], None

    def ask(self) -> Values | None:
        if len(self.scores) > 1 and self.scores[-1] < self.scores[-2]:
            return None
        self.next /= 2
        return {"lr": self.next}

    def tell(self, observation: Observation) -> None:
        self.scores.append(-float("inf") if observation.score is None else observation.score)
        if self.scores[-1] == max(self.scores):
            self.best = observation.values

    def recommend(self) -> Values | None:
        return self.best


x = torch.randn(200, 8)
y = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
result = gammatune.fit(
    model, (x, y), epochs=3, optimizer="momentum", policy="greedy", sampler=Halving, space=["lr=1e-3:1:log"]
)
print([f"{values['lr']:.3g}" for values in result.schedule], f"accuracy {result.report.accuracy:.2f}")
