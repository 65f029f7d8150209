"""A recurrent language model whose hidden state is carried from batch to batch, as PyTorch's own example has it."""

from pydoc_data.topics import topics  # the text of Python's own help

import torch
from torch import Tensor, nn

import gammatune

torch.manual_seed(0)
torch.set_num_threads(1)

COLUMNS, LENGTH = 20, 35
words = "".join(topics.values()).split()[:24_000]
known = {word: number for number, word in enumerate(dict.fromkeys(words))}
codes = torch.tensor([known[word] for word in words])
train, select = codes[:20_000], codes[20_000:]


class Model(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.word, self.drop = nn.Embedding(len(known), width), nn.Dropout(0.2)
        self.rnn, self.out = nn.LSTM(width, width), nn.Linear(width, len(known))

    def forward(
        self, x: Tensor, hidden: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, hidden = self.rnn(self.drop(self.word(x)), hidden)
        return self.out(self.drop(y)), hidden


def in_columns(part: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Batches that go on with one another: column after column of the text."""
    rows = part[: len(part) // COLUMNS * COLUMNS].view(COLUMNS, -1).T
    return [
        (rows[i : i + LENGTH], rows[i + 1 : i + LENGTH + 1]) for i in range(0, len(rows) - LENGTH - 1, LENGTH)
    ]


loader, held_out = in_columns(train), in_columns(select)
model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=5.0)


def loss_of(output: Tensor, y: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output.flatten(0, 1), y.flatten())


def validate() -> dict[str, float]:
    hidden, total = None, 0.0
    for x, y in held_out:
        output, hidden = model(x, hidden)
        total += loss_of(output, y).item() / len(held_out)
    return {"loss": total}


with gammatune.Tuner(model=model, optimizer=optimizer, epochs=6, objective="loss") as tuner:
    for run in tuner:
        model.train()
        hidden = None  # belongs to the pass, as it begins here
        for x, y in run.batches(loader, examples=lambda batch: batch[0].shape[1]):
            hidden = hidden and tuple(state.detach() for state in hidden)
            optimizer.zero_grad()
            output, hidden = model(x, hidden)
            loss_of(output, y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()
        run.report(**run.evaluate(validate, examples=len(held_out) * COLUMNS))

for outcome in tuner.result.course:
    print(f"epoch {outcome.epoch + 1}: lr {outcome.values['lr']:.3g}, loss {outcome.metrics['loss']:.3f}")
print(tuner.result.cost)
