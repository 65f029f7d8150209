"""A loop written with accelerate: accumulation, bf16 and clipping by its Accelerator, which goes into the state."""

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)  # a small net is faster on one thread

images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
train, held_out = random_split(data, [1397, 400])

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=4, mixed_precision="bf16")
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters())
loader = DataLoader(train, batch_size=16, shuffle=True)
select = DataLoader(held_out, batch_size=200)
model, optimizer, loader, select = accelerator.prepare(model, optimizer, loader, select)


def validate() -> dict[str, float]:
    said = [accelerator.gather_for_metrics((model(x), y)) for x, y in select]
    output, target = (torch.cat(parts) for parts in zip(*said, strict=True))
    right = (output.argmax(1) == target).float().mean().item()
    return {"accuracy": right, "loss": nn.functional.cross_entropy(output, target).item()}


with gammatune.Tuner(model=model, optimizer=optimizer, epochs=8, state=[accelerator]) as tuner:
    for run in tuner:
        model.train()
        for x, y in run.batches(loader):
            with accelerator.accumulate(model):
                accelerator.backward(nn.functional.cross_entropy(model(x), y))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        run.report(**run.evaluate(validate))

for epoch, outcome in enumerate(tuner.result.course, start=1):
    print(f"epoch {epoch}: accuracy {outcome.metrics['accuracy']:.3f} in {outcome.steps} steps")
