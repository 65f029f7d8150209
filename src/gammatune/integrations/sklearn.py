"""`fit` as scikit-learn estimators: `GammaTunedClassifier` and `GammaTunedRegressor`.

A thin layer: what scikit-learn asks of data and parameters is checked with its own functions, inputs (and the
targets of a regression) are standardised, a part is held out to select by, `fit` trains, and what the network says is
translated back.
"""

import copy
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from gammatune.engine.batches import LossFunction
from gammatune.engine.modes import evaluating
from gammatune.errors import InvalidArgument
from gammatune.metrics.objectives import Objective, ObjectiveName
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.models import MODELS, make_model
from gammatune.pipeline.models.check import check_output
from gammatune.pipeline.models.seeded import seeded
from gammatune.pipeline.threads import suitable_threads
from gammatune.seeds import stream
from gammatune.supervised.fit import fit
from gammatune.supervised.loaders import VALIDATION, batch_size_for
from gammatune.supervised.result import FitResult
from gammatune.tuning.tuner import AnyPolicy

Factory = Callable[[tuple[int, ...], int], nn.Module]  # (shape of an example, outputs) -> net

FORWARD = 1024  # examples a prediction passes forward at once; bounds memory, changes nothing else
SEEDS = np.iinfo(np.int32).max  # as scikit-learn draws them
# Making a net and training it seed the process's random streams and put them back: threads wait for each other.
_one_at_a_time = threading.RLock()


# The rules ------------------------------------------------------------------------------------------------

# Tried on tables that scikit-learn generates. Of 50 to 3,000 examples more than 1000 steps of the optimizer gave
# nothing, nor did more than 100 epochs; of 15,000, ten epochs were too few to tell four noisy classes apart (accuracy
# 0.92, with twenty 0.935).
STEPS = 1000
FEWEST, MOST = 20, 100  # epochs
WIDTH = 256  # units of each hidden layer, those of the model "mlp"


def epochs_for(n: int, batch_size: int) -> int:
    """Epochs for n training examples in batches of `batch_size`: 1000 steps, but 20 epochs at least, 100 at most."""
    return min(max(round(STEPS * batch_size / n), FEWEST), MOST)


