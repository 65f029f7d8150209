"""A variational autoencoder: a loss that is no loss of labels, and random numbers in every forward pass."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

images = torch.tensor(load_digits().data / 16, dtype=torch.float32)
train, select = images[:1400], images[1400:]
loader = DataLoader(TensorDataset(train), batch_size=64, shuffle=True)


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
        self.decode = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decode(z), mean, log_variance


model = Vae()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def loss_of(x: Tensor) -> Tensor:
    """Minus the evidence's lower bound, in nats an image (Kingma and Welling 2014)."""
    logits, mean, log_variance = model(x)
    told = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    apart = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return (told + apart) / len(x)


with gammatune.Tuner(model=model, optimizer=optimizer, epochs=10, objective="loss") as tuner:
    for run in tuner:
        model.train()
        for (x,) in run.batches(loader):
            optimizer.zero_grad()
            loss_of(x).backward()
            optimizer.step()
        run.report(**run.evaluate(lambda: {"loss": loss_of(select).item()}))

for outcome in tuner.result.course:
    print(f"epoch {outcome.epoch + 1}: lr {outcome.values['lr']:.3g}, loss {outcome.metrics['loss']:.2f}")
print(tuner.result.cost)
