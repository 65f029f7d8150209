"""The eight trainings, each with its author's recipe: optimizer, rate, schedule, weight decay and batch size.

    recipes("short")["code"].setting(seed=0)

    code         nanoGPT on one core (its README): AdamW 1e-3, warm-up, a cosine to a tenth; a character at a time
    mnist        PyTorch's example: Adadelta at 1, times 0.7 fourteen times on the way
    cifar        a residual net: momentum 0.9 at 0.1, warm-up, a cosine to 0; images mirrored and shifted
                 (full: nine epochs of all 50,000 images had 81.6 % in 480 seconds; what has 85 % is not found yet)
    signals      convolutions and a GRU: AdamW 1e-3, warm-up, a cosine to 0
    rows         fastai's tabular model: AdamW, one cycle up to 1e-3
    vae          PyTorch's example: Adam 1e-3, constant
    muon         a transformer over patches of a signal: Muon for its matrices within, AdamW for the rest, both at
                 1e-3 (Muon's updates scaled to AdamW's: Liu et al. 2025, arXiv 2502.16982), up and straight down
    finetune     `code`'s net, trained on Python first, goes on with English at a tenth of that rate, straight down
                 (the schedule of Hugging Face's Trainer)

Three scales: "full", the authors' own lengths where five minutes of one core buy them, and MNIST's in any case;
"short", ten to twenty seconds each; "smoke", for tests. Validation is taken off the training data, so that the
authors' nets see a few per cent less than in their own recipes. Everything else of a task, a setting and its cost is
that of equal_cost.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import architectures
import numpy as np
import sets
import torch
from loops_of_authors import warm_then_cosine
from tasks import FORWARD, Parts, Setting, Task, split
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from training import SHAPES, Shape, constant

CONTEXT = 64  # characters that the text nets see, as nanoGPT on a CPU
SCALES = ("full", "short", "smoke")
LOSS = "loss"  # the metric of a training that is told by its own loss


@dataclass(frozen=True)
class Recipe(Task):
    """default_lr, shape: the author's rate and what becomes of it on the way. make: the author's optimizer; that of
    `optimizer` where there is none. optimizer: what its kind is, by which a method that brings its own chooses.
    nothing: the loss of a net that learnt nothing, where the loss is the metric."""

    shape: Shape = constant
    make: Callable[[nn.Module, float], Optimizer] | None = None
    nothing: float = math.inf

    def setting(self, seed: int) -> Setting:
        return Long(self, seed)


class Long(Setting):
    task: Recipe

    def optimizer(self, model: nn.Module, lr: float) -> Optimizer:
        return self.task.make(model, lr) if self.task.make else super().optimizer(model, lr)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self.task.metric != LOSS:
            return super().loss(output, target)
        return functional.cross_entropy(output, target) if output.ndim > 1 else output.mean()

    def score(self, model: nn.Module, part: str) -> dict[str, float]:
        """As in equal_cost; where the loss is all there is, that, and of characters the accuracy."""
        if self.task.metric != LOSS:
            return super().score(model, part)
        x, y = self.parts[part]
        was, loss, right = model.training, 0.0, 0.0
        model.eval()
        with torch.no_grad():
            for a, b in zip(x.split(FORWARD), y.split(FORWARD), strict=True):
                output = model(a)
                loss += float(self.loss(output, b)) * len(a) / len(x)
                if output.ndim > 1:
                    right += float((output.argmax(dim=1) == b).float().mean()) * len(a) / len(x)
        model.train(was)
        return {"loss": loss, "accuracy": right} if y.numel() else {"loss": loss}

    def error(self, metrics: Mapping[str, float]) -> float:
        if self.task.metric != LOSS:
            return super().error(metrics)
        return (
            min(metrics["loss"], self.task.nothing) if math.isfinite(metrics["loss"]) else self.task.nothing
        )


class Together(list[Any]):
    """Several optimizers that step together, as one."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for each in self for group in each.param_groups]

    def zero_grad(self) -> None:
        for each in self:
            each.zero_grad()

    def step(self) -> None:
        for each in self:
            each.step()


# Optimizers and schedules ---------------------------------------------------------------------------------


def nano(model: nn.Module, lr: float) -> Optimizer:
    """nanoGPT's on a CPU: weight decay of the matrices alone."""
    matrices, others = [[p for p in model.parameters() if (p.ndim > 1) is big] for big in (True, False)]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99), weight_decay=0.1)


def adadelta(model: nn.Module, lr: float) -> Optimizer:
    return torch.optim.Adadelta(model.parameters(), lr=lr)


def adam(model: nn.Module, lr: float) -> Optimizer:
    return torch.optim.Adam(model.parameters(), lr=lr)


