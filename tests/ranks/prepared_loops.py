"""Loops of accelerate and of Lightning Fabric, alone and under `Tuner`, each as one of several processes."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gammatune
from gammatune.records import Length, Rollout
from gammatune.testing.control import control_rollouts

EPOCHS, RATE = 2, 0.05
X = torch.randn(61, 6, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()
DISTURBED = [
    {"lr": 0.5},
    Rollout({"lr": 0.1}, 0, None, order=2),
    Rollout({"lr": 0.03}, 0, None, length=Length(0.5)),
]


def parts() -> tuple[Any, Any, Any]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    return model, optimizer, DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)


def trained(
    model: Any, optimizer: Any, body: Callable[[Any], None], loader: Any, tuned: bool, state: Any = ()
) -> str:
    """A digest of the weights."""

    def validate() -> dict[str, float]:
        output = model(X)
        right = (output.argmax(1) == Y).float().mean().item()
        return {"accuracy": right, "loss": nn.functional.cross_entropy(output, Y).item()}

    if tuned:
        policy = control_rollouts({"lr": RATE}, DISTURBED)
        options: dict[str, Any] = {"policy": policy, "space": ["lr=1e-4:1:log"], "budget": 50, "state": state}
        with gammatune.Tuner(model=model, optimizer=optimizer, epochs=EPOCHS, **options) as tuner:
            for run in tuner:
                body(run.batches(loader))
                run.report(**run.evaluate(validate))
    else:
        for _ in range(EPOCHS):
            body(loader)
            with torch.no_grad():
                model.eval()
                validate()
    return " ".join(p.detach().double().sum().item().hex() for p in model.parameters())


def of_accelerate(tuned: bool) -> str:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=3, mixed_precision="bf16")
    model, optimizer, loader = accelerator.prepare(*parts())

    def body(batches: Any) -> None:
        model.train()
        for x, y in batches:
            with accelerator.accumulate(model):
                accelerator.backward(nn.functional.cross_entropy(model(x), y))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
                optimizer.zero_grad()

    assert accelerator.num_processes == 2
    return trained(model, optimizer, body, loader, tuned, [accelerator])


def of_fabric(tuned: bool) -> str:
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp", precision="bf16-mixed")
    fabric.launch()
    model, optimizer, loader = parts()
    model, optimizer = fabric.setup(model, optimizer)
    loader = fabric.setup_dataloaders(loader)

    def body(batches: Any) -> None:
        model.train()
        for number, (x, y) in enumerate(batches, start=1):
            steps = number % 3 == 0
            with fabric.no_backward_sync(model, enabled=not steps):
                fabric.backward(nn.functional.cross_entropy(model(x), y))
            if steps:
                fabric.clip_gradients(model, optimizer, max_norm=0.1)
                optimizer.step()
                optimizer.zero_grad()

    assert fabric.world_size == 2
    return trained(model, optimizer, body, loader, tuned)


if __name__ == "__main__":
    loop = {"accelerate": of_accelerate, "fabric": of_fabric}[sys.argv[1]]
    plain, tuned = loop(False), loop(True)
    if plain != tuned:
        sys.exit(f"plain {plain}\ntuned {tuned}")
