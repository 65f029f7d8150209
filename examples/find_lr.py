"""A plain loop of PyTorch's, at a rate that gammatune names before it: python examples/find_lr.py

Model, optimizer, loader and random streams stand where they stood; nothing of gammatune is in the training itself.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import gammatune

torch.set_num_threads(1)
torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
train, select, report = random_split(data, [1100, 300, 397])
loader, held = DataLoader(train, batch_size=32, shuffle=True), DataLoader(select, batch_size=300)
epochs = 12
steps = epochs * len(loader)

net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(net.parameters())
loss = nn.CrossEntropyLoss()

found = gammatune.find_lr(net, optimizer, loader, loss, steps=steps, val_loader=held)
print(found)

schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=found.rate, total_steps=steps, pct_start=0.05
)
for _ in range(epochs):
    for x, y in loader:
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()
        schedule.step()

x, y = report[:]
with torch.no_grad():
    print(f"accuracy {(net(x).argmax(1) == y).float().mean():.3f} on data that nobody has looked at")
