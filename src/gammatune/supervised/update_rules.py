"""The update rules of `torch.optim`, each for several members at once: theta (K, P), as in `supervised.stack`."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from gammatune.errors import InvalidArgument

Group: TypeAlias = Mapping[str, Any]  # the options of one parameter group
Of: TypeAlias = Callable[[Group], float]  # an option of a group

ONE_BY_ONE = "train them one after the other, without parallel='vmap'"
KINDS = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


def trained_in(group: Group) -> list[Tensor]:
    return [parameter for parameter in group["params"] if parameter.requires_grad]


class Rule:
    """An optimizer on theta (K, P). Options are float64, (K, groups), spread over the numbers of their group."""

    keys: tuple[str, ...]  # of the optimizer's state, one (K, P) each

    @staticmethod
    def of(optimizer: Optimizer, members: Sequence[Sequence[Group]]) -> "Rule":
        kind = type(optimizer)
        if kind not in KINDS:
            raise InvalidArgument(
                f"several rollouts at once are trained with SGD, Adam or AdamW of torch.optim, not with "
                f"{kind.__name__}: {ONE_BY_ONE}"
            )
        if not members:
            raise InvalidArgument("there is no member to train: give the options of one at least")
        for option in ("amsgrad", "maximize", "differentiable"):
            if any(group.get(option) for member in members for group in member):
                raise InvalidArgument(
                    f"{kind.__name__} with {option}=True has no rule for several rollouts at once: {ONE_BY_ONE}"
                )
        if kind is torch.optim.SGD:
            return _SGD(members)
        decoupled = any(group.get("decoupled_weight_decay") for group in members[0])  # from torch 2.7 on
        return _Adam(members, decoupled=decoupled or kind is torch.optim.AdamW)

    def __init__(self, members: Sequence[Sequence[Group]]) -> None:
        self._members = members
        self.state: dict[str, Tensor] = {}

    def begin(self, theta: Tensor, trained: Sequence[Tensor], optimizer: Optimizer) -> None:
        self.theta = theta
        sizes = [sum(p.numel() for p in trained_in(group)) for group in optimizer.param_groups]
        where = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        self._group = None if len(sizes) == 1 else where.to(theta.device)
        self._precise = torch.float32 if theta.device.type == "mps" else torch.float64
        states = [optimizer.state.get(p, {}) for p in trained]
        for key in self.keys:
            found = [state.get(key) for state in states]
            if len({value is None for value in found}) > 1:
                raise InvalidArgument(
                    f"some parameters of {type(optimizer).__name__} have been trained and others not: {ONE_BY_ONE}"
                )
            if found[0] is not None:
                self.state[key] = torch.cat([value.flatten() for value in found]).repeat(len(theta), 1)

    def options(self, of: Of) -> Tensor:
        """(K, groups)"""
        rows = [[float(of(group)) for group in member] for member in self._members]
        return torch.tensor(rows, dtype=self._precise).to(self.theta.device)

    def spread(self, options: Tensor) -> Tensor:
        """(K, groups) -> (K, 1) or (K, P), in the precision of theta."""
        options = options.to(self.theta.dtype)
        return options if self._group is None else options[:, self._group]

    def number(self, of: Of) -> float | Tensor:
        """An option that does not change on the way: one number where all agree, else spread."""
        numbers = {float(of(group)) for member in self._members for group in member}
        return numbers.pop() if len(numbers) == 1 else self.spread(self.options(of))

    def step(self, g: Tensor, multiplier: float) -> None:
        raise NotImplementedError

    def put(self, k: int, trained: Sequence[Tensor], optimizer: Optimizer) -> None:
        sizes = [p.numel() for p in trained]
        for key, value in self.state.items():
            for p, row in zip(trained, value[k].split(sizes), strict=True):
                _set(optimizer.state[p], key, row.view(p.shape))


def _set(state: dict[str, Any], key: str, numbers: Tensor) -> None:
    """In place where there is a tensor already, since a compiled step may hold on to it."""
    if isinstance(state.get(key), Tensor):
        state[key].copy_(numbers)
    else:
        state[key] = numbers.clone()


def _add(into: Tensor, numbers: Tensor, weight: float | Tensor) -> None:
    into.add_(numbers, alpha=weight) if isinstance(weight, float) else into.addcmul_(numbers, weight)


class _SGD(Rule):
    keys = ("momentum_buffer",)

    def begin(self, theta: Tensor, trained: Sequence[Tensor], optimizer: Optimizer) -> None:
        super().begin(theta, trained, optimizer)
        groups = [group for member in self._members for group in member]
        nesterov = {bool(group["nesterov"]) for group in groups}
        if len(nesterov) > 1:
            raise InvalidArgument(f"some groups of SGD have Nesterov momentum and others not: {ONE_BY_ONE}")
        self._nesterov = nesterov == {True}
        self._decays = any(group["weight_decay"] for group in groups)
        self._has_momentum = any(group["momentum"] for group in groups)
        self._eta = self.options(itemgetter("lr"))
        self._lambda = self.number(itemgetter("weight_decay"))
        self._mu = self.number(itemgetter("momentum"))
        # the weight of a new gradient
        self._new = self.number(lambda group: 1 - group["dampening"] * (group["momentum"] != 0))

    def step(self, g: Tensor, multiplier: float) -> None:
        if self._decays:
            _add(g, self.theta, self._lambda)
        if self._has_momentum:
            if "momentum_buffer" in self.state:
                v = self.state["momentum_buffer"]
                _add(v.mul_(self._mu), g, self._new)
            else:
                v = self.state["momentum_buffer"] = g.clone()
            if self._nesterov:
                _add(g, v, self._mu)
            else:
                g = v
        self.theta.addcmul_(g, self.spread(self._eta * -multiplier))


class _Adam(Rule):
    keys = "exp_avg", "exp_avg_sq"

    def __init__(self, members: Sequence[Sequence[Group]], *, decoupled: bool) -> None:
        super().__init__(members)
        self._decoupled = decoupled

    def begin(self, theta: Tensor, trained: Sequence[Tensor], optimizer: Optimizer) -> None:
        super().begin(theta, trained, optimizer)
        for key in self.keys:
            self.state.setdefault(key, torch.zeros_like(theta))
        steps = {float(optimizer.state[p]["step"]) if optimizer.state.get(p) else 0.0 for p in trained}
        if len(steps) != 1:
            raise InvalidArgument(
                f"some parameters of {type(optimizer).__name__} have taken more steps than others: {ONE_BY_ONE}"
            )
        self._t = steps.pop()
        self._eta = self.options(itemgetter("lr"))
        betas: list[Of] = [lambda group: group["betas"][0], lambda group: group["betas"][1]]
        new: list[Of] = [lambda group: 1 - group["betas"][0], lambda group: 1 - group["betas"][1]]
        self._beta1, self._beta2 = map(self.options, betas)
        self._new1, self._new2 = map(self.number, new)
        self._old2 = self.number(betas[1])
        self._eps = self.number(itemgetter("eps"))
        self._decays = any(group["weight_decay"] for member in self._members for group in member)
        self._decay = self.options(itemgetter("weight_decay"))
        self._lambda = self.number(itemgetter("weight_decay"))

    def step(self, g: Tensor, multiplier: float) -> None:
        self._t += 1
        eta = self._eta * multiplier
        if self._decays and self._decoupled:
            self.theta.mul_(self.spread(1 - eta * self._decay))
        elif self._decays:
            _add(g, self.theta, self._lambda)
        m, v = self.state["exp_avg"], self.state["exp_avg_sq"]
        m.lerp_(g, self._new1)
        _add(v.mul_(self._old2), g.square_(), self._new2)
        eta_hat = self.spread(eta / (1 - self._beta1**self._t))  # the rate, and what corrects the bias of m
        v_hat = self.spread((1 - self._beta2**self._t).rsqrt())
        down = v.sqrt().mul_(v_hat).add_(self._eps)
        self.theta.addcmul_(torch.div(m, down, out=down), -eta_hat)

    def put(self, k: int, trained: Sequence[Tensor], optimizer: Optimizer) -> None:
        super().put(k, trained, optimizer)
        for group in optimizer.param_groups:
            for p in trained_in(group):
                device = p.device if group.get("capturable") or group.get("fused") else "cpu"
                _set(optimizer.state[p], "step", torch.tensor(self._t, device=device))
