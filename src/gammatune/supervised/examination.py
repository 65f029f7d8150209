"""Is this training restorable? An examination on the user's own objects.

    plain       some steps, twice from the same state: is the training deterministic at all
    control     a fork, a rollout at another rate, an evaluation, the fork again; then the same steps
    checkpoint  some steps, a checkpoint, more steps; then from the beginning: the checkpoint read, the same steps

Each ends with a comparison to the bit. Where the steps agree, what is named is what they leave behind that they would
not have left without the rollout: a counter, an average, a list. Where they disagree, it is what the fork did not put
back. The objects are put back to how they were in the end, by another way than that of forks
(engine/doctor/object_graph.py).
"""

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from gammatune.cost import Meter
from gammatune.engine.batches import Loader, empty_loader, examples_in, restorable
from gammatune.engine.doctor.object_graph import ATOMS, Held, Leaf, Node, Survey, digest_of, is_users_own
from gammatune.engine.forks.streams import Stream, StreamStates, kind_of
from gammatune.engine.loop import TorchLoop
from gammatune.engine.modes import has_mode
from gammatune.errors import ConflictingControl, GammatuneError, InvalidArgument, NotRestorable
from gammatune.supervised.training import LossFunction, to_device

OTHER = 0.3  # times the training's own rate, in the rollout: another one, and as stable
SHOWN = 3  # places that are named one by one

