"""A candidate that blows up by raising, and an error that is the user's own."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty import Mine, Once, X, Y, same
from torch import Tensor, nn
from torch.distributions import Normal
from torch.utils.data import DataLoader, Dataset, TensorDataset

import gammatune
from gammatune.errors import AllDiverged
from gammatune.journal.history import replay
from gammatune.records import Outcome
from gammatune.tuning.result import Result
from gammatune.tuning.run import Run

# Of the weights: SGD at 0.05 stays below 2, the whole course at 5 below 7, a look at 16 does not.
BOUND = 10.0
OVERFLOW = 3 * BOUND  # of the outputs
OWN = 0.05
# Where looks reach rates at which it raises: they begin at the lower end, above what is believed of SGD.
HIGH: dict[str, Any] = {"space": "lr=5:1000:log"}


def refuse(numbers: Tensor, error: Callable[[], Exception], bound: float = BOUND) -> None:
    if numbers.abs().max() > bound:
        raise error()


class Tender(nn.Module):
    """Raises where its weights are large, in training or in evaluation."""

    def __init__(self, *, evaluated: bool = False) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.inner = nn.Linear(4, 2)
        self.evaluated = evaluated

    def forward(self, x: Tensor) -> Any:
        if self.training is not self.evaluated:
            refuse(self.inner.weight, lambda: ValueError("large weights\nand more lines"))
        return self.inner(x)


class Fragile(torch.optim.SGD):
    """Factors what it cannot, as second-order methods do."""

    def step(self, closure: Any = None) -> Any:
        refuse(self.param_groups[0]["params"][0], lambda: torch.linalg.LinAlgError("not positive-definite"))
        return super().step(closure)


def loss(output: Tensor, target: Tensor) -> Tensor:
    refuse(output, lambda: FloatingPointError("overflow"), OVERFLOW)
    return nn.functional.cross_entropy(output, target)


def fit(model: nn.Module | None = None, **options: Any) -> tuple[nn.Module, gammatune.FitResult]:
    model = Tender() if model is None else model
    given: dict[str, Any] = {
        "optimizer": lambda parameters: torch.optim.SGD(parameters, OWN),
        "epochs": 20,  # of 8 batches: long enough to be looked at
        "batch_size": 4,
        "progress": False,
    }
    return model, gammatune.fit(model, (X[:32], Y[:32]), (X[32:], Y[32:]), **(given | options))


def raised(result: Result) -> list[Outcome]:
    return [outcome for outcome in result.rollouts if outcome.raised]


def timeless(result: Result) -> list[Any]:
    return [(o.values, o.status, o.score, o.trained, o.evaluated, o.note, o.raised) for o in result.rollouts]


# -- fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["lookahead", "greedy", "once"])
@pytest.mark.parametrize("where", ["forward", "evaluation", "loss", "step"])
def test_a_candidate_that_raises_has_diverged(where: str, policy: str, tmp_path: Path) -> None:
    model = {
        "forward": Tender(),
        "evaluation": Tender(evaluated=True),
    }.get(where, nn.Linear(4, 2))
    options: dict[str, Any] = {"loss_fn": loss} if where == "loss" else {}
    if where == "step":
        options["optimizer"] = lambda parameters: Fragile(parameters, OWN)
    if policy == "lookahead":
        options |= HIGH
    else:
        options |= {"space": "lr=0.01:1000:log", "budget": 4, "epochs": 2, "sampler": "grid"}
    _, result = fit(model, policy=policy, run_dir=str(tmp_path), **options)
    name, line = {
        "forward": ("ValueError", "large weights"),
        "evaluation": ("ValueError", "large weights"),
        "loss": ("FloatingPointError", "overflow"),
        "step": ("LinAlgError", "not positive-definite"),
    }[where]
    assert result.course
    assert raised(result)
    for outcome in raised(result):
        assert (outcome.status, outcome.score, outcome.metrics) == ("diverged", None, {})
        assert (outcome.raised, outcome.note) == (name, f"{name}: {line}")
    assert replay(tmp_path).rollouts == list(result.rollouts)
    notes = [event["text"] for event in result.events if event["event"] == "note"]
    assert len([note for note in notes if f"{name}: {line}" in note]) == 1
    assert len([said for said in result.said if f"{name}: {line}" in said]) == 1


def test_a_distribution_that_validates_its_arguments() -> None:
    class Gaussian(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.inner = nn.Linear(4, 2)
            nn.init.zeros_(self.inner.weight)
            nn.init.zeros_(self.inner.bias)

        def forward(self, x: Tensor) -> Any:
            mean, wider = self.inner(x).unbind(-1)
            # below 0 after a step that is too large; said here, since torch.compile, wherever it has been used, turns
            # it off for the whole process
            said = Normal(mean, 1 + wider, validate_args=True)
            return torch.stack([said.mean, said.stddev], dim=1)

    def nll(output: Tensor, target: Tensor) -> Any:
        return -Normal(output[:, 0], output[:, 1]).log_prob(target).mean()

    model = Gaussian()
    y = X[:, 0] + torch.randn(48, generator=torch.Generator().manual_seed(5)) / 2
    result = gammatune.fit(
        model,
        (X, y),
        (X, y),
        epochs=20,
        loss_fn=nll,
        optimizer=torch.optim.SGD(model.parameters(), 1e-3),
        batch_size=4,
    )
    assert {outcome.raised for outcome in result.rollouts} >= {"ValueError"}
    assert len(result.course) == 20


def test_what_the_examination_takes_is_in_the_cost() -> None:
    """The steps as far as the one that raised, once more; after an evaluation that raised, that too. It stands
    beside the budget, as what is trained again after an interruption does: nobody else has less for it."""
    _, result = fit(**HIGH)
    outcome = raised(result)[0]
    assert (outcome.trained, outcome.evaluated) == (4 * outcome.batches, 0)
    assert outcome.examined == outcome.trained
    _, result = fit(Tender(evaluated=True), **HIGH)
    outcome = raised(result)[0]
    assert outcome.trained == 4 * outcome.batches
    assert outcome.examined == pytest.approx(outcome.trained + 16 / 3)
    cost = result.cost
    assert cost.trained == sum(o.trained for o in result.rollouts)
    assert cost.repeated == pytest.approx(sum(o.examined for o in result.rollouts))
    assert cost.plain_runs is not None
    assert cost.plain_runs <= 1.5 + 1e-9


def failing(error: Exception, when: Callable[[int], bool]) -> Callable[[Tensor, Tensor], Tensor]:
    calls = iter(range(10**6))

    def mine(output: Tensor, target: Tensor) -> Tensor:
        if when(next(calls)):
            raise error
        return nn.functional.cross_entropy(output, target)

    return mine


@pytest.mark.parametrize("policy", ["lookahead", "greedy", "once"])
@pytest.mark.parametrize("after", [2, 12, 30])
def test_what_is_raised_at_the_own_rate_too_is_the_users(policy: str, after: int, tmp_path: Path) -> None:
    error = Mine("own")
    error.__cause__ = cause = KeyError("why")
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    with pytest.raises(Mine) as caught:
        fit(
            model,
            loss_fn=failing(error, lambda call: call >= after),
            policy=policy,
            budget=4,
            run_dir=str(tmp_path),
        )
    assert caught.value is error
    assert caught.value.__cause__ is cause
    assert caught.value.__context__ is None
    assert caught.traceback[-1].name == "mine"
    story = replay(tmp_path)
    assert not any(outcome.raised for outcome in story.rollouts)
    if not story.course:
        assert torch.equal(model.weight, before)


def test_a_bug_of_the_model_is_raised_in_the_first_step() -> None:
    class Buggy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                raise TypeError("a bug")
            return super().forward(x)

    steps = 0

    def listen(event: Any) -> None:
        nonlocal steps
        steps += event["event"] == "start"

    with pytest.raises(TypeError, match="a bug") as caught:
        fit(Buggy(4, 2), listeners=[listen])
    assert caught.traceback[-1].name == "forward"
    assert steps == 1


def test_a_rate_that_the_library_chose_may_be_too_high_itself() -> None:
    """Nobody has asked for it, so that an error under it is no more the user's than under any other."""
    model = Tender()
    x = X * 10_000  # the middle of the range for "sgd", 0.03, is far too high
    given: dict[str, Any] = {"epochs": 20, "batch_size": 4, "progress": False}
    space = f"lr=1e-9:{1e-3**0.5!r}:log"  # which it is looked at in, since more is believed of SGD
    result = gammatune.fit(model, (x[:32], Y[:32]), (x[32:], Y[32:]), optimizer="sgd", space=space, **given)
    assert [o.raised for o in result.rollouts if o.values["lr"] == pytest.approx(0.0316, rel=1e-2)] == [
        "",
        "ValueError",
    ]
    assert len(result.course) == 20
    with pytest.raises(ValueError, match="large weights"):
        gammatune.fit(Tender(), (x[:32], Y[:32]), (x[32:], Y[32:]), optimizer="sgd", lr=0.0316, **given)


