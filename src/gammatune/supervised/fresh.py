"""Another net like one that was handed over, with initial weights of its own."""

import copy
from functools import partial

import torch
from torch import Tensor, nn

from gammatune.engine.ensemble import NewModel
from gammatune.engine.forks.streams import StreamStates

ENOUGH = 50  # numbers whose spread says how they were drawn (guess)
# factor between the spreads of two draws of so many numbers; that of their ratio is a tenth then
ALIKE = 1.25


def another_like(model: nn.Module) -> NewModel | None:
    """Draws its layers' weights anew, each as its class does by itself (`reset_parameters`).

    None where that would be another kind of net: a parameter that no such layer owns, or numbers that were plainly
    drawn otherwise, by an initialisation of one's own or by training. Nothing of torch's random stream is used up.
    """
    owned = {id(p) for m in model.modules() if _reset_of(m) is not None for p in m.parameters(recurse=False)}
    # attention resets the layers within it too
    owned |= {id(p) for m in model.modules() if isinstance(m, nn.MultiheadAttention) for p in m.parameters()}
    if any(id(p) not in owned for p in model.parameters()):
        return None
    before = StreamStates([], cuda=True)
    try:
        other = _drawn_anew(model)
    except Exception:  # a layer of somebody's own: it is not known what it needs
        return None
    finally:
        before.restore()
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return drawn_anew(model) if all(_is_alike(a, b) for a, b in pairs) else None


def drawn_anew(model: nn.Module) -> NewModel:
    """Makes such nets, whether that is how the weights of `model` came or not."""
    return partial(_drawn_anew, copy.deepcopy(model))


@torch.no_grad()
def _drawn_anew(model: nn.Module) -> nn.Module:
    other = copy.deepcopy(model)
    for module in other.modules():  # outer ones first: they go over what their parts have drawn
        reset = _reset_of(module)
        if reset is not None:
            reset()
    for module in other.modules():
        if isinstance(module, nn.MultiheadAttention):
            module._reset_parameters()
    return other


def _reset_of(module: nn.Module) -> NewModel | None:
    found = getattr(module, "reset_parameters", None)
    return found if callable(found) else None


def _is_alike(one: Tensor, other: Tensor) -> bool:
    """Drawn in the same way, as far as their spread tells."""
    spreads = [float(t.detach().double().std(correction=0)) if t.numel() > 1 else 0.0 for t in (one, other)]
    if min(spreads) == 0:  # constants, which are alike where they are equal
        return max(spreads) == 0 and (one.numel() == 1 or torch.equal(one, other))
    return one.numel() < ENOUGH or max(spreads) <= ALIKE * min(spreads)
