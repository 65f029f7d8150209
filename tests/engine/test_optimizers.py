"""Optimizers by name: what each is made of, and that a training with it goes back and goes on to the bit."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import needs
import pytest
import test_archive as archives
import test_control_rollouts as control
import torch
from sklearn.datasets import load_digits
from torch import nn

import gammatune
from gammatune.engine.known import known_of
from gammatune.engine.modes import evaluating, has_mode
from gammatune.errors import InvalidArgument, MissingExtra
from gammatune.supervised.muon import MuonAdamW
from gammatune.supervised.optimizers import OPTIMIZERS, make_optimizer
from gammatune.testing.control import control_rollouts
from gammatune.tuning.tuner import Tuner

PACKAGES = {"prodigy": "prodigyopt", "schedulefree": "schedulefree"}


@pytest.fixture(params=OPTIMIZERS)
def name(request: pytest.FixtureRequest) -> str:
    if request.param in PACKAGES:
        needs.package(PACKAGES[request.param])
    return str(request.param)


# Muon and AdamW together ------------------------------------------------------------------------------------


def mixed() -> nn.Module:
    """Matrices, kernels and vectors."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(8, 5),
        nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 2),
    )  # fmt: skip


class Apart:
    """The slow honest twin: two of torch's optimizers, beside each other."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.01) -> None:
        parameters = list(parameters)
        options = {"lr": lr, "weight_decay": weight_decay}
        matrices, rest = [p for p in parameters if p.ndim == 2], [p for p in parameters if p.ndim != 2]
        self.parts = [
            torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **options),
            torch.optim.AdamW(rest, **options),
        ]

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        for part in self.parts:
            part.step()


def trained(model: nn.Module, optimizer: Any, steps: int = 6) -> list[torch.Tensor]:
    for k in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(
            model(control.X[8 * k : 8 * k + 8]), control.Y[8 * k : 8 * k + 8]
        ).backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def equal(ones: Iterable[torch.Tensor], others: Iterable[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


@pytest.mark.parametrize("options", [{"lr": 0.02}, {"lr": 0.3, "weight_decay": 0.2}])
def test_it_is_torchs_muon_and_torchs_adamw(options: dict[str, float]) -> None:
    one, two = mixed(), mixed()
    assert equal(
        trained(one, make_optimizer("muon", one.parameters(), **options)),
        trained(two, Apart(two.parameters(), **options)),
    )


def test_what_is_left_out_is_torchs_default() -> None:
    optimizer = make_optimizer("muon", mixed().parameters(), lr=0.1)
    matrices, rest = optimizer.param_groups
    muon = torch.optim.Muon([torch.zeros(2, 2)], lr=0.1, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW([torch.zeros(2)], lr=0.1)
    for group, made in ((matrices, muon), (rest, adamw)):
        assert group | {"params": None} == made.param_groups[0] | {"params": None}
    assert {p.ndim for p in matrices["params"]} == {2}
    assert {p.ndim for p in rest["params"]} == {1, 4}


ONE_KIND: dict[str, Callable[[], nn.Module]] = {
    "matrices": lambda: nn.Sequential(nn.Linear(6, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False)),
    "no matrix": lambda: nn.Sequential(
        nn.LayerNorm(6), nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 1, 2), nn.Flatten()
    ),
}


@pytest.mark.parametrize("kind", ONE_KIND)
def test_nothing_but_matrices_and_none_at_all(kind: str) -> None:
    torch.manual_seed(0)
    model = ONE_KIND[kind]()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = make_optimizer("muon", model.parameters(), lr=0.01)
    assert len(optimizer.param_groups) == 1
    after = trained(model, optimizer)
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    fitted = gammatune.fit(model, (control.X, control.Y), (control.X, control.Y), epochs=2, optimizer="muon")
    assert fitted.course[-1].ok


def test_an_empty_list_is_refused_in_torchs_own_words() -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        MuonAdamW([])


def test_complex_matrices_are_adamws() -> None:
    matrix = nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))
    optimizer = MuonAdamW([matrix], lr=0.1)
    matrix.grad = torch.ones_like(matrix)
    optimizer.step()
    assert optimizer.state.keys() == {matrix}
    assert bool((matrix != 1).all())


def test_groups_of_ones_own_are_parted_too() -> None:
    one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = MuonAdamW([{"params": one.parameters(), "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": two.parameters()})
    optimizer.add_param_group({"params": nn.Parameter(torch.ones(2)), "betas": (0.5, 0.9)})
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5, 0.1, 0.1, 0.1]
    assert ["ns_steps" in group for group in optimizer.param_groups] == [True, False, True, False, False]
    assert optimizer.param_groups[-1]["betas"] == (0.5, 0.9)
    named = MuonAdamW(list(one.named_parameters()), lr=0.1)
    assert [group["param_names"] for group in named.param_groups] == [["weight"], ["bias"]]


def test_a_closure_is_called_with_gradients() -> None:
    one, two = mixed(), mixed()
    optimizer = make_optimizer("muon", one.parameters(), lr=0.02)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(one(control.X[:8]), control.Y[:8])
        loss.backward()
        return loss

    assert optimizer.step(closure).requires_grad  # type: ignore[arg-type, attr-defined]
    assert equal(one.parameters(), trained(two, make_optimizer("muon", two.parameters(), lr=0.02), steps=1))


@pytest.mark.parametrize(
    "given", [{"lr": 0.5}, {"weight_decay": 0.3}, {"lr": 0.5, "weight_decay": 0.3, "momentum": 0.5}]
)
def test_both_groups_are_steered(given: dict[str, float]) -> None:
    model = mixed()
    optimizer = make_optimizer("muon", model.parameters(), lr=0.02)
    seen: list[dict[str, Any]] = []
    space = [f"{name}={value}:1" for name, value in given.items()]
    policy = control_rollouts(given, [])
    with Tuner(model=model, optimizer=optimizer, epochs=1, policy=policy, space=space) as tuner:
        for run in tuner:
            for x, y in run.batches([(control.X, control.Y)]):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            seen = [{**group} for group in optimizer.param_groups]
            run.report(score=1.0)
    for name in {*given} - {"momentum"}:
        assert [group[name] for group in seen] == [given[name]] * 2
    if "momentum" in given:  # AdamW's first beta keeps its ratio to Muon's
        assert seen[0]["momentum"] == 0.5
        assert seen[1]["betas"] == (pytest.approx(0.5 * 0.9 / 0.95), 0.999)


def test_a_torch_without_muon_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(InvalidArgument, match=r"'muon' .* torch \d\S* has not: install torch 2\.9 or newer"):
        gammatune.fit(mixed(), (control.X, control.Y), epochs=1, optimizer="muon")


# All of them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_not_there_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(MissingExtra, match=rf"{PACKAGES[name]} is not installed.*'gammatune\[optimizers\]'"):
        gammatune.fit(mixed(), (control.X, control.Y), epochs=1, optimizer=name)  # type: ignore[arg-type]


def test_nobody_but_who_asks_for_them_imports_the_packages() -> None:
    code = "import sys, gammatune.supervised.optimizers; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(PACKAGES.values()) & set(done.stdout.split())


@pytest.mark.parametrize("decay", [None, 0.01])
def test_prodigy_is_as_its_readme_says_and_prints_nothing(
    decay: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    needs.package("prodigyopt")
    (group,) = make_optimizer("prodigy", mixed().parameters(), decay).param_groups
    assert (group["lr"], group["safeguard_warmup"]) == (1.0, True)
    assert (group["weight_decay"], group["decouple"]) == (decay or 0, True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("policy", ["lookahead", "greedy"])
@pytest.mark.parametrize(("given", "said"), [({}, "from 0.1 to 10"), ({"lr": 2.0}, "from 0.063 to 63")])
def test_prodigys_rate_is_searched_about_1(policy: str, given: dict[str, float], said: str) -> None:
    needs.package("prodigyopt")
    result = gammatune.fit(
        mixed(), (control.X, control.Y), epochs=1, budget=2, optimizer="prodigy", policy=policy, **given  # type: ignore[arg-type]
    )  # fmt: skip
    assert any(said in sentence for sentence in result.said)


def test_families() -> None:
    for name, family in {"muon": "muon", "prodigy": "prodigy", "schedulefree": "schedulefree"}.items():
        if name in PACKAGES:
            needs.package(PACKAGES[name])
        model = mixed()
        assert known_of([model], [make_optimizer(name, model.parameters())], is_own=False).family == family


def training(name: str, model: str = "batchnorm") -> control.Training:
    made = control.Training("SGD", model)
    made.optimizer = make_optimizer(name, list(dict.fromkeys(made.model.parameters())), lr=0.01)
    body = made.epoch

    def epoch(batches: Any) -> None:
        if has_mode(made.optimizer):
            made.optimizer.train()  # type: ignore[attr-defined]
        body(batches)

    made.epoch = epoch  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize("model", ["batchnorm", "tied", "weight_norm"])
def test_forks_change_nothing(name: str, model: str) -> None:
    plain = training(name, model)
    for _ in range(control.EPOCHS):
        plain.epoch(plain.loader)
        with evaluating(plain.model, optimizers=[plain.optimizer]):
            control.validate(plain)
    control.assert_same(plain.evidence(), control.disturbed(training(name, model)))


@pytest.mark.parametrize("first", [0, 2])
def test_another_process_goes_on(name: str, first: int, tmp_path: Path) -> None:
    """From a fork on disk, taken before the first step or after some."""
    archives.assert_same(*archives.go_on(lambda: training(name), tmp_path / "f", first=first))


def test_copies_go_on_by_themselves(name: str) -> None:
    """Deep copies, pickles and a state_dict: whatever of it is held twice is not held in common."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = make_optimizer(name, model.parameters(), lr=0.01)
    if has_mode(optimizer):
        optimizer.train()  # type: ignore[attr-defined]
    trained(model, optimizer, 3)
    copied = copy.deepcopy((model, optimizer))
    pickled = pickle.loads(pickle.dumps((model, optimizer)))
    fresh = copy.deepcopy(model)
    loaded = make_optimizer(name, fresh.parameters(), lr=0.5)
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    expected = trained(model, optimizer)
    for other, its in (copied, pickled, (fresh, loaded)):
        assert equal(expected, trained(other, its))
        assert control.same(optimizer.state_dict(), its.state_dict())


