"""What of a fork can leave its process: its states as a tree in which nothing is named by what object it is.

A module is known by its name, a parameter by its module and its own name, an optimizer by its place. `adopt` first
says which parameter takes which numbers, module by module, and refuses a training that is not made as that one was.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from gammatune.engine.forks import archive
from gammatune.engine.forks.states import Attributes, ModuleState, OptimizerState, ParameterStates, States
from gammatune.engine.forks.transfer import Inbound, Outbound, first_difference, mapped, unlike


def export(states: States, outbound: Outbound) -> dict[str, Any]:
    """Raises NotRestorable where the training keeps what a file cannot hold."""
    names = _names(states)
    return {
        "roots": [names[id(root)] for root in states.roots],
        "modules": {names[id(m.module)]: _export_module(m, outbound, names) for m in states.modules},
        "optimizers": [_export_optimizer(each, outbound) for each in states.optimizers],
        "loose": _export_parameters(states.loose, outbound),
    }


def adopt(states: States, saved: Mapping[str, Any], inbound: Inbound) -> None:
    """Let the states of this training be those that were exported. Raises InvalidArgument, naming the first
    difference."""
    names = _names(states)
    here = {names[id(m.module)]: m for m in states.modules}
    for name, there in saved["modules"].items():
        if name not in here:
            raise unlike(f"the checkpoint has {_part(name)}, a {there['class']}, and this model has not")
        _bind_module(here[name], there, name, names, inbound)
    if (name := first_difference(saved["modules"], here)) is not None:
        kind = type(here[name].module).__name__
        raise unlike(f"this model has {_part(name)}, a {kind}, and the checkpoint has not")
    refuse_others(
        [each["class"] for each in saved["optimizers"]],
        [type(each.optimizer).__qualname__ for each in states.optimizers],
        "the optimizers",
    )
    _bind_loose(states.loose, saved["loose"], inbound)
    for name, there in saved["modules"].items():
        _adopt_module(here[name], there, inbound)
    for optimizer, there in zip(states.optimizers, saved["optimizers"], strict=True):
        _adopt_optimizer(optimizer, there, inbound)
    _adopt_parameters(states.loose, saved["loose"], inbound)


def refuse_others(there: Sequence[str], here: Sequence[str], what: str) -> None:
    if list(there) != list(here):
        raise unlike(
            f"the checkpoint has {what} ({', '.join(there) or 'none'}), this training ({', '.join(here) or 'none'})"
        )


def _names(states: States) -> dict[int, str]:
    """What each module is called, as the children stood at the fork: "" for the model, "0.weight", ...

    The parts of a second model begin with "[1]".
    """
    by_identity = {id(state.module): state for state in states.modules}
    names: dict[int, str] = {}
    for index, root in enumerate(states.roots):
        queue = [(f"[{index}]" if index else "", root)]
        while queue:
            name, module = queue.pop(0)
            if id(module) in names:
                continue
            names[id(module)] = name
            children = by_identity[id(module)].children.items()
            queue += [(_joined(name, key), child) for key, child in children if child is not None]
    return names


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _part(name: str) -> str:
    return f"a part {name!r}" if name else "a model"


def _export_parameters(states: ParameterStates, outbound: Outbound) -> list[dict[str, Any]]:
    return [
        {
            "numbers": outbound(parameter),
            "requires_grad": requires_grad,
            "gradient": None if gradient is None else outbound(gradient),
        }
        for parameter, requires_grad, gradient in states.kept
    ]


def _bind_loose(states: ParameterStates, saved: Sequence[Mapping[str, Any]], inbound: Inbound) -> None:
    """Say which parameter that no module has takes which numbers."""
    if len(saved) != len(states.kept):
        there, here = len(saved), len(states.kept)
        raise unlike(f"the checkpoint has {there} trained parameters outside the model, this training {here}")
    for index, (numbers, (parameter, _, _)) in enumerate(zip(saved, states.kept, strict=True)):
        inbound.parameter(numbers["numbers"], parameter, f"parameter {index} outside the model")


def _adopt_parameters(states: ParameterStates, saved: Sequence[Mapping[str, Any]], inbound: Inbound) -> None:
    states.kept = [
        (
            parameter,
            there["requires_grad"],
            None if there["gradient"] is None else inbound.tensor(there["gradient"], parameter.grad),
        )
        for there, (parameter, _, _) in zip(saved, states.kept, strict=True)
    ]


def _export_module(state: ModuleState, outbound: Outbound, names: Mapping[int, str]) -> dict[str, Any]:
    where = f"{names[id(state.module)] or 'the model'} ({type(state.module).__name__})"
    archive.check(state.extra_state, f"the extra state of {where}")
    return {
        "class": type(state.module).__qualname__,
        "children": {
            key: None if child is None else names[id(child)] for key, child in state.children.items()
        },
        "links": [name for name, parameter in state.links.items() if parameter is not None],
        "parameters": _export_parameters(state.parameters, outbound),
        "buffers": {name: b if b is None else outbound(b) for name, b in state.buffers.items()},
        "unsaved": state.unsaved,
        "attributes": _export_attributes(state.attributes, outbound, where),
        "extra": mapped(state.extra_state, outbound),
    }


def _bind_module(
    state: ModuleState, saved: Mapping[str, Any], name: str, names: Mapping[int, str], inbound: Inbound
) -> None:
    """Say which parameter takes which numbers, where this module is what that one was."""
    kind = type(state.module).__qualname__
    if saved["class"] != kind:
        raise unlike(f"the checkpoint has {_part(name)}, a {saved['class']}, this model a {kind}")
    here = {key: parameter for key, parameter in state.links.items() if parameter is not None}
    if (key := first_difference(dict.fromkeys(saved["links"]), here)) is not None:
        owners = ("this model", "the checkpoint") if key in here else ("the checkpoint", "this model")
        raise unlike(f"{owners[0]} has a parameter {_joined(name, key)}, and {owners[1]} has not")
    for key, child in state.children.items():
        there, ours = saved["children"].get(key), None if child is None else names[id(child)]
        own = _joined(name, key)
        if there is None or ours is None or there == ours:
            continue
        other, one, two = (
            (there, "the checkpoint", "this model")
            if there != own
            else (ours, "this model", "the checkpoint")
        )
        raise unlike(f"{own} and {other} are one module in {one} and two in {two}")
    by_name = dict(zip(saved["links"], saved["parameters"], strict=True))
    for key, parameter in here.items():
        inbound.parameter(by_name[key]["numbers"], parameter, _joined(name, key))


def _adopt_module(state: ModuleState, saved: Mapping[str, Any], inbound: Inbound) -> None:
    by_name = dict(zip(saved["links"], saved["parameters"], strict=True))
    _adopt_parameters(
        state.parameters, [by_name[key] for key, p in state.links.items() if p is not None], inbound
    )
    live = state.module._buffers
    state.buffers = {
        name: b if b is None else inbound.tensor(b, live.get(name)) for name, b in saved["buffers"].items()
    }
    state.unsaved = set(saved["unsaved"])
    _adopt_attributes(state.attributes, saved["attributes"], inbound)
    state.extra_state = inbound.moved(saved["extra"])


def _export_optimizer(of: OptimizerState, outbound: Outbound) -> dict[str, Any]:
    name = type(of.optimizer).__name__
    groups = [
        {"params": [outbound(p) for p in params], "options": mapped(held, outbound)}
        for _, params, held in of.groups
    ]
    state = [  # by parameter, or by name where an optimizer keeps something for all of them
        (outbound(key) if isinstance(key, Tensor) else key, mapped(entry, outbound))
        for key, entry in of.state.items()
    ]
    archive.check([group["options"] for group in groups], f"the parameter groups of {name}")
    archive.check(state, f"the state of {name}")
    return {
        "class": type(of.optimizer).__qualname__,
        "groups": groups,
        "state": state,
        "attributes": _export_attributes(of.attributes, outbound, name),
    }


def _adopt_optimizer(of: OptimizerState, saved: Mapping[str, Any], inbound: Inbound) -> None:
    name, state = type(of.optimizer).__name__, of.optimizer.state
    sizes = [len(group["params"]) for group in saved["groups"]]
    if sizes != (here := [len(params) for _, params, _ in of.groups]):
        raise unlike(f"{name} has {_groups(sizes)} in the checkpoint and {_groups(here)} here")
    adopted = []
    for index, (there, (group, params, held)) in enumerate(zip(saved["groups"], of.groups, strict=True)):
        for place, (numbers, parameter) in enumerate(zip(there["params"], params, strict=True)):
            if not inbound.is_for(numbers, parameter):
                theirs, ours = inbound.name(inbound.known(numbers)), inbound.name(parameter)
                raise unlike(
                    f"parameter {place} of group {index} of {name} is {theirs} in the checkpoint and {ours} here"
                )
        adopted.append((group, params, inbound.held(there["options"], held)))
    of.groups = adopted
    of.state = {}
    for key, entry in saved["state"]:
        own = inbound.known(key) if isinstance(key, Tensor) else key
        if own is None:
            raise unlike(f"{name} has state in the checkpoint for a parameter that is not here")
        of.state[own] = inbound.held(entry, state.get(own))
    _adopt_attributes(of.attributes, saved["attributes"], inbound)


def _groups(sizes: Sequence[int]) -> str:
    """In words: how many groups, of how many parameters each."""
    groups = "1 group" if len(sizes) == 1 else f"{len(sizes)} groups"
    return f"{groups} ({', '.join(map(str, sizes))} parameters)"


def _export_attributes(of: Attributes, outbound: Outbound, where: str) -> dict[str, Any]:
    held = {name: mapped(held, outbound) for name, (_, held) in of.held.items()}
    archive.check(held, f"the attributes of {where}")
    return {"plain": of.plain, "held": held}


def _adopt_attributes(of: Attributes, saved: Mapping[str, Any], inbound: Inbound) -> None:
    """Numbers and the like that are not in the checkpoint were not there at the fork, and go."""
    attributes = vars(of.owner)
    # of torch's own modules nothing goes: another version may have more of them
    gone = {*of.plain, *of.held} if of.own else set()
    of.plain = dict(saved["plain"])
    adopted = {}
    for name, there in saved["held"].items():
        live = attributes.get(name)
        container = (
            live if type(live) is type(there) else type(there)() if type(there) in (dict, list) else there
        )
        adopted[name] = (container, inbound.held(there, of.held.get(name, (None, None))[1]))
    of.held = adopted
    rest = [name for name in attributes if name not in gone]
    of.all = (*rest, *of.plain, *of.held)