def test_an_epoch_of_the_course_that_raises_is_taken_back() -> None:
    """From the last fork, at the own rate, it does not raise; then at half the rate neither."""
    seen: list[float] = []

    class Late(nn.Linear):
        """Raises in a later epoch of the course, where the rate is that of the course."""

        def forward(self, x: Tensor) -> Tensor:
            if self.training and run[-1].is_course and run[-1].epoch == 2 and not seen:
                seen.append(run[-1].values["lr"])
                raise ArithmeticError("once")
            return super().forward(x)

    run: list[Any] = []

    def listen(event: Any) -> None:
        if event["event"] == "start":
            run.append(event["run"])

    _, result = fit(Late(4, 2), listeners=[listen])
    assert len(seen) == 1
    (outcome,) = raised(result)
    assert (outcome.epoch, outcome.note) == (2, "ArithmeticError: once")
    assert len(result.course) >= 3
    assert result.schedule[2]["lr"] == pytest.approx(result.schedule[1]["lr"] / 2)
    assert any("ArithmeticError: once" in verdict.reason for verdict in result.verdicts)


class Reading(Dataset[Any]):
    """Raises at one reading, once."""

    def __init__(self, fails_at: int) -> None:
        self.fails_at, self.readings = fails_at, 0

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.readings += 1
        if self.readings == self.fails_at:
            raise OSError("a disk")
        return X[index], Y[index]