def muon(model: nn.Module, lr: float) -> Optimizer:
    within = [p for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
    rest = [p for p in model.parameters() if all(p is not one for one in within)]
    both = Together([torch.optim.Muon(within, lr, 0.01, adjust_lr_fn="match_rms_adamw")])
    both.append(torch.optim.AdamW(rest, lr, weight_decay=0.01))
    return both  # type: ignore[return-value]


def stairs(progress: float) -> float:
    """The example's StepLR, an epoch of fourteen a stair."""
    return float(0.7 ** math.floor(14 * min(progress, 1 - 1e-9)))


# Fine-tuning ----------------------------------------------------------------------------------------------


def fine_tuned(size: "Size") -> nn.Module:
    model = characters(size.width)
    model.load_state_dict(_pretrained(size))
    return model


def characters(width: int) -> nn.Module:
    return architectures.Characters(len(sets.SYMBOLS) + 1, CONTEXT, width)


@cache
def _pretrained(size: "Size") -> dict[str, Tensor]:
    """`code`'s recipe over its first windows: made once, and kept; no method pays for it."""
    kept = sets.HERE / ".cache" / f"pretrained-{size.width}-{size.before}.pt"
    if kept.exists():
        found: dict[str, Tensor] = torch.load(kept)
        return found
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        x, y = sets.windows(sets.code(), CONTEXT, size.before, 8, 8)["train"]
        model = characters(size.width)
        optimizer = nano(model, 1e-3)
        batches = torch.randperm(len(x)).split(12)
        for k, at in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * warm_then_cosine(k / len(batches))
            optimizer.zero_grad()
            functional.cross_entropy(model(x[at]), y[at]).backward()
            optimizer.step()
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_name(f"pretrained.{os.getpid()}.pt")
    torch.save(model.state_dict(), beside)
    os.replace(beside, kept)
    return model.state_dict()


# The trainings --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """epochs: of a plain run, an even number. train, held, test: examples; held: of each half of the validation.
    batch: examples. width: of the net, where it has one. before: examples of what comes before a fine-tuning."""

    epochs: int
    train: int
    held: int
    test: int
    batch: int
    width: int = 0
    before: int = 0


SIZES: dict[str, dict[str, Size]] = {
    "full": {
        "code": Size(4, 6000, 500, 1500, 12, 128),  # its README's 2,000 steps
        "mnist": Size(14, 58_000, 1000, 10_000, 64),
        "cifar": Size(10, 48_000, 1000, 10_000, 128, 16),
        "signals": Size(20, 40_000, 1000, 10_000, 64, 64),
        "rows": Size(16, 500_000, 2000, 20_000, 256),
        "vae": Size(20, 58_000, 1000, 10_000, 128),
        "muon": Size(12, 20_000, 1000, 10_000, 64, 64),
        "finetune": Size(20, 420, 40, 150, 12, 128, 24_000),
    },
    "short": {
        "code": Size(4, 1800, 300, 1000, 12, 64),
        "mnist": Size(4, 3200, 500, 10_000, 64),
        "cifar": Size(4, 12_000, 500, 5000, 64, 8),
        "signals": Size(8, 6400, 500, 5000, 64, 64),
        "rows": Size(2, 500_000, 2000, 20_000, 256),
        "vae": Size(4, 58_000, 500, 10_000, 128),
        "muon": Size(4, 6400, 500, 5000, 64, 64),
        "finetune": Size(12, 420, 40, 150, 12, 64, 9600),
    },
    "smoke": {
        "code": Size(2, 48, 8, 16, 12, 8),
        "mnist": Size(2, 48, 8, 16, 16),
        "cifar": Size(2, 64, 8, 16, 16, 2),
        "signals": Size(2, 64, 16, 32, 16, 8),
        "rows": Size(2, 256, 16, 32, 64),
        "vae": Size(2, 64, 8, 16, 16),
        "muon": Size(2, 64, 16, 32, 16, 8),
        "finetune": Size(2, 48, 8, 16, 12, 8, 48),
    },
}
FEW_IMAGES = 100  # of CIFAR-10, to be decoded for a smoke


def recipes(scale: str) -> dict[str, Recipe]:
    sizes = SIZES[scale]
    images = partial(sets.cifar, FEW_IMAGES if scale == "smoke" else None)

    def recipe(
        name: str, optimizer: str, parts: Callable[..., Parts], net: Callable[[], nn.Module], **how: Any
    ) -> Recipe:
        size = sizes[name]

        def drawn(rng: np.random.Generator) -> Parts:
            return parts(rng, train=size.train, validation=size.held, test=size.test)

        return Recipe(name, size.epochs, size.batch, optimizer, drawn, net, **how)

    def text(read: Callable[[], str]) -> Callable[..., Parts]:
        return lambda rng, **counts: sets.windows(read(), CONTEXT, **counts)

    by_loss = {"classes": 0, "metric": LOSS}
    of_text = {**by_loss, "nothing": math.log(len(sets.SYMBOLS) + 1)}
    width = {name: size.width for name, size in sizes.items()}
    made = (  # the cheaper ones first, so that whole comparisons are there soon
        recipe(
            "code", "adamw", text(sets.code), partial(characters, width["code"]),
            make=nano, weight_decay=0.1, shape=warm_then_cosine, **of_text,
        ),
        recipe(
            "rows", "adamw", sets.table, partial(architectures.tabular, 40, 5),
            classes=5, weight_decay=0.01, shape=SHAPES["one-cycle"],
        ),
        recipe(
            "signals", "adamw", sets.signals, partial(architectures.Recurrent, width["signals"], sets.KINDS),
            weight_decay=0.01, shape=SHAPES["cosine"],
        ),
        recipe(
            "finetune", "adamw", text(sets.prose), partial(fine_tuned, sizes["finetune"]),
            default_lr=1e-4, weight_decay=0.01, shape=SHAPES["linear"], **of_text,
        ),
        recipe(
            "muon", "adamw", sets.signals, partial(architectures.Patches, sets.LENGTH, width["muon"], sets.KINDS),
            weight_decay=0.01, make=muon, shape=SHAPES["linear"],
        ),
        recipe("vae", "adamw", sets.pixels, architectures.Vae, make=adam, nothing=784 * math.log(2), **by_loss),
        recipe(
            "cifar", "momentum", partial(split, pool=images), partial(architectures.residual, width["cifar"]),
            default_lr=0.1, weight_decay=5e-4, augment=True, shape=SHAPES["cosine"],
        ),
        recipe(
            "mnist", "adamw", partial(split, pool=sets.mnist), architectures.digits,
            default_lr=1.0, make=adadelta, shape=stairs,
        ),
    )  # fmt: skip
    return {each.name: each for each in made}
