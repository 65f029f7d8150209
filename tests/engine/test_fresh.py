"""A net like another, drawn anew, where its layers' own way of doing so is how it was drawn."""

import shutil
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from gammatune.errors import JournalWarning
from gammatune.journal.history import FILE, replay
from gammatune.supervised.fit import fit
from gammatune.supervised.fresh import another_like

MADE = {
    "mlp": lambda: nn.Sequential(nn.Linear(9, 30), nn.ReLU(), nn.Linear(30, 3)),
    "cnn": lambda: nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 4)),
    "lstm": lambda: nn.LSTM(5, 12),
    "attention": lambda: nn.TransformerEncoderLayer(16, 2, 32),
    "embedding": lambda: nn.Sequential(nn.Embedding(20, 8, padding_idx=0), nn.LayerNorm(8)),
}


@pytest.mark.parametrize("name", MADE)
def test_layers_draw_their_weights_anew_without_a_trace(name: str) -> None:
    torch.manual_seed(0)
    model = MADE[name]()
    before = torch.get_rng_state()
    weights = {n: p.clone() for n, p in model.state_dict().items()}
    again = another_like(model)
    assert again is not None
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    first = again()
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again().parameters(), strict=True))
    drawn = [n for n, p in model.named_parameters() if p.numel() > 1 and float(p.detach().std()) > 0]
    assert all(not torch.equal(first.state_dict()[n], weights[n]) for n in drawn)
    assert all(torch.equal(model.state_dict()[n], value) for n, value in weights.items())


def test_what_was_drawn_otherwise_or_trained_or_belongs_to_nobody_is_not() -> None:
    torch.manual_seed(0)
    own = MADE["mlp"]()
    nn.init.normal_(own[0].weight, std=1.0)
    assert another_like(own) is None
    zero = MADE["mlp"]()
    nn.init.zeros_(zero[2].weight)
    assert another_like(zero) is None

    class Placed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Parameter(torch.randn(4, 4))
            self.layer = nn.Linear(4, 4)

    assert another_like(Placed()) is None

    class Needy(nn.Linear):
        def reset_parameters(self) -> None:
            if hasattr(self, "made"):
                raise RuntimeError("only once")
            super().reset_parameters()

    needy = Needy(4, 4)
    needy.made = True  # type: ignore[assignment]
    assert another_like(needy) is None


def test_a_run_that_is_gone_on_with_makes_its_nets_as_before_whatever_the_model_holds(tmp_path: Path) -> None:
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(160, 9, generator=drawn)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    told = {"epochs": 12, "budget": 2.5, "batch_size": 10, "device": "cpu"}

    def model() -> nn.Module:
        torch.manual_seed(0)
        return MADE["mlp"]()

    whole = fit(model(), (x[:120], y[:120]), (x[120:], y[120:]), run_dir=str(tmp_path / "whole"), **told)
    assert whole.ensemble is not None
    lines = (tmp_path / "whole" / FILE).read_text().splitlines(keepends=True)
    second = next(i for i, line in enumerate(lines) if '"role":"net 2"' in line)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / FILE).write_text("".join(lines[:second]))
    for name in ("net-0.pt", *{s.file for s in replay(tmp_path / "cut").states.values()}):
        if (tmp_path / "whole" / name).exists():
            shutil.copy(tmp_path / "whole" / name, tmp_path / "cut")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JournalWarning)
        again = fit(model(), (x[:120], y[:120]), (x[120:], y[120:]), run_dir=str(tmp_path / "cut"), **told)
    assert again.ensemble is not None
    assert torch.equal(whole.ensemble(x), again.ensemble(x))