def net_for(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The net for a table: twice (linear, 256 units, ReLU), then a linear layer, initialised as torch does.

    Not as the model "mlp": He's initialisation begins with a function whose variance is 2, which a few hundred
    examples fix where they lie and not between. On 200 examples of a linear target in 30 dimensions R2 is 0.49
    that way and 0.94 this way, and 0.76 against 0.88 on 1000 of Friedman's third.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(shape)
    for _ in range(2):
        layers += [nn.Linear(width, WIDTH), nn.ReLU()]
        width = WIDTH
    return nn.Sequential(*layers, nn.Linear(width, outputs))


# The estimators -------------------------------------------------------------------------------------------


class _GammaTuned(BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    classes_: NDArray[Any]
    n_features_in_: int

    def __init__(
        self,
        module: str | nn.Module | Factory | None = None,
        *,
        epochs: int | None = None,
        budget: float | None = 1.5,
        optimizer: Any = "adamw",
        batch_size: int | None = None,
        objective: ObjectiveName | Objective | None = None,
        search: str | Sequence[str] | None = None,
        validation_fraction: float = VALIDATION,
        policy: AnyPolicy = "lookahead",
        weight_decay: float | None = None,
        verbose: int = 0,
        random_state: Any = None,
        device: str | torch.device | None = None,
        run_dir: str | None = None,
        ensemble: bool | None = None,
    ) -> None:
        self.module = module
        self.epochs = epochs
        self.budget = budget
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.objective = objective
        self.search = search
        self.validation_fraction = validation_fraction
        self.policy = policy
        self.weight_decay = weight_decay
        self.verbose = verbose
        self.random_state = random_state
        self.device = device
        self.run_dir = run_dir
        self.ensemble = ensemble

    def __getstate__(self) -> dict[str, Any]:
        """Pickled from the CPU, so that a network trained on an accelerator is read where there is none."""
        state = dict(super().__getstate__())
        net = state.get("module_")
        if net is not None and any(p.device.type != "cpu" for p in net.parameters()):
            state["module_"] = copy.deepcopy(net).cpu()
            if state["ensemble_"] is not None:
                state["ensemble_"] = copy.deepcopy(state["ensemble_"]).cpu()
                state["result_"] = replace(state["result_"], ensemble=state["ensemble_"])
        return state

    def _fit(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        outputs: int,
        seed: int,
        loss: LossFunction | None,
        objective: Any,
        facts: Callable[[], dict[str, Any]],
    ) -> None:
        """x (n, f) as they came. y: codes (n,), or targets (n, t), which are standardised here.

        facts: for the journal, asked for once the scalers are there.
        """
        said: list[str] = []
        classify = y.ndim == 1
        train, select = hold_out(len(x), y if classify else None, self.validation_fraction, seed, said)
        self.scaler_ = StandardScaler().fit(x[train])
        if not classify:
            self.target_scaler_ = StandardScaler().fit(y[train])
            y = self.target_scaler_.transform(y)
        net = self._make(x.shape[1:], outputs, seed)
        inputs = torch.from_numpy(np.asarray(self.scaler_.transform(x))).to(dtype_of(net))
        targets = torch.from_numpy(y)
        # of the examples that train: `fit` would choose the same
        size = batch_size_for(TensorDataset(inputs[train]), self.batch_size, [])
        epochs = self.epochs
        if epochs is None:
            epochs = epochs_for(len(train), size)
            said.append(f"{epochs} epochs, by the number of training examples.")
        given = isinstance(self.module, nn.Module)
        with _threads(net, x.shape[1:], size), self._follower() as listeners:
            result = fit(
                net,
                (inputs[train], targets[train]),
                (inputs[select], targets[select]),
                epochs=epochs,
                budget=self.budget,
                policy=self.policy,
                objective=objective,
                space=self.search,
                loss_fn=loss,
                optimizer=self.optimizer,
                weight_decay=self.weight_decay,
                batch_size=self.batch_size,
                device=self.device,
                seed=seed,
                run_dir=self.run_dir,
                facts={**facts(), "said": said},
                listeners=listeners,
                progress=False,  # `verbose` says it
                ensemble=self.ensemble,
                new_model=None if given else partial(self._another, x.shape[1:], outputs),
            )
        self.module_ = net.eval()
        self.ensemble_ = result.ensemble
        self.result_: FitResult = replace(result, said=(*said, *result.said))
        self.schedule_ = result.schedule
        self.n_iter_ = len(result.course)

    def _make(self, shape: tuple[int, ...], outputs: int, seed: int) -> nn.Module:
        given: Any = net_for if self.module is None else self.module
        net: Any = given
        if isinstance(given, str):
            net = make_model(given, shape, outputs, seed)
        elif isinstance(given, nn.Module):
            net = copy.deepcopy(given)
        elif callable(given):
            with seeded(seed):
                net = given(shape, outputs)
        if not isinstance(net, nn.Module):
            what = f"module={given!r:.60}" if net is given else f"module= made a {type(net).__name__}"
            raise InvalidArgument(
                f"{what}; give a torch.nn.Module, a function (shape, outputs) that makes one, or a name: "
                f"{', '.join(MODELS)}"
            )
        check_output(net, shape, outputs)
        # a net of ours computes in any precision; what a net of the user's does in its forward pass nobody knows
        self._widens = given is net_for or (isinstance(given, str) and (given == "auto" or given in MODELS))
        return net

    def _another(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        """A net like the first, its initial weights drawn from torch's random stream."""
        return self._make(shape, outputs, int(torch.randint(SEEDS, ())))

    def _outputs(self, x: ArrayLike) -> Tensor:
        """What the network, or several of them together, say of examples (n, f): (n, outputs), in double precision
        where it can be had.

        In single precision, what is said of an example would depend in its last digits on the others beside it.
        """
        check_is_fitted(self, "module_")
        x = validate_data(self, x, reset=False, dtype=[np.float64, np.float32])
        net: nn.Module = self.module_ if self.ensemble_ is None else self.ensemble_
        place = next(net.parameters()).device
        if self._widens and place.type != "mps":  # which has no double precision
            net = copy.deepcopy(net).double()
        inputs = torch.from_numpy(np.asarray(self.scaler_.transform(x)))
        with evaluating(net):
            parts = [net(part.to(place, dtype_of(net))) for part in inputs.split(FORWARD)]
        return torch.cat(parts).cpu().double()

    @contextmanager
    def _follower(self) -> Iterator[list[Any]]:
        if not self.verbose:
            yield []
            return
        from rich.console import Console

        from gammatune.report.live import PlainLines

        with PlainLines(Console()) as follower:
            yield [follower]

    def _facts(self, classes: tuple[Any, ...] = ()) -> dict[str, Any]:
        """What `gammatune predict` and the reports want to know of a run that is kept."""
        model = f"{__name__}:{net_for.__name__}" if self.module is None else self.module
        if (
            self.run_dir is None
            or not isinstance(model, str)
            or not all(type(c) in (int, str) for c in classes)
        ):
            return {}
        target = () if classes else tuple(self.target_scaler_.mean_.tolist())
        target_std = () if classes else tuple(self.target_scaler_.scale_.tolist())
        shape = (self.n_features_in_,)
        preprocessing = Preprocessing(
            "classification" if classes else "regression",
            shape,
            False,
            tuple(self.scaler_.mean_.tolist()),
            tuple(self.scaler_.scale_.tolist()),
            classes,
            target,
            target_std,
        )
        return {
            "data": type(self).__name__,
            "model": model,
            "shape": list(shape),
            "preprocessing": preprocessing.to_dict(),
        }


class GammaTunedClassifier(ClassifierMixin, _GammaTuned):  # type: ignore[misc]
    """A neural network that finds its learning rate while it trains, as a scikit-learn classifier.

    Inputs are standardised. Sparse and missing ones are refused, as scikit-learn does. There are no sample weights:
    rollouts, batches and the part that selects are counted in examples; `class_weight` is there.

    Parameters, all of them kept as they are given and looked at by `fit`:

    module: the net. None: two hidden layers of 256 units (`net_for`). A name (`gammatune.pipeline.models.MODELS`, or
    "package.module:factory"); a function (shape, outputs) -> nn.Module, shape being (f,); or a module, which is
    copied for each fit with the weights it has. It gives one number a class, or one a target.
    epochs: the length of the training. None: as many as make 1000 steps of the optimizer, but 20 at least and 100
    at most.
    budget: a ceiling on all compute, the search included, in multiples of a plain run of so many epochs; None:
    the policy's own. policy: "lookahead", "greedy", "once", or one of your own (`gammatune.Tuner`).
    optimizer: a name (`gammatune.supervised.optimizers.OPTIMIZERS`), "auto" or a function of the parameters.
    weight_decay: for one given by name; None: its own.
    batch_size: examples. None: 32, 64 from 5,000 training examples on, 128 from 20,000 on.
    objective: what rates are chosen by (`gammatune.metrics.objectives.OBJECTIVES`). None: "kappa" for a
    classification, "log-loss" for a regression and with `class_weight`.
    search: lines such as "lr=1e-4:1e-1:log" or "batch_size=16,32". None: the learning rate, in a wide range.
    validation_fraction: the share of the examples that rates and the best epoch are selected by, in (0, 1); the
    network does not train on them. Of a classification the classes keep their proportions there.
    class_weight: None, "balanced" or {label: weight}, as scikit-learn has it; the loss is weighted, in training
    and in selecting.
    verbose: 1 prints a line an epoch. device: CUDA where there is one, else the CPU.
    random_state: a number or a RandomState fixes everything, to the last bit on a CPU, and no random stream of the
    process is moved. None: a seed is drawn from NumPy's.
    run_dir: a new directory to keep the run in, for `gammatune show` and `predict`; the same fit again goes on with
    it. For one fit: cross-validation makes many, the second of which is refused.
    ensemble: whether a budget that pays for several trainings, from about 2.5 on, buys several nets whose predictions
    are averaged, at a multiple of the time of one at every prediction. None: yes. Of a module that is given
    the layers draw their weights anew, where that is plainly how they were drawn; else all begin with its own.

    After fit: module_ (the net, in eval mode; of several the best alone), ensemble_ (the several as one module, which
    predicts, or None), scaler_ (`StandardScaler` of the inputs), result_ (`FitResult`),
    schedule_ (the learning rates, a `gammatune.Schedule`), n_iter_ (epochs), classes_ (k,), n_features_in_,
    feature_names_in_ where X had names. What result_ reports was selected by, and flatters.

    fit raises ValueError (of scikit-learn or `gammatune.errors`) at data and parameters it cannot use, AllDiverged
    where nothing trains.
    """

    def __init__(
        self,
        module: str | nn.Module | Factory | None = None,
        *,
        epochs: int | None = None,
        budget: float | None = 1.5,
        optimizer: Any = "adamw",
        batch_size: int | None = None,
        objective: ObjectiveName | Objective | None = None,
        search: str | Sequence[str] | None = None,
        validation_fraction: float = VALIDATION,
        policy: AnyPolicy = "lookahead",
        weight_decay: float | None = None,
        class_weight: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        device: str | torch.device | None = None,
        run_dir: str | None = None,
        ensemble: bool | None = None,
    ) -> None:
        super().__init__(
            module,
            epochs=epochs,
            budget=budget,
            optimizer=optimizer,
            batch_size=batch_size,
            objective=objective,
            search=search,
            validation_fraction=validation_fraction,
            policy=policy,
            weight_decay=weight_decay,
            verbose=verbose,
            random_state=random_state,
            device=device,
            run_dir=run_dir,
            ensemble=ensemble,
        )
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on examples X (n, f) with labels y (n,) of any type, two classes at least; n of 2 or more."""
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        x, labels = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_.tolist()[0]!r}; a classifier needs examples of two at least"
            )
        loss, objective = None, self.objective
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
            loss = _Weighted(weights / weights[codes].mean())
            # accuracy, which the default weighs too, counts every example alike
            objective = "log-loss" if objective is None else objective
        classes = tuple(self.classes_.tolist())
        with _one_at_a_time:
            self._fit(x, codes, len(classes), seed, loss, objective, lambda: self._facts(classes))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, k), one column for each of `classes_`."""
        return self._outputs(X).softmax(dim=1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable label of each example, (n,)."""
        codes = self._outputs(X).argmax(dim=1).numpy()
        return self.classes_[codes]  # type: ignore[no-any-return]


class GammaTunedRegressor(RegressorMixin, MultiOutputMixin, _GammaTuned):  # type: ignore[misc]
    """A neural network that finds its learning rate while it trains, as a scikit-learn regressor.

    Parameters and attributes are those of `GammaTunedClassifier`, but for class_weight and classes_. The targets, one
    or several an example, are standardised too (target_scaler_); predictions are in their own unit. The net gives
    one number a target, and the loss is the mean squared error of the standardised ones.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on examples X (n, f) with targets y (n,) or (n, t); n of 2 or more."""
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        x, given = validate_data(
            *(self, X, y),
            dtype=[np.float64, np.float32],
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
        self._flat = given.ndim == 1
        targets = np.asarray(given, dtype=np.float64).reshape(len(given), -1)
        with _one_at_a_time:
            self._fit(x, targets, targets.shape[1], seed, None, self.objective, self._facts)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predictions in the unit of the targets, (n,) or (n, t), as y was."""
        outputs = self._outputs(X)
        predicted = self.target_scaler_.inverse_transform(outputs.reshape(len(outputs), -1).numpy())
        return predicted.ravel() if self._flat else predicted  # type: ignore[no-any-return]


class _Weighted(nn.Module):
    """Cross entropy, every example weighted by its class: mean over the batch of w_c * loss.

    weights: (k,), 0 or more, with a mean of 1 over the examples.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", torch.from_numpy(weights))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        losses = nn.functional.cross_entropy(output, target, reduction="none")
        return (self.weights[target].to(losses.dtype) * losses).mean()


# Parts ----------------------------------------------------------------------------------------------------


def hold_out(
    n: int, codes: NDArray[np.int64] | None, fraction: Any, seed: int, said: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the examples to train on and of those to select by, `fraction` of them, one at least.

    codes: (n,) of a classification, whose proportions are kept as well as whole examples allow; no class loses its
    last example to the selection. Where that leaves nothing to hold out, all examples train and select.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < float(fraction) < 1:
        raise InvalidArgument(
            f"validation_fraction={fraction!r}: give the share to select by, above 0 and below 1, such as 0.2"
        )
    order = stream(seed, "validation").permutation(n)
    held = min(max(round(float(fraction) * n), 1), n - 1)
    taken = np.zeros(n, dtype=bool)
    if codes is None:
        taken[order[:held]] = True
    else:
        counts = np.bincount(codes)
        wanted = held * counts / n
        quota = np.minimum(np.floor(wanted).astype(int), counts - 1)
        held = min(held, int((counts - 1).sum()))
        while quota.sum() < held:
            short = np.where(quota < counts - 1, wanted - quota, -np.inf)
            quota[short.argmax()] += 1
        for code, count in enumerate(quota):
            taken[order[codes[order] == code][:count]] = True
    if not taken.any():
        said.append(
            f"{n} examples, one a class, are too few to keep some aside: those that train select too."
        )
        return np.arange(n), np.arange(n)
    how = "" if codes is None else ", in the classes' proportions as far as can be"
    said.append(f"{taken.sum()} of the {n} examples were kept aside to select by{how}.")
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def dtype_of(net: nn.Module) -> torch.dtype:
    """The kind of float a net computes in."""
    return next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.get_default_dtype())


@contextmanager
def _threads(net: nn.Module, shape: tuple[int, ...], batch_size: int) -> Iterator[None]:
    """As many threads as the steps are worth, and afterwards as many as before."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(suitable_threads(net, shape, batch_size))
        yield
    finally:
        torch.set_num_threads(before)
