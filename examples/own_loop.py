"""A training loop of your own under gammatune: the same body serves every candidate and the course."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)  # a small net is faster on one thread

images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
train, select, report = random_split(data, [1100, 300, 397])
loader = DataLoader(train, batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()


def measure(part: torch.utils.data.Subset) -> dict[str, float]:
    x, y = part.dataset[part.indices]
    output = model(x)
    return {"accuracy": (output.argmax(1) == y).float().mean().item(), "loss": loss_fn(output, y).item()}


with gammatune.Tuner(model=model, optimizer=optimizer, epochs=8) as tuner:
    for run in tuner:
        model.train()
        for x, y in run.batches(loader):
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        run.report(**run.evaluate(lambda: measure(select)))

schedule = tuner.result.schedule
for epoch, outcome in enumerate(tuner.result.course):
    rate = schedule.lr_at(epoch + 0.5)  # half-way through the epoch
    print(f"epoch {epoch + 1}: lr {rate:.3g}, accuracy {outcome.metrics['accuracy']:.3f}")
model.eval()
with torch.no_grad():
    print(f"on data it never saw: {measure(report)['accuracy']:.3f}, at {tuner.result.cost}")