Step = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be. where: the path to it, from the objects that were given."""

    what: str
    where: str
    advice: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.advice}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What came of an examination.

    checked: what was compared, in words. unseen: paths to what could not be looked into.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        return not self.findings

    def raise_if_ill(self) -> None:
        """Raises NotRestorable with all that was found."""
        if self.findings:
            raise NotRestorable(str(self))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"healthy": self.healthy, **asdict(self)}

    def __str__(self) -> str:
        lines = ["healthy: a fork, a rollout and a restore change nothing in this training"]
        if self.findings:
            count = len(self.findings)
            lines = [f"not healthy: {count} thing{'s' * (count > 1)} to put right"]
        for number, finding in enumerate(self.findings, start=1):
            lines += [f"{number}. {finding.where}", f"   {finding.what}", f"   -> {finding.advice}"]
        lines += ["compared:", *(f"  {text}" for text in self.checked)] if self.checked else []
        lines += ["not looked into:", *(f"  {text}" for text in self.unseen)] if self.unseen else []
        return "\n".join(lines)


def doctor(
    model: nn.Module | Sequence[nn.Module],
    optimizer: Optimizer | Sequence[Optimizer],
    loader: Loader,
    step: Step | None = None,
    state: Sequence[Any] = (),
    *,
    loss_fn: LossFunction | None = None,
    evaluate: Callable[[], Any] | None = None,
    steps: int = 5,
) -> Diagnosis:
    """Try on the user's own objects whether a rollout leaves their training as it was, and a checkpoint too.

    model, optimizer, state: as `Tuner` takes them. loader: an iterable of batches that can be passed over again.
    step: trains on one batch: `zero_grad`, loss, `backward`, `optimizer.step`. What it returns, such as the loss, is
    compared too. loss_fn(outputs, targets) -> mean loss, a scalar, instead of a step: for batches (inputs, targets).
    evaluate: validates the model; without it the model is called once in eval mode as the step had called it.
    steps: how many are trained each time, about eight times in all, of one batch each.

    Afterwards all objects are what they were before, also where something raises. What an exception of the user's
    code says goes through, with a note. Memory: one copy of all numbers that can be reached, and one more fork.
    Raises InvalidArgument where something else was given than is asked for.
    """
    return _Examination(model, optimizer, loader, step, state, loss_fn, evaluate, steps).diagnosis()


# One experiment ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Trace:
    """What some steps did. steps: of each, digests. state: by name, digests of what they ended with. compared: in
    words."""

    steps: tuple["_Step", ...]
    state: Mapping[str, bytes]
    survey: Survey
    compared: tuple[str, ...]

    def first_difference(self, other: "_Trace") -> str | None:
        """In words; None where both are the same to the bit."""
        for number, (a, b) in enumerate(zip(self.steps, other.steps, strict=True), start=1):
            for name in ("batch", "weights", "loss"):
                if getattr(a, name) != getattr(b, name):
                    what = {
                        "batch": "the batches",
                        "weights": "the weights",
                        "loss": "what the step returned",
                    }
                    return f"since step {number} {what[name]} differ"
        places = dict.fromkeys((*self.state, *other.state))
        names = [name for name in places if self.state.get(name) != other.state.get(name)]
        return f"at the end these differ: {_listed(names)}" if names else None

    def same_batches(self, other: "_Trace") -> bool:
        return [step.batch for step in self.steps] == [step.batch for step in other.steps]


@dataclass(frozen=True, slots=True)
class _Step:
    """Digests of the batch, of what the step returned (None where that is no number), of weights and gradients."""

    batch: bytes
    loss: bytes | None
    weights: bytes


@dataclass(slots=True)
class _Differences:
    """The places that did not come back, by the thing that holds them.

    restless: places that differ without any rollout. named: things that a finding has named already.
    """

    restless: frozenset[str]
    handed: frozenset[int]  # the ids of what forks put back
    named: set[int] = field(default_factory=set)

    def findings(self, here: Survey, there: Survey, how: str, *, without: str | None = None) -> list[Finding]:
        """Of what differs between two surveys, each thing that was not named before. without: a root left out."""
        units: dict[int, tuple[Node, list[tuple[Leaf | None, Leaf | None]]]] = {}
        for a, b in here.differences(there):
            leaf = b or a
            assert leaf is not None
            root = leaf.node.from_root[0]
            if leaf.node.where in self.restless or root.where == without or _is_told_by_its_state(root):
                continue
            unit = self._unit(leaf.node)
            key = id(unit.value) if not isinstance(unit.value, ATOMS) else hash(unit.where)
            units.setdefault(key, (unit, []))[1].append((a, b))
        new = {key: given for key, given in units.items() if key not in self.named}
        self.named |= set(new)
        return [_finding(unit, pairs, how, self.handed) for unit, pairs in new.values()]

    def _unit(self, node: Node) -> Node:
        """What can be handed in, the outermost; else the attribute or variable itself."""
        line = node.from_root
        for one in line[1:]:
            if id(one.value) not in self.handed and _can_be_handed_in(one.value):
                return one
        return next(one for one in reversed(line) if one.named)


class _Examination:
    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loader: Any,
        step: Step | None,
        state: Sequence[Any],
        loss_fn: LossFunction | None,
        evaluate: Callable[[], Any] | None,
        steps: int,
    ) -> None:
        if not isinstance(steps, int) or steps < 1:
            raise InvalidArgument(f"steps={steps!r}: give a whole number from 1 on")
        if not isinstance(state, (list, tuple)):
            raise InvalidArgument(f"state= takes a list, not {type(state).__name__}; write state=[...]")
        if not hasattr(loader, "__iter__") or isinstance(loader, Iterator):
            raise InvalidArgument(
                f"loader= takes an iterable that can be passed over again, such as a DataLoader, not "
                f"{type(loader).__name__}"
            )
        self._models = _checked_list(model, nn.Module, "model")
        self._optimizers = _checked_list(optimizer, Optimizer, "optimizer")
        self._loader = loader
        self._state = list(state)
        if isinstance(loss_fn, nn.Module) and not any(loss_fn is item for item in state):
            self._state.append(loss_fn)
        self._step = _step_of(self._models, self._optimizers, step, loss_fn)
        self._evaluate = evaluate
        self._count = steps
        self._call: tuple[Any, Any] | None = None  # the arguments of the model's first call
        self._doing = "looking over what was given"
        self._findings: list[Finding] = []
        self._checked: list[str] = []
        self._schedulers: list[LRScheduler] = []  # attached, and not handed in
        self._roots = {
            **_numbered("model", self._models),
            **_numbered("optimizer", self._optimizers),
            **{f"state[{n}]": item for n, item in enumerate(self._state)},
            "loader": loader,
            "step": step if step is not None else loss_fn,
            **({"evaluate": evaluate} if evaluate is not None else {}),
        }

    def diagnosis(self) -> Diagnosis:
        # workers that persist have seen batches already: the examination has workers of its own
        workers = vars(self._loader).get("_iterator") if isinstance(self._loader, DataLoader) else None
        if workers is not None:
            self._loader._iterator = None
        self._held = Held(self._roots)
        try:
            unseen = Survey(self._roots).unseen
            self._examine()
        except GammatuneError:
            raise
        except Exception as error:
            error.add_note(
                f"This came up in gammatune's doctor, in {self._doing}. Model, optimizer and all that goes with them "
                "are as they were before."
            )
            raise
        finally:
            self._held.put_back()
            if workers is not None:
                self._loader._iterator = workers
        return Diagnosis(tuple(self._findings), tuple(self._checked), tuple(unseen))

    def _examine(self) -> None:
        self._find_schedulers()
        try:
            with self._looped() as loop:
                loop.capture("home")
        except (NotRestorable, ConflictingControl) as error:
            self._findings.append(_refused(error, "model, optimizer and state"))
            return
        plain, again = self._plain("the first plain run"), self._plain("the second plain run")
        self._differences = _Differences(
            frozenset(
                leaf.node.where
                for pair in plain.survey.differences(again.survey)
                for leaf in pair
                if leaf is not None
            ),
            self._handed(),
        )
        if (difference := plain.first_difference(again)) is not None:
            self._findings.append(_restless(difference, plain, again))
            return
        self._checked += [*plain.compared, f"{_count(self._count, 'step')}, twice from the same state"]
        for experiment in (self._control, self._checkpoint):
            try:
                experiment(plain)
            except (NotRestorable, ConflictingControl) as error:
                self._findings.append(_refused(error, self._doing))
            finally:
                self._held.put_back()

    # -- the experiments: each begins with everything as it was, and may leave it anyhow

    def _plain(self, name: str) -> _Trace:
        hooks = [] if self._call or self._evaluate else [self._record_the_first_call()]
        try:
            taken = self._follow(lambda _: self._loader, name)
        finally:
            for hook in hooks:
                hook.remove()
        trace = self._trace(taken)
        self._held.put_back()
        return trace

    def _control(self, plain: _Trace) -> None:
        with self._looped() as loop:
            rate = float(loop.own(["lr"])["lr"])
            loop.capture("home")
            before = Survey(self._roots)
            self._run(loop, 0, "the rollout", {"lr": OTHER * rate})
            loop.restore("home")
            after = Survey(self._roots)
            taken = self._run(loop, 0, "the steps after the rollout", {})
        if taken is None:
            return
        course = self._trace(taken)
        self._checked.append(
            f"{self._count} steps without and after a rollout of {self._count} steps at {OTHER:g} times the rate"
        )
        difference = plain.first_difference(course)
        if difference is None:
            self._findings += self._differences.findings(plain.survey, course.survey, "a rollout")
            return
        causes = self._causes(before, after, "a rollout", alike=plain.same_batches(course))
        self._findings.append(
            Finding(
                f"after a rollout the training is another one: {difference}",
                "loader" if not plain.same_batches(course) else "training",
                "put right what is named below, and ask again"
                if causes
                else "something takes part that no fork puts back and that cannot be seen from model, optimizer, "
                "loader, step and state: look for what is kept in other modules, in files, or in C extensions",
            )
        )
        self._findings += causes

    def _causes(self, before: Survey, after: Survey, what: str, *, alike: bool) -> list[Finding]:
        """What did not come back after `what`, where the training changed. alike: the batches are the same."""
        # batches from a tape are drawn ahead of the training: their source does not go back, and need not
        is_ahead = alike and not restorable(self._loader, trusted=self._state)
        return self._differences.findings(before, after, what, without="loader" if is_ahead else None)

    def _checkpoint(self, plain: _Trace) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "state.pt"
            with self._looped() as loop:
                self._run(loop, 0, "the steps before the checkpoint", {})
                loop.capture("saved")
                checksum = loop.save("saved", path)
                size = path.stat().st_size
                before = Survey(self._roots)
                taken = self._run(loop, 1, "the steps after the checkpoint", {})
            if taken is None:
                return
            straight = self._trace(taken)
            self._held.put_back()
            with self._looped() as loop:  # all is as in a process that has just begun
                self._doing = "reading the checkpoint"
                loop.load(path, checksum)
                after = Survey(self._roots)
                taken = self._run(loop, 1, "the steps after the checkpoint was read", {})
        if taken is None:
            return
        resumed = self._trace(taken)
        self._checked.append(
            f"{self._count} steps after a checkpoint of {size / 1e3:,.1f} kB, and after reading it again"
        )
        difference = straight.first_difference(resumed)
        if difference is None:
            self._findings += self._differences.findings(straight.survey, resumed.survey, "a checkpoint")
            return
        if self._findings:
            return  # what is named already explains it
        causes = self._causes(before, after, "a checkpoint", alike=straight.same_batches(resumed))
        self._findings.append(
            Finding(
                f"after a checkpoint is read the training is another one: {difference}",
                "checkpoint",
                "put right what is named below, and ask again"
                if causes
                else "forks in memory work; a run that is interrupted cannot be gone on with to the bit",
            )
        )
        self._findings += causes

    # -- their parts

    @contextmanager
    def _looped(self) -> Iterator[TorchLoop]:
        """What a tuner would make of these objects, gone again at the end."""
        attached = any(hasattr(o.step, "_wrapped_by_lr_sched") for o in self._optimizers)
        multiplier = attached or any(isinstance(item, LRScheduler) for item in self._state)
        state = [*self._state, *self._schedulers]
        loop = TorchLoop(self._models, self._optimizers, ["lr"], state=state, multiplier=multiplier)
        try:
            yield loop
        finally:
            loop.close()

    def _run(self, loop: TorchLoop, epoch: int, name: str, values: Mapping[str, float]) -> list[_Step] | None:
        """Steps as a tuner has them trained, a rollout (with values) validated; None where the training diverges."""
        meter = Meter()
        loop.apply(values, meter)
        taken = self._follow(
            lambda number: loop.batches(self._loader, epoch + number, meter, _examples_in), name, meter
        )
        if meter.diverged:
            if not any(finding.where == "training" for finding in self._findings):
                self._findings.append(
                    Finding(
                        f"it blows up by itself: {meter.note}",
                        "training",
                        "find data, loss and rate with which steps are finite; a rollout ends where they are not",
                    )
                )
            return None
        if values:
            self._doing = "an evaluation after the rollout (evaluate= takes one of your own)"
            loop.measure(self._evaluated, Meter(), examples=0)
        return taken

    def _follow(
        self, passes: Callable[[int], Iterable[Any]], name: str, meter: Meter | None = None
    ) -> list[_Step]:
        """Train so many steps, in several passes where one is too short."""
        taken: list[_Step] = []
        for number in itertools.count():
            begun = len(taken)
            self._doing = f"{name}, at step {begun + 1}"
            for batch in passes(number):
                seen = digest_of(batch)
                returned = self._step(batch)
                loss = digest_of(returned) if isinstance(returned, (Tensor, np.generic, float, int)) else None
                taken.append(_Step(seen, loss, self._weights()))
                if len(taken) == self._count:
                    return taken
                self._doing = f"{name}, at step {len(taken) + 1}"
            if meter is not None and meter.ended:
                return taken
            if len(taken) == begun:
                raise empty_loader(self._loader)
        raise AssertionError("unreachable")

    def _weights(self) -> bytes:
        """The digest of all parameters with their gradients, and of all buffers."""
        tensors = [tensor for model in self._models for tensor in (*model.parameters(), *model.buffers())]
        gradients = [tensor.grad for tensor in tensors if tensor.is_leaf]
        return digest_of([[tensor.detach() for tensor in tensors], gradients])

    def _record_the_first_call(self) -> Any:
        def before_forward(module: nn.Module, args: Any, kwargs: Any) -> None:
            self._call = self._call or (args, kwargs)

        return self._models[0].register_forward_pre_hook(before_forward, with_kwargs=True)

    def _evaluated(self) -> Mapping[str, Any]:
        if self._evaluate is not None:
            self._evaluate()
        elif self._call is not None:
            args, kwargs = self._call
            self._models[0](*args, **kwargs)
        return {}

    def _trace(self, taken: list[_Step]) -> _Trace:
        state: dict[str, Any] = {}
        names: dict[int, str] = {}
        for prefix, model in _numbered("model", self._models).items():
            for name, parameter in model.named_parameters():
                names[id(parameter)] = f"{prefix}.{name}"
                state[f"parameter {prefix}.{name}"] = parameter.detach()
                if parameter.grad is not None:
                    state[f"gradient of {prefix}.{name}"] = parameter.grad
            state |= {f"buffer {prefix}.{name}": buffer for name, buffer in model.named_buffers()}
        for which, optimizer in _numbered("optimizer", self._optimizers).items():
            for number, (key, entry) in enumerate(optimizer.state.items()):
                owner = names.get(id(key), f"entry {number}")
                parts = entry if isinstance(entry, dict) else {"state": entry}
                state |= {f"{part} in {which} of {owner}": held for part, held in parts.items()}
            for number, group in enumerate(optimizer.param_groups):
                options = {key: value for key, value in group.items() if key != "params"}
                state[f"options in {which} of group {number}"] = options
        for number, extra in enumerate(self._state):
            if isinstance(extra, Stream):
                state[f"state[{number}], a {kind_of(extra)}"] = extra
            elif not isinstance(extra, nn.Module):
                state[f"state_dict of state[{number}]"] = extra.state_dict()
        for kind, kept in StreamStates([], cuda=True).export().items():
            state[f"stream of {kind}"] = kept
        survey = Survey(self._roots)
        digests = {name: digest_of(held) for name, held in state.items()}
        return _Trace(tuple(taken), digests, survey, self._compared(taken, state, survey))

    def _compared(self, taken: list[_Step], state: Mapping[str, Any], survey: Survey) -> tuple[str, ...]:
        """What a trace holds, in words."""

        def count(what: str, start: str) -> str:
            return _count(sum(name.startswith(start) for name in state), what)

        slots = [held for name, held in state.items() if " in optimizer" in name and isinstance(held, Tensor)]
        streams = [node for node in survey.nodes if isinstance(node.value, Stream)]
        everywhere = 3 + len(StreamStates([], cuda=True).export()["cuda"])  # Python, NumPy, torch; CUDA's
        losses = sum(step.loss is not None for step in taken)
        told = f"{_count(losses, 'loss value')}" if losses else "no loss value, since the step returns none"
        return (
            f"{count('parameter', 'parameter ')}, {count('buffer', 'buffer ')}, {count('gradient', 'gradient ')}, "
            f"{_count(len(slots), 'tensor')} of optimizer state",
            f"{_count(len(taken), 'batch', 'batches')}, {told}, "
            f"{_count(everywhere + len(streams), 'random stream')}",
            f"{_count(len(survey.nodes), 'object')} that model, optimizer, loader and step lead to",
        )

    def _handed(self) -> frozenset[int]:
        items = [*self._models, *self._optimizers, *self._state, *self._schedulers]
        parts = [part for item in items if isinstance(item, nn.Module) for part in item.modules()]
        return frozenset(map(id, [*items, *parts]))

    def _find_schedulers(self) -> None:
        """Schedulers of these optimizers that were not handed in: named, and from then on taken as if they were."""
        for node in Survey(self._roots).nodes:
            inside = any(isinstance(one.value, LRScheduler) for one in node.from_root[:-1])
            if not isinstance(node.value, LRScheduler) or inside:
                continue
            scheduled = getattr(node.value, "optimizer", None)
            if any(scheduled is o for o in self._optimizers) and not any(
                node.value is s for s in self._state
            ):
                self._schedulers.append(node.value)
                self._findings.append(
                    Finding(
                        f"a {type(node.value).__name__} moves on in every step, and no fork puts it back",
                        node.where,
                        f"hand it in as state=[{node.name}], with multiplier=True",
                    )
                )


# What the user gave -----------------------------------------------------------------------------------------------


def _step_of(
    models: list[nn.Module], optimizers: list[Optimizer], step: Step | None, loss_fn: LossFunction | None
) -> Step:
    if (step is None) == (loss_fn is None):
        raise InvalidArgument(
            f"{'both' if step is not None else 'neither'} step= and loss_fn= given: give step=, which trains on one "
            "batch, or loss_fn=, the loss of (outputs, targets)"
        )
    if step is not None:
        return step
    if len(models) > 1 or len(optimizers) > 1:
        raise InvalidArgument(
            f"{len(models)} models and {len(optimizers)} optimizers: how they are trained only step= can say"
        )
    (model,), (optimizer,), loss = models, optimizers, loss_fn
    assert loss is not None

    def train(batch: Any) -> Tensor:
        if not isinstance(batch, (list, tuple)) or len(batch) != 2:
            raise InvalidArgument(
                f"a batch must be a pair (inputs, targets), not {type(batch).__name__}; give step= for others"
            )
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        inputs, targets = to_device(batch[0], device), to_device(batch[1], device)
        if not model.training:
            model.train()
        if has_mode(optimizer):
            optimizer.train()  # type: ignore[attr-defined]
        optimizer.zero_grad()
        total = loss(model(inputs), targets)
        total.backward()
        optimizer.step()
        return total.detach()

    return train


def _numbered(name: str, items: Sequence[Any]) -> dict[str, Any]:
    return {name: items[0]} if len(items) == 1 else {f"{name}[{n}]": item for n, item in enumerate(items)}


def _checked_list(given: Any, kind: type, name: str) -> list[Any]:
    items = list(given) if isinstance(given, (list, tuple)) else [given]
    if not items or not all(isinstance(item, kind) for item in items):
        got = type(next((item for item in items if not isinstance(item, kind)), given)).__name__
        raise InvalidArgument(
            f"{name}= takes a {kind.__module__}.{kind.__name__} or a list of them, not {got}"
        )
    return items


def _examples_in(batch: Any) -> int:
    """Costs are nobody's concern here, so a batch that cannot be counted is one example."""
    try:
        return examples_in(batch)
    except InvalidArgument:
        return 1


