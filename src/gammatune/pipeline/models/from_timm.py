"""Nets of timm's, by the names that they have there: `timm:resnet18.a1_in1k`, `timm:vit_tiny_patch16_224`.

They begin with the weights that their initialisation draws. Those that were learned elsewhere come from a file, or,
where it is asked for, from the hub that timm takes them from.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gammatune.errors import InvalidArgument, first_line, require

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "timm:"
HUB = "hub"  # in the place of a file of weights
# What timm raises of a tag or a shape that a net cannot take.
REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, KeyError, ZeroDivisionError)


def is_timm(model: str) -> bool:
    return model.startswith(PREFIX)


def timm_factory(model: str) -> Callable[..., "nn.Module"]:
    """What makes the net, as `find_factory` gives it for others."""

    def timm_net(shape: tuple[int, ...], outputs: int) -> "nn.Module":
        return _made(model, shape, num_classes=outputs)

    return timm_net


def hub_weights(model: str, shape: tuple[int, ...]) -> Mapping[str, "Tensor"]:
    """The weights that timm's hub has for the net, with a first layer for so many channels.

    Raises InvalidArgument where it has none, or they cannot be fetched.
    """
    name = model.removeprefix(PREFIX)
    _check(name)
    if not _timm().is_model_pretrained(name):
        raise InvalidArgument(f"timm has no weights for {name}; leave --weights {HUB} out, or give a file")
    try:
        net = _made(model, shape, pretrained=True)
    except MemoryError:  # no fault of the hub
        raise
    except Exception as error:  # of sockets, of the hub's client, of a disk that is full
        raise InvalidArgument(
            f"the weights of {name} cannot be fetched ({first_line(error)}); try again with a connection, or give "
            "--weights the file where you have them"
        ) from error
    state: Mapping[str, Tensor] = net.state_dict()
    return state


def advice(net: "nn.Module", shape: tuple[int, ...]) -> list[str]:
    """A sentence where weights of timm's were learned on images of another size."""
    side = getattr(net, "pretrained_cfg", {}).get("input_size", (0, 0, 0))[-1]
    if not side or max(shape[1:]) >= side:
        return []
    return [
        f"These weights were learned on images of {side} x {side} pixels: --image-size {side} takes longer, and "
        "often goes further."
    ]


def _made(model: str, shape: tuple[int, ...], **options: Any) -> "nn.Module":
    name = model.removeprefix(PREFIX)
    if len(shape) != 3:
        raise InvalidArgument(
            f"--model {model} takes images, and an example here is a row of {shape[0]} numbers"
        )
    _check(name)
    timm = _timm()
    try:
        cfg = timm.get_pretrained_cfg(name)
        sized = {"img_size": shape[1:]} if cfg is not None and cfg.fixed_input_size else {}
        net: nn.Module = timm.create_model(name, in_chans=shape[0], **sized, **options)
    except REFUSALS as error:
        if options.get("pretrained"):
            raise
        raise InvalidArgument(
            f"timm makes no {name} for examples of shape {shape} ({first_line(error)}); choose another "
            "--image-size, or another net"
        ) from error
    return net


def _check(name: str) -> None:
    """Raises InvalidArgument at a name that timm does not know."""
    timm = _timm()
    base = name.partition(".")[0]
    if timm.is_model(base):
        return
    near = get_close_matches(base, timm.list_models(), 3)
    meant = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() names them"
    raise InvalidArgument(f"timm has no net {base!r}; {meant}")


def _timm() -> Any:
    """Raises MissingExtra where it, or what it is built on, is not there."""
    use = "nets of timm's are made with"
    elsewhere = "beside a torch for the CPU alone take torchvision from where that came from"
    require("torchvision", "timm", use, instead=elsewhere)
    return require("timm", "timm", use)