@pytest.mark.parametrize(("part", "fails_at"), [("train", 50), ("select", 40)])
def test_what_a_loader_raises_is_not_the_candidates(part: str, fails_at: int) -> None:
    roles: list[str] = []

    def listen(event: Any) -> None:
        if event["event"] == "start":
            roles.append(event["run"].role)

    bad, good = DataLoader(Reading(fails_at), 4), DataLoader(TensorDataset(X, Y), 4)
    parts = (bad, good) if part == "train" else (good, bad)
    with pytest.raises(OSError, match="a disk") as caught:
        gammatune.fit(nn.Linear(4, 2), *parts, epochs=40, progress=False, listeners=[listen])
    assert roles[-1] == "miniature"
    assert caught.traceback[-1].name == "__getitem__"


def test_where_every_candidate_raises_the_error_is_the_users(tmp_path: Path) -> None:
    """Also where that is known only in the end, since the step did not raise at the optimizer's own rate."""

    def every(output: Tensor, target: Tensor) -> Tensor:
        if torch.is_grad_enabled() and rates[0].param_groups[0]["lr"] != OWN:
            raise Mine("another rate")
        return nn.functional.cross_entropy(output, target)

    model = nn.Linear(4, 2)
    rates = [torch.optim.SGD(model.parameters(), OWN)]
    with pytest.raises(Mine) as caught:
        fit(model, loss_fn=every, optimizer=rates[0], policy="greedy", space="lr=0.01:9:log", budget=3)
    assert any("all 3 candidates of epoch 1 diverged" in note for note in caught.value.__notes__)


class Leave:
    """Ctrl-C as a rollout begins, the first time or a later one."""

    def __init__(self, number: int, time: int) -> None:
        self.number, self.left = number, time

    def __call__(self, event: Any) -> None:
        if event["event"] == "start" and event["run"].number == self.number:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


