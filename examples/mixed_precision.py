"""Gradient accumulation, clipping and a GradScaler: what changes while training is handed in as state."""

import torch
from torch import nn

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

x = torch.randn(256, 16)
y = (x[:, :4].sum(1) > 0).long()
loader = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 192, 16)]

model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu")


def validate() -> dict[str, float]:
    output = model(x[192:])
    return {
        "accuracy": (output.argmax(1) == y[192:]).float().mean().item(),
        "loss": nn.functional.cross_entropy(output, y[192:]).item(),
    }


with gammatune.Tuner(model=model, optimizer=optimizer, state=[scaler], epochs=20) as tuner:
    for run in tuner:
        for index, (a, b) in enumerate(run.batches(loader)):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(model(a), b) / 2
            scaler.scale(loss).backward()
            if index % 2 == 1:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
        run.report(**run.evaluate(validate))

print([f"{o.values['lr']:.2g}: {o.metrics['accuracy']:.2f} in {o.steps} steps" for o in tuner.result.course])
