"""REINFORCE on a pole that is to be kept upright: no data but what the policy meets, and a score of one's own."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

POLES, LONGEST = 16, 100
model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)


def moved(state: Tensor, right: Tensor) -> Tensor:
    """Cart and pole a fiftieth of a second later (Barto, Sutton and Anderson 1983)."""
    x, v, angle, turn = state.T
    force = (20.0 * right - 10.0 + 0.05 * turn**2 * angle.sin()) / 1.1
    turning = (9.8 * angle.sin() - angle.cos() * force) / (0.5 * (4 / 3 - 0.1 * angle.cos() ** 2 / 1.1))
    pushing = force - 0.05 * turning * angle.cos() / 1.1
    return torch.stack([x + 0.02 * v, v + 0.02 * pushing, angle + 0.02 * turn, turn + 0.02 * turning], dim=1)


def episodes(starts: Tensor) -> tuple[Tensor, Tensor]:
    """The log-probability of what was done in each step, and whether the pole was up then; (steps, poles) each."""
    state, up, chances, ups = starts, torch.ones(len(starts)), [], []
    for _ in range(LONGEST):
        choice = torch.distributions.Categorical(logits=model(state))
        right = choice.sample()
        chances.append(choice.log_prob(right))
        state = moved(state, right.float())
        up = up * (state[:, 0].abs() < 2.4) * (state[:, 2].abs() < 0.21)
        ups.append(up)
        if not up.any():
            break
    return torch.stack(chances), torch.stack(ups)


def starts() -> Iterator[Tensor]:
    while True:
        yield torch.rand(POLES, 4) * 0.1 - 0.05


def validate() -> dict[str, float]:
    return {"upright": episodes(torch.linspace(-0.05, 0.05, 32).repeat(4, 1).T)[1].sum(0).mean().item()}


with gammatune.Tuner(model=model, optimizer=optimizer, steps=60, every=10) as tuner:
    for run in tuner:
        for start in run.batches(starts):
            chances, up = episodes(start)
            left = up.flip(0).cumsum(0).flip(0)  # the steps that each pole had still to go
            advantage = (left - left.mean()) / (left.std() + 1e-6)
            optimizer.zero_grad()
            loss = -(chances * advantage * up).sum(0).mean()
            loss.backward()
            optimizer.step()
        found = run.evaluate(validate, examples=32)  # nothing where nobody asks for a score
        run.report(score=found.get("upright"), **found)

for outcome in tuner.result.course:
    print(
        f"step {(outcome.epoch + 1) * 10}: lr {outcome.values['lr']:.2g}, {outcome.score:.0f} steps upright"
    )
print(tuner.result.cost)