@pytest.mark.parametrize("policy", ["lookahead", "greedy", "once"])
def test_it_is_gone_on_with_to_the_bit(policy: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"policy": policy, "budget": 4, "space": "lr=0.01:1000:log", "epochs": 3}
    if policy == "lookahead":
        options = HIGH
    model, whole = fit(**options)
    assert raised(whole)
    ends = [outcome.number for outcome in whole.rollouts]
    for number in sorted({*ends[:: max(1, len(ends) // 4)], *(o.number for o in raised(whole)[:3])}):
        # in the midst of the rollout, of its examination if it has one
        leave = Leave(number, 1 + bool(whole.rollouts[number].raised))
        directory = str(tmp_path / f"{policy}{number}")
        with pytest.raises(KeyboardInterrupt):
            fit(run_dir=directory, listeners=[leave], **options)
        again, result = fit(run_dir=directory, **options)
        assert timeless(result) == timeless(whole)
        assert same(again.state_dict(), model.state_dict())
        assert result.schedule == whole.schedule
        notes = [event["text"] for event in result.events if event["event"] == "note"]
        assert len([note for note in notes if "large weights" in note]) <= 1


def test_of_several_in_one_pass_each_is_tried_alone_where_one_raises() -> None:
    """Once, in the first pass of several: which of them it was cannot be told, and none raises alone."""
    from torch._C._functorch import is_functorch_wrapped_tensor

    raised_in: list[int] = []

    def batched(output: Tensor, target: Tensor) -> Tensor:
        if is_functorch_wrapped_tensor(output) and not raised_in:
            raised_in.append(1)
            raise Mine("own")
        return nn.functional.cross_entropy(output, target)

    _, alone = fit(nn.Linear(4, 2), loss_fn=nn.functional.cross_entropy, at_once=4)
    _, together = fit(nn.Linear(4, 2), loss_fn=batched, parallel="vmap")
    assert raised_in
    assert len(together.course) == len(alone.course)
    assert not raised(together)


# -- a loop of one's own -----------------------------------------------------------------------------------


def loop(
    fault: Callable[[str, Run | None], None] = lambda phase, run: None,
    *,
    attempt: bool = True,
    model: nn.Module | None = None,
    **options: Any,
) -> gammatune.Tuner:
    model = Tender() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), OWN)
    loader = DataLoader(TensorDataset(X, Y), batch_size=4)

    def body(run: Run) -> None:
        for x, y in run.batches(loader):
            fault("batch", run)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        run.report(**run.evaluate(lambda: validate(run)))
        fault("between", run)

    def validate(run: Run) -> dict[str, Any]:
        fault("evaluate", run)
        output = model(X)
        return {
            "loss": nn.functional.cross_entropy(output, Y),
            "accuracy": (output.argmax(1) == Y).float().mean(),
        }

    with gammatune.Tuner(
        model=model, optimizer=optimizer, **({"epochs": 20, "check": False} | options)
    ) as tuner:
        for run in tuner:
            if attempt:
                with run.attempt():
                    body(run)
            else:
                body(run)
    return tuner


def high(run: Run | None) -> bool:
    """At looks far beyond the own rate, and nowhere else."""
    return run is not None and run.role == "miniature" and float(run.values["lr"]) > 4 * OWN


@pytest.mark.parametrize("phase", ["batch", "evaluate"])
def test_attempt_takes_every_exception(phase: str, tmp_path: Path) -> None:
    tuner = loop(Once(phase, 0, Mine("own"), high, always=True), model=nn.Linear(4, 2), run_dir=str(tmp_path))
    assert len(tuner.result.course) == 20
    assert raised(tuner.result)
    assert all(o.status == "diverged" and o.note == "Mine: own" for o in raised(tuner.result))
    assert replay(tmp_path).rollouts == list(tuner.result.rollouts)


@pytest.mark.parametrize(
    ("error", "phase"),
    [(KeyboardInterrupt(), "batch"), (SystemExit(3), "batch"), (Mine("after the report"), "between")],
)
def test_attempt_lets_through_what_is_no_candidates(error: BaseException, phase: str) -> None:
    with pytest.raises(type(error)) as caught:
        loop(Once(phase, 0, error, high), model=nn.Linear(4, 2))
    assert caught.value is error


@pytest.mark.parametrize("where", ["every rollout", "the course"])
def test_what_is_raised_at_the_own_rate_goes_through_an_attempt(where: str) -> None:
    error = Mine("own")
    fault = Once(
        "batch", 7, error, lambda run: run is not None and (where == "every rollout" or run.epoch > 1)
    )
    fault.always = True
    with pytest.raises(Mine) as caught:
        loop(fault)
    assert caught.value is error
    assert caught.traceback[-1].name == "__call__"


def test_without_an_attempt_it_goes_through_and_is_told_what_to_do() -> None:
    with pytest.raises(ValueError, match="large weights") as caught:
        loop(attempt=False, **HIGH)
    (note,) = caught.value.__notes__
    assert "run.attempt()" in note
    under = re.search(r"under lr=(\d+\.\d+)", note)
    assert under is not None
    assert float(under[1]) > 5


def test_at_the_own_rate_nothing_is_advised() -> None:
    with pytest.raises(Mine) as caught:
        loop(Once("batch", 0, Mine("own")), attempt=False)
    assert not hasattr(caught.value, "__notes__")


def test_all_that_diverged_names_what_some_raised() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    with pytest.raises(AllDiverged) as caught:
        loop(Once("batch", 0, Mine("own")), model=model, policy="greedy", space="lr=1e30:1e32:log", budget=2)
    assert isinstance(caught.value.__cause__, Mine)


# -- what an examination must not change -----------------------------------------------------------------------


class Loop:
    """A loop of the user's own, on whose rate an evaluation raises and what it answers depend."""

    def __init__(self, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(4, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader = DataLoader(TensorDataset(X, Y), 16, shuffle=True)
        self.tuner = gammatune.Tuner(model=self.model, optimizer=self.optimizer, **options)

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def measured(self, loss: float) -> dict[str, float]:
        self.model(X)
        return {"loss": loss, "accuracy": 0.5 + 0.01 * min(self.rate, 10.0)}

    def run(self, body: Callable[[Run], None], stop_in: int | None = None) -> gammatune.Result:
        with self.tuner:
            for run in self.tuner:
                with run.attempt():
                    for x, y in run.batches(self.loader):
                        self.optimizer.zero_grad()
                        nn.functional.cross_entropy(self.model(x), y).backward()
                        self.optimizer.step()
                    if run.number == stop_in:
                        raise KeyboardInterrupt
                    body(run)
        return self.tuner.result


def test_an_examination_changes_no_objective_and_the_run_is_gone_on_with(tmp_path: Path) -> None:
    """At the own rate alone the loss is below 0, so that only an examination meets it."""

    def loop(directory: str) -> tuple[Loop, Callable[[Run], None]]:
        one = Loop(
            epochs=3,
            budget=6,
            policy="greedy",
            space="lr=0.001:1:log",
            seed=3,
            run_dir=str(tmp_path / directory),
        )

        def measured() -> dict[str, float]:
            if one.rate > 0.11:
                raise ValueError("sigma is NaN")
            at_own = abs(one.rate - 0.1) < 1e-9
            return one.measured(-0.3 if at_own else 0.2 + 0.1 * one.rate)

        return one, lambda run: run.report(**run.evaluate(measured))

    one, body = loop("whole")
    expected = one.run(body)
    assert raised(expected)
    assert one.tuner.objective.name == "kappa"
    for stop_in in (3, 8, 13):
        one, body = loop(f"stopped-{stop_in}")
        with pytest.raises(KeyboardInterrupt):
            one.run(body, stop_in)
        one, body = loop(f"stopped-{stop_in}")
        assert timeless(one.run(body)) == timeless(expected)


@pytest.mark.parametrize("repeated", [False, True])
def test_an_error_that_comes_by_what_the_run_is_for_is_the_users(repeated: bool) -> None:
    """A checkpoint that cannot be written, where the course alone writes one; a disk that is full from then on."""
    one = Loop(epochs=6)

    def body(run: Run) -> None:
        if (not run.is_repeated and run.number >= 5) if repeated else (run.is_course and run.epoch == 3):
            raise OSError("No space left on device")
        run.report(**run.evaluate(lambda: one.measured(1.0)))

    with pytest.raises(OSError, match="No space left"):
        one.run(body)


def test_the_batch_that_raised_is_met_again() -> None:
    """A row of the user's own that is bad, met before the step of its batch by candidates alone."""
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(X, Y, torch.arange(len(X))), 8)
    options: dict[str, Any] = {"policy": "greedy", "sampler": "random", "space": "lr=0.001:0.05:log"}
    seen: list[int] = []
    with (
        pytest.raises(KeyError, match="row 37 has no label") as caught,
        gammatune.Tuner(model=model, optimizer=optimizer, epochs=3, budget=4, **options) as tuner,
    ):
        for run in tuner:
            seen.append(run.number)
            with run.attempt():
                for x, y, rows in run.batches(loader):
                    if 37 in rows and run.number >= 2:
                        raise KeyError("row 37 has no label")
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(x), y).backward()
                    optimizer.step()
                run.report(loss=0.5, accuracy=0.5)
    assert seen[-2:] == [2, 2]  # at once, not when all have raised
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("epochs", [2, 6])
@pytest.mark.parametrize(("batches", "at"), [(2, 1), (3, 1), (3, 2), (6, 5)])
def test_fit_meets_the_batch_that_raised_again(batches: int, at: int, epochs: int) -> None:
    """And is told by the first candidate: of two epochs of two batches each what was left was half of one."""
    met: list[int] = []  # outside of the model, with which it would go back

    class Choosy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.training and int(x[0, 0]) == at:
                met.append(at)
                raise KeyError("a row that nobody reads")
            return super().forward(x)

    size = 48 // batches
    x = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))
    x[:, 0], y = torch.arange(48) // size, torch.arange(48) % 2
    loader = [(x[i : i + size], y[i : i + size]) for i in range(0, 48, size)]
    with pytest.raises(KeyError, match="a row that nobody reads"):
        gammatune.fit(Choosy(4, 2), loader, [(x, y)], epochs=epochs, check=False)
    assert len(met) == 2


