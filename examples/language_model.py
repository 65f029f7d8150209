"""A language model as many are trained: batches at random without an end, accumulated gradients, clipping, bf16."""

from collections.abc import Iterator
from pydoc_data.topics import topics  # the text of Python's own help

import torch
from torch import Tensor, nn

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

CONTEXT, BATCH, ACCUMULATE = 32, 8, 2
text = "".join(topics.values())
letters = sorted(set(text))
codes = torch.tensor([letters.index(letter) for letter in text[:60_000]])
train, select = codes[:50_000], codes[50_000:]


class Model(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.letter, self.place = nn.Embedding(len(letters), width), nn.Embedding(CONTEXT, width)
        self.block = nn.TransformerEncoderLayer(
            width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.out = nn.Linear(width, len(letters))

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        hidden = self.letter(x) + self.place.weight
        return self.out(self.block(hidden, mask, is_causal=True))


def windows(part: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    rows = torch.stack([part[start : start + CONTEXT + 1] for start in starts.tolist()])
    return rows[:, :-1], rows[:, 1:]


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield windows(train, torch.randint(len(train) - CONTEXT, (BATCH,)))


model = Model()
decayed = [p for p in model.parameters() if p.ndim > 1]
others = [p for p in model.parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": 0.1}, {"params": others}], lr=1e-3, weight_decay=0
)


def loss_of(x: Tensor, y: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return nn.functional.cross_entropy(model(x).flatten(0, 1).float(), y.flatten())


def validate() -> dict[str, float]:
    return {"loss": loss_of(*windows(select, torch.arange(0, len(select) - CONTEXT, 160))).item()}


with gammatune.Tuner(model=model, optimizer=optimizer, steps=120, every=20, objective="loss") as tuner:
    for run in tuner:
        for micro, (x, y) in enumerate(run.batches(batches)):
            (loss_of(x, y) / ACCUMULATE).backward()
            if (micro + 1) % ACCUMULATE == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        run.report(**run.evaluate(validate))

for outcome in tuner.result.course:
    print(
        f"step {(outcome.epoch + 1) * 20}: lr {outcome.values['lr']:.3g}, loss {outcome.metrics['loss']:.3f}"
    )
print(tuner.result.cost)
