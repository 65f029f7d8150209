"""Loops as people write them, with their authors' rate and schedule, and with the rate that is found.

    python benchmarks/loops_of_authors.py [--seeds 3] [--only vae] [--minutes 60] [--out FILE]

Six trainings like those of examples/, larger. Each is trained with its author's rate times 1/3, 1 and 3 under the
author's own schedule, and by a `Tuner` with budget 1.5 (which knows the author's rate as the optimizer's own). One
thread; the same initial weights by seed. The selection data pick the rate of ours; what is compared is the loss on
other data after the last step.

    ours        over the best of the author's three, that of the lowest mean over the seeds, which is one rate: the
                least of three losses of one seed is low by chance; geometric mean and interval; at most 1.01 is the
                aim. author: over the author's own rate. cost: plain runs, in examples
    asked       the same of a training with two optimizers, by what was asked of a budget of 2 (at 1.5 it is too
                short for more than rates to be looked at): one rate for both, or a base and a ratio

The trainings of digits end by losses that differ between orders of the same examples by more than rates do: they have
MORE times as many seeds.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pydoc_data.topics import topics
from typing import Any

import harness
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim import Optimizer

import gammatune

FACTORS = (1 / 3, 1.0, 3.0)
NOISY, MORE = ("convolutions", "muon", "low rank"), 4
ASKED: dict[str, list[str] | None] = {
    "one rate": None,
    "and a ratio": ["lr=1e-6:1e4:log", "lr_ratio=0.03:30:log"],
}
TEXT = "".join(topics.values())  # Python's own help


@dataclass
class Training:
    """batches: without an end, or of one pass. step: forward, backward and the optimizers' steps. loss: on the
    examples to select by, or to report on. epochs, steps: the length, one of them. rate: the multiplier of the
    author's schedule, by progress in [0, 1]."""

    model: nn.Module
    optimizers: list[Optimizer]
    batches: Any
    step: Callable[[Any], None]
    loss: Callable[[str], float]
    epochs: int = 0
    steps: int = 0
    rate: Callable[[float], float] = lambda progress: 1.0


def warm_then_cosine(progress: float, warm: float = 0.05, least: float = 0.1) -> float:
    """nanoGPT's."""
    if progress < warm:
        return progress / warm
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


# The trainings ---------------------------------------------------------------------------------------------


def letters() -> tuple[dict[str, Tensor], int]:
    known = sorted(set(TEXT))
    codes = torch.tensor([known.index(letter) for letter in TEXT[:300_000]])
    return {"train": codes[:240_000], "select": codes[240_000:270_000], "report": codes[270_000:]}, len(known)


class Transformer(nn.Module):
    def __init__(self, letters: int, context: int, width: int = 64) -> None:
        super().__init__()
        self.letter, self.place = nn.Embedding(letters, width), nn.Embedding(context, width)
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(width, letters)
        self.mask = nn.Transformer.generate_square_subsequent_mask(context)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.blocks(self.letter(x) + self.place.weight, self.mask, is_causal=True))
        return out


def language(context: int = 32, batch: int = 12, steps: int = 600) -> Training:
    """AdamW at 1e-3, clipped, a short warm-up and a cosine to a tenth: nanoGPT's recipe for small models."""
    parts, count = letters()
    model = Transformer(count, context)
    matrices, others = [[p for p in model.parameters() if (p.ndim > 1) is big] for big in (True, False)]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others}], lr=1e-3)

    def windows(part: str, starts: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.stack([parts[part][start : start + context + 1] for start in starts.tolist()])
        return rows[:, :-1], rows[:, 1:]

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield windows("train", torch.randint(len(parts["train"]) - context, (batch,)))

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())

    def step(given: Any) -> None:
        optimizer.zero_grad()
        loss_of(*given).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    starts = torch.arange(0, 30_000 - context - 1, 150)
    loss = lambda part: loss_of(*windows(part, starts)).item()  # noqa: E731
    return Training(model, [optimizer], batches, step, loss, steps=steps, rate=warm_then_cosine)


class Recurrent(nn.Module):
    def __init__(self, words: int, width: int = 64) -> None:
        super().__init__()
        self.word, self.drop = nn.Embedding(words, width), nn.Dropout(0.2)
        self.rnn, self.out = nn.LSTM(width, width), nn.Linear(width, words)

    def forward(self, x: Tensor, hidden: Any) -> tuple[Tensor, Any]:
        y, hidden = self.rnn(self.drop(self.word(x)), hidden)
        return self.out(self.drop(y)), hidden