# What was found, in words -----------------------------------------------------------------------------------------


def _refused(error: GammatuneError, where: str) -> Finding:
    what, _, advice = str(error).partition("; ")
    return Finding(what, where, advice or "a search cannot be run on this training as it is")


def _restless(difference: str, first: _Trace, second: _Trace) -> Finding:
    data = not first.same_batches(second)
    return Finding(
        f"two plain runs from the same state are not the same: {difference}. Nothing else can be told",
        "loader" if data else "training",
        "let all data follow from seeded generators and the index alone, not from the clock, the system's entropy or "
        "the time at which a worker is done"
        if data
        else "look for what draws from the clock or the system's entropy, and try torch.use_deterministic_algorithms"
        "(True), which names operations that are not deterministic",
    )


def _can_be_handed_in(value: Any) -> bool:
    if isinstance(value, type) or isinstance(value, Stream):  # noqa: SIM101 - Stream is a union
        return not isinstance(value, type)
    return callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))


def _is_told_by_its_state(root: Node) -> bool:
    """Whether its state_dict says all that matters of what was handed in: of a library's own (a GradScaler notes in
    other attributes where it was loaded), and never of what the user wrote."""
    is_module = isinstance(root.value, nn.Module)
    return root.where.startswith("state[") and not is_module and not is_users_own(type(root.value).__module__)


