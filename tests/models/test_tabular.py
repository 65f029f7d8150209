"""The net for tables: shapes, what codes may do, and that a threshold is learned."""

import pytest
import torch
from torch import nn

from gammatune.errors import InvalidArgument
from gammatune.pipeline.models import embeds_categories, make_model
from gammatune.pipeline.models.tabular import MANY, embedding_size


@pytest.mark.parametrize(
    ("numbers", "cardinalities"), [(3, ()), (0, (4,)), (2, (3, 50, 2)), (MANY + 4, (5,))]
)
def test_returns_one_row_of_outputs_a_row(numbers: int, cardinalities: tuple[int, ...]) -> None:
    model = make_model("tabular", (numbers + len(cardinalities),), 3, 0, cardinalities)
    codes = (
        torch.stack([torch.randint(k, (6,)) for k in cardinalities], 1)
        if cardinalities
        else torch.empty(6, 0)
    )
    x = torch.cat([torch.randn(6, numbers), codes.float()], dim=1)
    assert model(x).shape == (6, 3)
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_largest_code_fits_and_the_next_does_not() -> None:
    model = make_model("tabular", (1,), 2, 0, (7,)).eval()
    assert model(torch.tensor([[6.0]])).shape == (1, 2)
    with pytest.raises(IndexError):
        model(torch.tensor([[7.0]]))


def test_a_seed_fixes_the_weights() -> None:
    one, same, other = (make_model("tabular", (4,), 2, seed, (3, 3)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_codes_are_names_not_amounts() -> None:
    """Two levels that stand far apart in the order may mean the same: a net of codes learns parity of 12 levels."""
    torch.manual_seed(0)
    x = torch.arange(12.0)[:, None]
    y = (torch.arange(12) % 2).long()
    model = make_model("tabular", (1,), 2, 0, (12,))
    _fit(model, x, y)
    assert (model.eval()(x).argmax(1) == y).all()


def test_a_narrow_window_of_a_number_is_learned() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-2, 2, 200)[:, None]
    y = ((x[:, 0] > 0.2) & (x[:, 0] < 0.6)).long()
    model = make_model("tabular", (1,), 2, 0)
    _fit(model, x, y, steps=300)
    assert (model.eval()(x).argmax(1) == y).float().mean() > 0.97


def _fit(model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int = 150) -> None:
    stepper = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        stepper.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        stepper.step()


def test_embedding_sizes_follow_the_rule() -> None:
    assert [embedding_size(k) for k in (2, 10, 100, 10_000)] == [3, 6, 16, 16]


def test_who_embeds_categories() -> None:
    assert embeds_categories("tabular")
    assert not embeds_categories("mlp")
    assert not embeds_categories("nobody")


def test_images_and_nets_without_embeddings_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="use cnn"):
        make_model("tabular", (1, 8, 8), 2, 0)
    with pytest.raises(InvalidArgument, match="mlp takes no codes of categories"):
        make_model("mlp", (3,), 2, 0, (4,))