def words(columns: int = 20, length: int = 35, epochs: int = 8) -> Training:
    """SGD at 20, clipped at 0.25: PyTorch's word language model. Its author divides the rate by four where the loss
    has not fallen; here a cosine to a tenth stands for that."""
    text = TEXT.split()[:36_000]
    known = {word: number for number, word in enumerate(dict.fromkeys(text))}
    codes = torch.tensor([known[word] for word in text])
    parts = {"train": codes[:28_000], "select": codes[28_000:32_000], "report": codes[32_000:]}

    def rows(part: str) -> list[tuple[Tensor, Tensor]]:
        held = parts[part]
        held = held[: len(held) // columns * columns].view(columns, -1).T
        return [
            (held[i : i + length], held[i + 1 : i + length + 1])
            for i in range(0, len(held) - length - 1, length)
        ]

    model = Recurrent(len(known))
    optimizer = torch.optim.SGD(model.parameters(), lr=20.0)
    train, state = rows("train"), [None]

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        output, state[0] = model(x, state[0])
        return nn.functional.cross_entropy(output.flatten(0, 1), y.flatten())

    def step(given: Any) -> None:
        if given[0] is train[0][0]:
            state[0] = None
        state[0] = state[0] and tuple(each.detach() for each in state[0])  # type: ignore[attr-defined]
        optimizer.zero_grad()
        loss_of(*given).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    def loss(part: str) -> float:
        state[0] = None
        losses = [loss_of(x, y).item() for x, y in rows(part)]
        state[0] = None
        return sum(losses) / len(losses)

    return Training(
        model, [optimizer], train, step, loss, epochs=epochs, rate=partial(warm_then_cosine, warm=0.0)
    )


def images() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = torch.tensor(x / 16, dtype=torch.float32)[order], torch.tensor(y)[order]
    ends = {"train": slice(0, 1000), "select": slice(1000, 1400), "report": slice(1400, None)}
    return {part: x[of] for part, of in ends.items()}, {part: y[of] for part, of in ends.items()}


def loader(*parts: Tensor, size: int = 64) -> Any:
    data = torch.utils.data.TensorDataset(*parts)
    return torch.utils.data.DataLoader(data, batch_size=size, shuffle=True)


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))
        self.decode = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x).chunk(2, dim=1)
        return self.decode(mean + noise * (log_variance / 2).exp()), mean, log_variance


def vae(epochs: int = 60) -> Training:
    """Adam at 1e-3, constant: PyTorch's example."""
    x, _ = images()
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    noise = torch.randn(400, 8, generator=torch.Generator().manual_seed(1))

    def loss_of(x: Tensor, noise: Tensor) -> Tensor:
        logits, mean, log_variance = model(x, noise)
        told = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return (told - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()) / len(x)

    def step(given: Any) -> None:
        optimizer.zero_grad()
        loss_of(given[0], torch.randn(len(given[0]), 8)).backward()
        optimizer.step()

    loss = lambda part: loss_of(x[part], noise[: len(x[part])]).item()  # noqa: E731
    return Training(model, [optimizer], loader(x["train"]), step, loss, epochs=epochs)


def classifying(model: nn.Module, optimizers: list[Optimizer], epochs: int, **options: Any) -> Training:
    x, y = images()

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(x), y)

    def step(given: Any) -> None:
        model.zero_grad()
        loss_of(*given).backward()
        for optimizer in optimizers:
            optimizer.step()

    loss = lambda part: loss_of(x[part], y[part]).item()  # noqa: E731
    batches = loader(x["train"], y["train"], size=32)
    return Training(model, optimizers, batches, step, loss, epochs=epochs, **options)


def convolutions(epochs: int = 16) -> Training:
    """SGD at 0.1 with momentum, a cosine to 0, dropout and weight decay: the recipe of most image trainings."""
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten()),
        *(nn.Dropout(0.3), nn.Linear(512, 10)),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    return classifying(model, [optimizer], epochs, rate=partial(warm_then_cosine, warm=0.0, least=0.0))


def muon(epochs: int = 16) -> Training:
    """Muon at 0.02 for the matrices within, AdamW at 3e-3 for the rest, straight to 0: modded-nanogpt's."""
    model = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10)
    )
    inner = [model[0].weight, model[2].weight]
    rest = [p for p in model.parameters() if all(p is not one for one in inner)]
    two = [torch.optim.Muon(inner, lr=0.02, weight_decay=0.01), torch.optim.AdamW(rest, lr=3e-3)]
    return classifying(model, two, epochs, rate=lambda progress: 1 - progress)


class Adapted(nn.Module):
    """A layer that is frozen, beside two small matrices of low rank (Hu et al. 2021)."""

    def __init__(self, layer: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down, self.up = (
            nn.Linear(layer.in_features, rank, bias=False),
            nn.Linear(rank, layer.out_features, bias=False),
        )
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x) + 2 * self.up(self.down(x))
        return out


def low_rank(epochs: int = 20) -> Training:
    """AdamW at 2e-3, straight to 0, of matrices of rank 4 by frozen layers that know five of the digits."""
    x, y = images()
    layers = [nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)]
    base = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    few = y["train"] < 5
    before = torch.optim.AdamW(base.parameters(), lr=1e-2)
    for _ in range(60):
        before.zero_grad()
        nn.functional.cross_entropy(base(x["train"][few]), y["train"][few]).backward()
        before.step()
    model = nn.Sequential(Adapted(layers[0]), nn.ReLU(), Adapted(layers[1]), nn.ReLU(), Adapted(layers[2]))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    return classifying(model, [optimizer], epochs, rate=lambda progress: 1 - progress)