def _finding(
    unit: Node, pairs: list[tuple[Leaf | None, Leaf | None]], how: str, handed: frozenset[int]
) -> Finding:
    """unit: what holds the places that differ, `pairs`. how: after what."""
    value, kind = unit.value, type(unit.value).__name__
    did = f"changed and did not come back after {how}"
    in_state = f"hand it in as state=[{unit.name}]"
    if isinstance(value, nn.Module):
        leaves = [b or a for a, b in pairs]
        tensors = [leaf.node for leaf in leaves if leaf is not None and isinstance(leaf.node.value, Tensor)]
        parameters = any(isinstance(node.value, nn.Parameter) for node in tensors)
        what = "parameters" if parameters else "buffers" if tensors else "attributes"
        return Finding(f"{what} of {kind} {did}", unit.where, in_state)
    if isinstance(value, Optimizer):
        return Finding(f"the state of {kind} {did}", unit.where, f"give it as optimizer=[..., {unit.name}]")
    if isinstance(value, Stream):
        return Finding(
            f"a {kind_of(value)} was drawn from and did not come back after {how}", unit.where, in_state
        )
    if _can_be_handed_in(value):
        return Finding(f"a {kind} {did}", unit.where, in_state)
    return Finding(f"{_described(value)} {did}{_values(pairs)}", unit.where, _advice(unit, handed))


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, (bool, int, float, str)):
        return "a text" if isinstance(value, str) else "a number"
    return "what is in here" if value is None else f"a {type(value).__name__}"


