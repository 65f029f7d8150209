"""Muon for the matrices, AdamW for the rest: two optimizers, one rate found for both in the ratio theirs have."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

images, labels = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

hidden = [p for layer in (model[0], model[2]) for p in layer.parameters() if p.ndim == 2]
others = [p for p in model.parameters() if all(p is not one for one in hidden)]
muon = torch.optim.Muon(hidden, lr=0.02, weight_decay=0.01)
adamw = torch.optim.AdamW(others, lr=0.005)


def validate() -> dict[str, float]:
    output = model(x[1400:])
    loss = nn.functional.cross_entropy(output, y[1400:]).item()
    return {"accuracy": (output.argmax(1) == y[1400:]).float().mean().item(), "loss": loss}


with gammatune.Tuner(model=model, optimizer=[muon, adamw], epochs=8) as tuner:
    for run in tuner:
        model.train()
        for a, b in run.batches(loader):
            model.zero_grad()
            nn.functional.cross_entropy(model(a), b).backward()
            muon.step()
            adamw.step()
        run.report(**run.evaluate(validate))

for outcome in tuner.result.course:
    print(
        f"epoch {outcome.epoch + 1}: lr {outcome.values['lr']:.3g}, accuracy {outcome.metrics['accuracy']:.3f}"
    )
print(tuner.result.cost)
