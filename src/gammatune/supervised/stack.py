"""Several trainings of one small network in one pass: as many as there are candidates, each with values of its own.

A small network leaves a GPU idle: each of its kernels is over before the next has been launched. K members that
differ in nothing but their numbers share the launches (`torch.func.vmap`), so that K rollouts take little longer than
one, until the device is full.

    K, k     members, one of them        P   trained numbers of one member
    theta    (K, P) weights              g   (K, P) gradients of the mean losses
    eta      (K, 1) or (K, P) rates; as are the other options, one number a member, or one a member and group

All trained tensors lie in one matrix theta, and those the network sees are views of it, so that an update takes a
handful of kernels however many tensors there are. The update rules are those of `torch.optim`: SGD with momentum
(Sutskever et al. 2013 as torch has it), Adam (Kingma and Ba 2015, algorithm 1), AdamW (Loshchilov and Hutter 2019,
algorithm 2). Twin: tests/engine/test_stacked.py trains the members one after the other with torch's own.

Members see the same batches and draw the same random numbers (dropout masks), as rollouts from one fork do; behind
activations that are not contiguous (channels_last) masks of the same law, but not those of a single rollout. A member
that diverges goes on in NaN and harms no other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

from gammatune.engine.divergence import BLOW_UP, GROWTH, READ_EVERY, TURN
from gammatune.errors import InvalidArgument
from gammatune.supervised.batch_form import Inputs
from gammatune.supervised.update_rules import ONE_BY_ONE, Group, Rule, trained_in


def options_of(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The options of one member: those the optimizer has now."""
    return [
        {key: float(v) if isinstance(v, Tensor) else v for key, v in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]


def at_rates(optimizer: Optimizer, rates: Sequence[float]) -> list[list[dict[str, Any]]]:
    """The options of members that differ in the rate alone; it is that of the first group, whose ratio to the others
    stays."""
    groups = optimizer.param_groups
    first = float(groups[0]["lr"])
    ratios = [1.0 if group is groups[0] else float(group["lr"]) / first for group in groups]
    own = options_of(optimizer)
    return [[one | {"lr": rate * ratio} for one, ratio in zip(own, ratios, strict=True)] for rate in rates]


class Stack:
    """K members, begun from a network and an optimizer as they stand, which are not moved before `put`.

    loss: (output, target) -> mean loss, a scalar; or with weights too. members: the options of each, group by group
    (`at_rates`).

    Raises InvalidArgument where the members cannot be trained in one pass: another optimizer than SGD, Adam or AdamW
    of torch.optim, options that have no rule here, parameters of no module or of several kinds; and at the first step
    where the network does what cannot be batched (nn.LSTM and its kin, BatchNorm with momentum=None, control flow by
    numbers) or leaves a trained parameter out.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss: Callable[[Any, Any], Tensor],
        members: Sequence[Sequence[Group]],
    ) -> None:
        self._model, self._optimizer, self._loss = model, optimizer, loss
        self._rule = Rule.of(optimizer, members)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._trained = [p for group in optimizer.param_groups for p in trained_in(group)]
        self._refuse(names)
        self.count = len(members)
        self.theta = torch.cat([p.detach().flatten() for p in self._trained]).repeat(self.count, 1)
        self._g = torch.empty_like(self.theta)
        views = self.theta.split([p.numel() for p in self._trained], dim=1)
        self._leaves = {
            names[id(p)]: view.view(self.count, *p.shape).detach().requires_grad_()
            for p, view in zip(self._trained, views, strict=True)
        }
        self._still = {n: p.detach() for n, p in model.named_parameters() if n not in self._leaves}
        self._buffers = {
            name: buffer.expand(self.count, *buffer.shape).clone() for name, buffer in model.named_buffers()
        }
        self._rule.begin(self.theta, self._trained, optimizer)
        self.steps = 0
        last_first = range(len(self._trained))[::-1]
        self._watched = sorted(last_first, key=lambda index: self._trained[index].numel())
        # of each member: the step at which it diverged, 0 while it has not; and the sum beyond which it has
        self._diverged = torch.zeros(self.count, dtype=torch.long, device=self.theta.device)
        self._limit = self.theta.new_full((self.count,), float("inf"))

    # -- training and looking

    def step(self, inputs: Any, targets: Any, multiplier: float = 1.0, *weights: Tensor) -> None:
        """One step of all members on one batch, every rate times `multiplier`; modes are the model's. weights: of the
        examples, where they have some."""
        with _told(self._model):
            losses = self._mapped(self._one_loss, inputs, targets, *weights)
            gradients = torch.autograd.grad(losses.sum(), list(self._leaves.values()), allow_unused=True)
        unused = [name for name, g in zip(self._leaves, gradients, strict=True) if g is None]
        if unused:
            raise InvalidArgument(
                f"the loss does not depend on {unused[0]}, or several rollouts at once cannot follow how: leave it "
                f"out of the optimizer, or {ONE_BY_ONE}"
            )
        with torch.no_grad():
            rows = [g.reshape(self.count, -1) for g in gradients if g is not None]
            self.steps += 1
            self._watch(rows)
            self._rule.step(torch.cat(rows, dim=1, out=self._g), multiplier)

    def outputs(self, inputs: Any) -> Tensor:
        """What every member says of a batch, (K, n, ...); no gradients, modes are the model's."""
        with torch.no_grad(), _told(self._model):
            return self._mapped(self._one_output, inputs)

    @property
    def is_due(self) -> bool:
        """The divergence flags are to be read after this step: on an accelerator that waits for it."""
        return self.theta.is_cpu or self.steps % READ_EVERY == 0

    def diverged(self) -> list[int]:
        """Of each member: the step (from 1) at which its gradient was not finite or blew up; 0 where it did not."""
        steps: list[int] = self._diverged.cpu().tolist()
        return steps

    # -- members

    def state(self, k: int) -> dict[str, Tensor]:
        """Weights and buffers of a member by name, as copies."""
        own = {name: rows.detach()[k].clone() for name, rows in {**self._leaves, **self._buffers}.items()}
        return own | {name: parameter.clone() for name, parameter in self._still.items()}

    def put(self, k: int) -> None:
        """Make the network and the optimizer, options left alone, what a member is; gradients are dropped."""
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                if name in self._leaves:
                    parameter.copy_(self._leaves[name][k])
            for name, buffer in self._model.named_buffers():
                buffer.copy_(self._buffers[name][k])
        self._optimizer.zero_grad()
        self._rule.put(k, self._trained, self._optimizer)

    # -- inside

    def _one_output(self, weights: Any, buffers: Any, inputs: Any) -> Tensor:
        args, kwargs = inputs if type(inputs) is Inputs else ((inputs,), {})
        said: Tensor = functional_call(self._model, ({**weights, **self._still}, buffers), args, dict(kwargs))
        return said

    def _one_loss(self, weights: Any, buffers: Any, inputs: Any, *told: Any) -> Tensor:
        # while the members' tensors are still in the network
        looking = self._model.register_forward_hook(lambda model, *_: _refuse_what_stays(model, buffers))
        try:
            output = self._one_output(weights, buffers, inputs)
        finally:
            looking.remove()
        return self._loss(output, *told)

    def _mapped(self, function: Callable[..., Tensor], *batch: Any) -> Tensor:
        """The function of every member's weights and buffers, and of the batch that they share."""
        dims = (0, 0, *[None] * len(batch))
        mapped: Tensor = vmap(function, in_dims=dims, randomness="same")(self._leaves, self._buffers, *batch)
        return mapped

    def _watch(self, gradients: Sequence[Tensor]) -> None:
        """Look at the gradients, (K, numbers) each, that `DivergenceCheck` looks at in this step, and as it does."""
        size = gradients[self._watched[0]].sum(dim=1).abs()
        bad = ~(size < self._limit)  # not >=: NaN compares false
        if self.steps == 1 and size.is_cpu:
            self._limit = (GROWTH * size).clamp_min(BLOW_UP)
        if self.steps % TURN == 0:
            other = gradients[self._watched[self.steps // TURN % len(gradients)]]
            bad = bad | ~other.sum(dim=1).isfinite()
        self._diverged = torch.where((self._diverged == 0) & bad, self.steps, self._diverged)

    def _refuse(self, names: Mapping[int, str]) -> None:
        kind = type(self._optimizer).__name__
        if any(id(p) not in names for p in self._trained):
            raise InvalidArgument(
                f"{kind} trains a parameter that is not the model's, which several rollouts at once would share: "
                f"{ONE_BY_ONE}"
            )
        kinds = {(p.dtype, p.device) for p in self._trained}
        if len(kinds) != 1 or not {dtype for dtype, _ in kinds} <= {torch.float32, torch.float64}:
            told = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds)) or "none"
            raise InvalidArgument(
                f"several rollouts at once need trained parameters of one kind, float32 or float64, not {told}: "
                f"{ONE_BY_ONE}"
            )


# Telling what cannot be batched ---------------------------------------------------------------------------


def _refuse_what_stays(model: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    """A tensor of all members that the network has put in the place of another would be lost, or stay behind."""
    for name, buffer in model.named_buffers():
        if name in buffers and buffer is not buffers[name]:
            raise InvalidArgument(
                f"{type(model).__name__} assigns its buffer {name} a new tensor, which several rollouts at once "
                f"cannot follow: write it in place ({name}.copy_(...)), or {ONE_BY_ONE}"
            )
    for place, module in model.named_modules():
        for name, kept in vars(module).items():
            if isinstance(kept, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(kept):
                where = f"{place}.{name}".strip(".")
                raise InvalidArgument(
                    f"{type(model).__name__} keeps a tensor of its forward pass ({where}), which several rollouts at "
                    f"once cannot: {ONE_BY_ONE}"
                )


@contextmanager
def _told(model: nn.Module) -> Iterator[None]:
    """An error of batching says which model it is that cannot be batched, and why; any other goes through."""
    # Fused attention has no batched form on the CPU, a fused encoder layer nowhere: torch would fall back to a loop.
    plain = nullcontext() if torch.cuda.is_available() else sdpa_kernel(SDPBackend.MATH)
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with plain:
            yield
    except InvalidArgument:
        raise
    except (RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        if not any(word in why for word in ("vmap", "Batching rule", "functorch", "sparse")):
            raise
        raise InvalidArgument(
            f"several rollouts of {type(model).__name__} cannot be trained in one pass ({why:.100}): {ONE_BY_ONE}"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
