"""A loop written with Lightning Fabric: what it has set up is given as it is (pip install 'gammatune[lightning]')."""

import torch
from lightning.fabric import Fabric
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)  # a small net is faster on one thread

images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
train, held_out = random_split(data, [1397, 400])

fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
model, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters()))
loader, select = fabric.setup_dataloaders(
    DataLoader(train, batch_size=32, shuffle=True), DataLoader(held_out, batch_size=400)
)


def validate() -> dict[str, float]:
    ((x, y),) = select
    output = model(x)
    right = (output.argmax(1) == y).float().mean().item()
    return {"accuracy": right, "loss": nn.functional.cross_entropy(output, y).item()}


with gammatune.Tuner(model=model, optimizer=optimizer, epochs=8) as tuner:
    for run in tuner:
        model.train()
        for x, y in run.batches(loader):
            optimizer.zero_grad()
            fabric.backward(nn.functional.cross_entropy(model(x), y))
            fabric.clip_gradients(model, optimizer, max_norm=1.0)
            optimizer.step()
        run.report(**run.evaluate(validate))

for epoch, outcome in enumerate(tuner.result.course, start=1):
    print(f"epoch {epoch}: accuracy {outcome.metrics['accuracy']:.3f}")
