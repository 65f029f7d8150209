"""Two networks, two optimizers, one shared learning rate, and a score of one's own."""

import torch
from torch import nn
from torch.nn.functional import softplus

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

real = torch.randn(1024, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]]) + 2
batches = list(real.split(64))
generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))
g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
c = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.999))  # keeps its ratio of 2 to the other


def distance() -> float:
    """How far mean and covariance of the made points are from those of the real ones."""
    made = generator(torch.randn(2048, 4))
    return ((made.mean(0) - real.mean(0)).norm() + (made.T.cov() - real.T.cov()).norm()).item()


with gammatune.Tuner(model=[generator, critic], optimizer=[g, c], epochs=20) as tuner:
    for run in tuner:
        for x in run.batches(batches):
            made = generator(torch.randn(len(x), 4))
            c.zero_grad()
            (softplus(critic(made.detach())).mean() + softplus(-critic(x)).mean()).backward()
            c.step()
            g.zero_grad()
            softplus(-critic(made)).mean().backward()
            g.step()
        with torch.no_grad():
            run.report(score=-distance())

for outcome in tuner.result.course:
    print(f"epoch {outcome.epoch + 1}: lr {outcome.values['lr']:.2g}, distance {-(outcome.score or 0):.2f}")
