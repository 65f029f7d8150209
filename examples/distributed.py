"""One net trained by several processes, each over its share of the data, while its learning rate is found.

    torchrun --nproc-per-node 2 examples/distributed.py      (or with python alone: one process)

The loop is that of examples/own_loop.py. Every process runs it; rank 0 decides, and all stop together.
"""

import os

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset, random_split

import gammatune

torch.set_num_threads(1)
if "RANK" in os.environ:  # torchrun says so
    dist.init_process_group("gloo")
rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)

torch.manual_seed(0)  # the same split and the same net everywhere
images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
train, select, report = random_split(data, [1100, 300, 397])
loader = DataLoader(train, batch_size=32 // world, sampler=DistributedSampler(train, world, rank))

net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
model = DistributedDataParallel(net) if world > 1 else net
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()


def measure(part: torch.utils.data.Subset, rank: int = 0, world: int = 1) -> dict[str, float]:
    x, y = part.dataset[part.indices[rank::world]]  # a share; the tuner weighs the shares of all ranks
    output = net(x)
    return {"accuracy": (output.argmax(1) == y).float().mean().item(), "loss": loss_fn(output, y).item()}


with gammatune.Tuner(model=model, optimizer=optimizer, epochs=5) as tuner:
    for run in tuner:
        model.train()
        for x, y in run.batches(loader):  # tells the sampler its epoch
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
        run.report(**run.evaluate(lambda: measure(select, rank, world)))

if rank == 0:
    for epoch, outcome in enumerate(tuner.result.course):
        print(f"epoch {epoch + 1}: accuracy {outcome.metrics['accuracy']:.3f}")
    model.eval()
    with torch.no_grad():
        print(f"on data it never saw: {measure(report)['accuracy']:.3f}, at {tuner.result.cost}")
if dist.is_initialized():
    dist.destroy_process_group()