TRAININGS: dict[str, Callable[..., Training]] = {
    "language": language,
    "words": words,
    "vae": vae,
    "convolutions": convolutions,
    "muon": muon,
    "low rank": low_rank,
}
SMALL: dict[str, dict[str, int]] = {"language": {"steps": 20}} | {
    name: {"epochs": 2} for name in TRAININGS if name != "language"
}


# By the author, and by us -------------------------------------------------------------------------------------


def by_the_author(training: Training, factor: float) -> dict[str, float]:
    rates = [[group["lr"] * factor for group in optimizer.param_groups] for optimizer in training.optimizers]
    done, total = 0, training.steps or training.epochs * len(training.batches)
    while done < total:
        training.model.train()
        for batch in training.batches() if callable(training.batches) else training.batches:
            for optimizer, own in zip(training.optimizers, rates, strict=True):
                for group, rate in zip(optimizer.param_groups, own, strict=True):
                    group["lr"] = rate * training.rate(done / total)
            training.step(batch)
            done += 1
            if done == total:
                break
    return {"cost": 1.0}


def by_us(training: Training, **asked: Any) -> dict[str, float]:
    length = {"steps": training.steps} if training.steps else {"epochs": training.epochs}
    with gammatune.Tuner(
        model=training.model,
        optimizer=training.optimizers,
        objective="loss",
        keep="last",
        running=gammatune.Running(listeners=()),
        **length,
        **asked,
    ) as tuner:
        for run in tuner:
            training.model.train()
            for batch in run.batches(training.batches):
                training.step(batch)
            run.report(**run.evaluate(lambda: {"loss": training.loss("select")}, examples=400))
    result = tuner.result
    return {"cost": float(result.cost.plain_runs or 0.0), "lr": float(result.course[0].values["lr"])}


def cell(small: bool, training: str, how: str, seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    made = TRAININGS[training](**(SMALL[training] if small else {}))
    with harness.timed() as took:
        if how in ASKED:
            told = by_us(made, budget=2, space=ASKED[how])
        else:
            told = by_us(made) if how == "ours" else by_the_author(made, float(how))
    made.model.eval()
    with torch.no_grad():
        loss = made.loss("report")
    return {"loss": loss if math.isfinite(loss) else 1e9, "seconds": took.processor, **told}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    losses = {(row["training"], row["seed"], row["how"]): row["loss"] for row in rows}
    by_training: dict[str, Any] = {}
    for training in TRAININGS:
        seeds = sorted({seed for name, seed, how in losses if name == training and how == "ours"})
        author = [
            [losses.get((training, seed, str(factor)), math.nan) for factor in FACTORS] for seed in seeds
        ]
        pairs = [(losses[training, s, "ours"], own) for s, own in zip(seeds, author, strict=True)]
        pairs = [(ours, own) for ours, own in pairs if all(map(math.isfinite, own))]
        if pairs:
            best = min(
                range(len(FACTORS)), key=lambda k: harness.geometric_mean([own[k] for _, own in pairs])
            )
            ratios = [ours / own[best] for ours, own in pairs]
            by_training[training] = {
                "ratio": asdict(harness.Ratio.mean(ratios)),
                "best factor": FACTORS[best],
                "ours": ratios,
                "author": [ours / own[FACTORS.index(1.0)] for ours, own in pairs],
                "cost": [row["cost"] for row in rows if row["training"] == training and row["how"] == "ours"],
                "lr": [row["lr"] for row in rows if row["training"] == training and row["how"] == "ours"],
            }
            asked = {
                name: [losses[training, s, name] / own[best] for s, own in zip(seeds, author, strict=True)]
                for name in ASKED
                if all((training, s, name) in losses for s in seeds)
            }
            by_training[training] |= {"asked": asked} if asked else {}
    means = {
        what: [harness.geometric_mean(one[what]) for one in by_training.values()]
        for what in ("ours", "author")
    }
    return harness.rounded(  # type: ignore[no-any-return]
        {
            what: {"n": len(found), **asdict(harness.Ratio.mean(found)), "worst": max(found)}
            for what, found in means.items()
            if found
        }
        | {"trainings": by_training}
    )


def main() -> None:
    parser = harness.arguments(__doc__, "results/loops_of_authors.json", seeds=3, jobs=1, minutes=60)
    parser.add_argument("--only", default=";".join(TRAININGS), help="with semicolons")
    parser.add_argument("--small", action="store_true", help="a few steps each")
    args = parser.parse_args()
    cells = harness.Cells.beside(args.out, "training", "how", "seed")
    keys = [
        {"training": name, "how": how, "seed": seed}
        for name in args.only.split(";")
        for seed in range(args.seeds * (MORE if name in NOISY else 1))
        for how in ("ours", *map(str, FACTORS), *(ASKED if name == "muon" else ()))
    ]
    harness.sweep(cells, keys, partial(cell, args.small), **harness.bounds(args))
    found = summary([dict(row) for row in cells.good()])
    if args.out:
        harness.save(args.out, {**harness.about("gammatune", "torch"), **found})
    print(found)


if __name__ == "__main__":
    main()