def _values(pairs: list[tuple[Leaf | None, Leaf | None]]) -> str:
    """What stands there, where that is one number."""
    if len(pairs) == 1 and all(leaf is not None and leaf.shown is not None for leaf in pairs[0]):
        a, b = pairs[0]
        assert a is not None
        assert b is not None
        return f" (it is {b.shown}, and would be {a.shown})" if a.shown != b.shown else ""
    return ""


def _advice(unit: Node, handed: frozenset[int]) -> str:
    """For what cannot be handed in itself: to whom it belongs, and what that needs."""
    line = unit.from_root
    owner = next(
        (one for one in reversed(line[:-1]) if not callable(one.value) or hasattr(one.value, "forward")), None
    )
    holder = type(owner.value).__name__ if owner is not None else ""
    if owner is not None and id(owner.value) in handed and not isinstance(owner.value, nn.Module):
        return f"the state_dict of {holder} does not have it: add it there and to load_state_dict"
    if line[0].where == "loader":
        return (
            "a rollout reads data too: let these follow from the index and from random generators alone, or give "
            f"{holder or 'it'} state_dict and load_state_dict and hand it in as state=[...]"
        )
    if owner is not None and not isinstance(owner.value, (nn.Module, type)) and len(line) > 2:
        return (
            f"give {holder} state_dict and load_state_dict and hand it in as state=[{owner.name}], or let the model "
            "itself hold it, as a buffer or a plain attribute"
        )
    return (
        "let an object with state_dict and load_state_dict hold it and hand that in as state=[...], or make it an "
        "attribute of the model; what is only a record is written where run.is_course"
    )


def _listed(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