def test_doctor_finds_nothing(name: str) -> None:
    made = training(name)
    diagnosis = gammatune.doctor(
        made.model, made.optimizer, made.loader, loss_fn=nn.functional.cross_entropy, steps=3
    )
    assert diagnosis.healthy, str(diagnosis)


class Interrupted:
    """Ctrl-C, after so many rollouts."""

    def __init__(self, rollouts: int) -> None:
        self.left = rollouts

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.left -= event["event"] == "rollout" and not event.get("past")
        if self.left < 0:
            raise KeyboardInterrupt


def test_fit_by_name_learns_and_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float(), torch.tensor(y)

    def fit(*listeners: Any, run_dir: str) -> tuple[Any, nn.Module]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        result = gammatune.fit(
            model, (x[:800], y[:800]), (x[800:1100], y[800:1100]), test_set=(x[1100:], y[1100:]), epochs=5,
            batch_size=16, optimizer=name, run_dir=str(tmp_path / run_dir), listeners=listeners,  # type: ignore[arg-type]
        )  # fmt: skip
        return result, model

    whole, model = fit(run_dir="whole")
    assert whole.report is not None
    assert whole.report.accuracy > 0.5  # by chance 0.1
    assert not any(o.role == "scout" for o in whole.rollouts)  # of each it is known where its rates lie
    looks = [float(o.values["lr"]) for o in whole.rollouts if o.role == "miniature"]
    assert len(looks) >= 3
    if name == "prodigy":
        assert 0.1 <= min(looks) < looks[0] == 1 < max(looks) <= 10
    flat = {o.shape(0.5) == 1 for o in whole.course[1:-1]}
    assert flat == {name == "schedulefree"}
    for rollouts in (2, len(looks) + 3):  # in the search, and in the course
        directory = f"after {rollouts}"
        with pytest.raises(KeyboardInterrupt):
            fit(Interrupted(rollouts), run_dir=directory)
        resumed, other = fit(run_dir=directory)
        assert resumed.cost.repeated < whole.cost.trained  # from a checkpoint, not from the beginning
        assert [(o.values, o.metrics) for o in resumed.rollouts] == [
            (o.values, o.metrics) for o in whole.rollouts
        ]
        assert equal(model.state_dict().values(), other.state_dict().values())