def test_the_own_rate_is_the_optimizers_wherever_the_space_lies() -> None:
    one = Loop(epochs=2, budget=4, policy="greedy", sampler="grid", space="lr=1:1000:log")

    def body(run: Run) -> None:
        if one.rate > 20:
            raise ValueError("blown up")
        run.report(loss=1 / one.rate, accuracy=0.5)

    result = one.run(body)
    assert {float(o.values["lr"]) > 20 for o in raised(result)} == {True}
    assert result.course


def test_what_others_raise_takes_nothing_from_a_later_candidate() -> None:
    one = Loop(epochs=4, budget=6, policy="greedy", sampler="random", space="lr=0.001:1000:log", keep="last")

    def measured() -> dict[str, float]:
        if one.rate > 0.11:
            raise ValueError("sigma is NaN")
        return one.measured(1 / one.rate)

    result = one.run(lambda run: run.report(**run.evaluate(measured)))
    assert len(raised(result)) >= 6
    assert not any(outcome.cut for outcome in result.rollouts)
    assert len(result.course) == 4
    assert result.cost.plain_runs is not None
    assert result.cost.plain_runs <= 6 + 1e-9


def test_a_report_after_the_attempt_adds_nothing_to_what_was_raised() -> None:
    torch.manual_seed(0)
    model = Tender()
    optimizer = torch.optim.SGD(model.parameters(), lr=OWN)
    loader = DataLoader(TensorDataset(X, Y), 16)
    options: dict[str, Any] = {
        "policy": "greedy",
        "sampler": "grid",
        "space": "lr=0.01:1000:log",
        "budget": 4,
    }
    with gammatune.Tuner(model=model, optimizer=optimizer, epochs=2, **options) as tuner:
        for run in tuner:
            with run.attempt():
                for x, y in run.batches(loader):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(x), y).backward()
                    optimizer.step()
            run.report(
                **run.evaluate(
                    lambda: {"loss": float(nn.functional.cross_entropy(model(X), Y)), "accuracy": 0.5}
                )
            )
    assert raised(tuner.result)
    assert tuner.result.course
